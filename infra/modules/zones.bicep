// Private DNS zones of the app's own, for whoever asks for them: a landing zone has them already.

import { textMap } from 'types.bicep'

@description('Tags of the zones.')
param tags textMap

@description('The network whose machines are to find the private addresses.')
param networkId string

@description('The names of the zones.')
param names string[]

resource zone 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for name in names: {
    name: name
    location: 'global'
    tags: tags
  }
]

resource link 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for (name, i) in names: {
    parent: zone[i]
    name: 'lifeboat'
    location: 'global'
    tags: tags
    properties: {
      registrationEnabled: false
      virtualNetwork: { id: networkId }
    }
  }
]
