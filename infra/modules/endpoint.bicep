// A private endpoint for one group of one resource, and its names in a private DNS zone if one is given.

import { textMap } from 'types.bicep'

@description('The region.')
param location string

@description('Tags of the endpoint.')
param tags textMap

@description('The name of the endpoint.')
param name string

@description('The subnet for private endpoints.')
param subnetId string

@description('The resource that is reached through the endpoint.')
param target string

@description('The part of the resource: blob, queue, table or managedhsm.')
param group string

@description('Whether the name goes into a private DNS zone: false where a policy registers it, or nobody does.')
param zoned bool

@description('The ID of that zone.')
param zoneId string

resource endpoint 'Microsoft.Network/privateEndpoints@2024-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    customNetworkInterfaceName: '${name}-nic'
    subnet: { id: subnetId }
    privateLinkServiceConnections: [
      { name: group, properties: { privateLinkServiceId: target, groupIds: [group] } }
    ]
  }
}

resource names 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-05-01' = if (zoned) {
  parent: endpoint
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [{ name: group, properties: { privateDnsZoneId: zoneId } }]
  }
}
