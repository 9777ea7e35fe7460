// A network of the app's own, for whoever asks for one.

import { textMap } from 'types.bicep'

@description('The region.')
param location string

@description('Tags of the network.')
param tags textMap

@description('The name of the network.')
param name string

@description('The addresses of the network: half of them for the app, a quarter for private endpoints.')
param addresses string

// A subnet without a security group is refused by the policies of many organisations.
resource closed 'Microsoft.Network/networkSecurityGroups@2024-05-01' = {
  name: '${name}-nsg'
  location: location
  tags: tags
}

// Flex Consumption wants the delegation to Microsoft.App/environments, and not the one to Microsoft.Web/serverFarms.
resource network 'Microsoft.Network/virtualNetworks@2024-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: [addresses] }
    subnets: [
      {
        name: 'app'
        properties: {
          addressPrefix: cidrSubnet(addresses, parseCidr(addresses).cidr + 1, 0)
          networkSecurityGroup: { id: closed.id }
          delegations: [{ name: 'flex', properties: { serviceName: 'Microsoft.App/environments' } }]
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: cidrSubnet(addresses, parseCidr(addresses).cidr + 2, 2)
          networkSecurityGroup: { id: closed.id }
          privateEndpointNetworkPolicies: 'Enabled'
        }
      }
    ]
  }
}
