using '../../app.bicep'

param network = 'existing'
param appSubnetId = '/subscriptions/0c0ffee0-0000-4000-8000-000000000009/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/spoke/subnets/lifeboat-app'
