// A landing zone whose policy registers the names of private endpoints; nobody calls the app from outside.
using '../app.bicep'

param cloud = 'public'
param network = 'existing'
param appSubnetId = '/subscriptions/0c0ffee0-0000-4000-8000-000000000009/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/spoke/subnets/lifeboat-app'
param endpointSubnetId = '/subscriptions/0c0ffee0-0000-4000-8000-000000000009/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/spoke/subnets/endpoints'
param publicNetworkAccess = false
param alerts = false
