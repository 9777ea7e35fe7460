// The function app on Flex Consumption, its settings and its package.

import { readyType, textMap } from 'types.bicep'

@description('The region.')
param location string

@description('Tags of the app and its plan.')
param tags textMap

@description('The name of the app.')
param name string

@description('The name of its hosting plan.')
param planName string

@description('The ID of the user-assigned identity that the app does everything with.')
param identityId string

@description('The address of the container that Azure takes the package from.')
param packageContainerUrl string

@description('The memory of an instance.')
param instanceMemoryMB int

@description('How many instances each group of functions may have.')
param maximumInstances int

@description('Instances that run before anything calls them.')
param alwaysReady readyType[]

@description('The subnet that the app calls out of; empty for none.')
param subnetId string

@description('False lets nobody call the app from outside its networks.')
param public bool

@description('The settings in every cloud.')
param settings textMap

@description('More settings, which not every app has.')
param moreSettings textMap

@description('Where the package is; empty if somebody deploys it by zip.')
param packageUri string

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true }
}

resource site 'Microsoft.Web/sites@2024-04-01' = {
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'app' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    clientAffinityEnabled: false
    keyVaultReferenceIdentity: identityId
    publicNetworkAccess: public ? 'Enabled' : 'Disabled'
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packageContainerUrl
          authentication: { type: 'UserAssignedIdentity', userAssignedIdentityResourceId: identityId }
        }
      }
      runtime: { name: 'custom', version: '1.0' }
      scaleAndConcurrency: {
        alwaysReady: alwaysReady
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstances
      }
    }
    siteConfig: {
      ftpsState: 'Disabled'
      minTlsVersion: '1.2'
    }
  }
}

resource ftp 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: site
  name: 'ftp'
  properties: { allow: false }
}

resource scm 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: site
  name: 'scm'
  properties: { allow: false }
}

// This replaces all settings of the app: one that somebody set in the portal is gone after the next deployment.
resource appSettings 'Microsoft.Web/sites/config@2024-04-01' = {
  parent: site
  name: 'appsettings'
  properties: union(settings, moreSettings)
}

// The host reads its settings when the package starts, so they come first.
resource package 'Microsoft.Web/sites/extensions@2024-04-01' = if (!empty(packageUri)) {
  parent: site
  name: 'onedeploy'
  #disable-next-line BCP187 // the published types do not know the properties of onedeploy
  properties: {
    packageUri: packageUri
    remoteBuild: false
  }
  dependsOn: [appSettings, ftp, scm]
}

@description('The host name of the app, which Azure may make up.')
output host string = site.properties.defaultHostName
