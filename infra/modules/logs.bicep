// The logs of the app: Application Insights, in a workspace of its own or in one that exists.

import { textMap } from 'types.bicep'

@description('The region.')
param location string

@description('Tags of both.')
param tags textMap

@description('The name of the component.')
param insightsName string

@description('The name of the new workspace, if no existing one is given.')
param workspaceName string

@description('The ID of an existing workspace; empty makes one.')
param workspaceId string

@description('How many days the new workspace keeps logs.')
param retentionInDays int

resource workspace 'Microsoft.OperationalInsights/workspaces@2023-09-01' = if (empty(workspaceId)) {
  name: workspaceName
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: retentionInDays
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: insightsName
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    DisableLocalAuth: true
    WorkspaceResourceId: empty(workspaceId) ? workspace.id : workspaceId
  }
}

@description('The ID of the component.')
output insightsId string = insights.id

@description('Where telemetry goes. It is no secret: the component takes none without a role.')
output connectionString string = insights.properties.ConnectionString
