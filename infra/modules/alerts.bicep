// Alerts: a rule for each runbook, a call from outside that needs no telemetry of the app, whom they tell, and a workbook.

import { alertType, textMap } from 'types.bicep'

@description('The region.')
param location string

@description('Tags of all.')
param tags textMap

@description('The name of the app, with which the names of rules begin.')
param app string

@description('The ID of the Application Insights component.')
param insightsId string

@description('Whether there are rules and a workbook.')
param rules bool

@description('Whether Azure calls the app from outside.')
param availability bool

@description('The host of the app.')
param host string

@description('The cloud, which has its own places to call from.')
param cloud string

@description('Where an e-mail goes; empty for none.')
param email string

@description('Where a webhook goes; empty for none.')
@secure()
param webhook string

@description('The ID of an existing action group; empty for none.')
param actionGroupId string

@description('The address of the runbooks, before the name of a page.')
param runbooks string

@description('A rule for each runbook. A Go test writes the file from the pages.')
var all alertType[] = loadJsonContent('../alerts.json')

@description('The tables of the workbook, of the same pages.')
var workbookContent = loadJsonContent('../workbook.json')

@description('Azure calls from five places, as it recommends, where the cloud has so many.')
var places = {
  public: ['emea-nl-ams-azr', 'emea-gb-db3-azr', 'us-va-ash-azr', 'us-ca-sjc-azr', 'apac-sg-sin-azr']
  government: ['usgov-va-azr', 'usgov-phx-azr', 'usgov-tx-azr', 'usgov-ddeast-azr', 'usgov-ddcentral-azr']
  china: ['mc-cne-azr', 'mc-cne2-azr', 'mc-cnn-azr', 'mc-cnn2-azr']
}[cloud]

@description('Whether alerts go to a group of their own.')
var own = !empty(email) || !empty(webhook)

resource group 'Microsoft.Insights/actionGroups@2024-10-01-preview' = if (own) {
  name: 'ag-${app}'
  location: 'Global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'lifeboat'
    emailReceivers: empty(email) ? [] : [{ name: 'e-mail', emailAddress: email, useCommonAlertSchema: true }]
    webhookReceivers: empty(webhook) ? [] : [{ name: 'webhook', serviceUri: webhook, useCommonAlertSchema: true }]
  }
}

@description('Whom alerts tell.')
var groups = concat(own ? [group.id] : [], empty(actionGroupId) ? [] : [actionGroupId])

// The windows of three evaluations overlap, since telemetry may be minutes late: an event is alerted late rather than never, and may be
// alerted three times. Azure knows the tables of a new component some time after it is there, so it does not check the queries.
resource rule 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for one in all: if (rules) {
    name: '${app}-${one.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: 'Lifeboat: ${one.title}'
      description: '${one.description}. ${empty(runbooks) ? 'docs/runbooks' : runbooks}/${one.runbook}'
      enabled: true
      severity: one.severity
      scopes: [insightsId]
      evaluationFrequency: 'PT5M'
      windowSize: 'PT15M'
      autoMitigate: one.autoMitigate
      skipQueryValidation: true
      criteria: {
        allOf: [
          {
            query: one.query
            timeAggregation: 'Count'
            operator: one.operator
            threshold: one.threshold
            dimensions: map(one.dimensions, column => { name: column, operator: 'Include', values: ['*'] })
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      actions: { actionGroups: groups }
    }
  }
]

// A rule on logs is blind when the app has none. /api/live needs no key, and reads nothing.
resource live 'Microsoft.Insights/webtests@2022-06-15' = if (availability) {
  name: '${app}-live'
  location: location
  tags: union(tags, { 'hidden-link:${insightsId}': 'Resource' })
  kind: 'standard'
  properties: {
    Name: '${app}-live'
    SyntheticMonitorId: '${app}-live'
    Kind: 'standard'
    Enabled: true
    Frequency: 300
    Timeout: 30
    RetryEnabled: true
    Locations: map(places, place => { Id: place })
    Request: { RequestUrl: 'https://${host}/api/live', HttpVerb: 'GET', ParseDependentRequests: false }
    ValidationRules: { ExpectedHttpStatusCode: 200, SSLCheck: false }
  }
}

resource unavailable 'Microsoft.Insights/metricAlerts@2018-03-01' = if (availability) {
  name: '${app}-unavailable'
  location: 'global'
  tags: tags
  properties: {
    description: 'The app does not answer from outside. First: does it run? ${empty(runbooks) ? 'docs/runbooks' : runbooks}/schedule-silent.md'
    enabled: true
    severity: 1
    scopes: [live.id, insightsId]
    evaluationFrequency: 'PT1M'
    windowSize: 'PT5M'
    autoMitigate: true
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.WebtestLocationAvailabilityCriteria'
      webTestId: live.id
      componentId: insightsId
      failedLocationCount: length(places) - 2
    }
    actions: map(groups, id => { actionGroupId: id })
  }
}

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = if (rules) {
  name: guid(resourceGroup().id, app, 'lifeboat')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Lifeboat ${app}'
    category: 'workbook'
    sourceId: insightsId
    version: 'Notebook/1.0'
    serializedData: string(union(workbookContent, { fallbackResourceIds: [insightsId] }))
  }
}
