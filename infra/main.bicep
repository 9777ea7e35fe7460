// The template of azd: one resource group of its own, and Lifeboat in it. azd down deletes that group whole. So the group is never
// one that exists with other things in it, and backups.bicep and grants/ are deployments of their own, which azd does not know.
targetScope = 'subscription'

import { textMap } from 'modules/types.bicep'
import { endpointType, nameType, zoneType } from 'app.bicep'

@description('The name of the azd environment.')
@minLength(1)
@maxLength(64)
param environmentName string

@description('The region. Flex Consumption is not in all: az functionapp list-flexconsumption-locations.')
@minLength(1)
param location string

@description('The name of the new resource group. Empty: rg-lifeboat- and the name of the environment.')
@maxLength(90)
param resourceGroupName string = ''

@description('Names of your own: JSON with some of app, plan, identity, storage, logs, insights, network, topic.')
param names string = ''

@description('Tags of everything: JSON, such as {"owner":"platform"}.')
param tags string = ''

@description('Where the package app.zip is: an https address that Azure can read without signing in. Empty: deploy it by zip.')
param packageUri string = ''

@description('The memory of an instance.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 512

@description('How many instances each group of functions may have at once.')
@minValue(40)
@maxValue(1000)
param maximumInstances int = 40

@description('Instances that run steps and are always there.')
@minValue(0)
@maxValue(1000)
param alwaysReadyExecute int = 0

@description('Instances that answer HTTP calls and are always there.')
@minValue(0)
@maxValue(1000)
param alwaysReadyHttp int = 0

@description('LIFEBOAT_SCHEDULE_TIMER. Empty: once a minute.')
param scheduleTimer string = ''

@description('LIFEBOAT_CLEANUP_TIMER. Empty: every five minutes.')
param cleanupTimer string = ''

@description('LIFEBOAT_CONCURRENCY.')
@minValue(1)
@maxValue(500)
param concurrency int = 50

@description('LIFEBOAT_HISTORY.')
@minLength(2)
param history string = '400d'

@description('LIFEBOAT_EVENTS_ENCODING.')
@allowed(['none', 'base64'])
param eventsEncoding string = 'none'

@description('LIFEBOAT_EVENTS_TOPIC. Empty: the queue, or eventGrid.')
@maxLength(300)
param eventsTopic string = ''

@description('True: makes a topic of Event Grid for the events.')
param eventGrid bool = false

@description('With eventGrid: an https address that gets every event. Empty: you subscribe yourself.')
@secure()
@maxLength(2000)
param eventsWebhook string = ''

@description('With eventGrid, true: eventsTeamsAddress gets a card for each event that a person must know.')
param eventsTeams bool = false

@description('The address of a workflow of Teams.')
@secure()
@maxLength(2000)
param eventsTeamsAddress string = ''

@description('With eventGrid, true: eventsTicketsAddress gets each event that a person must know.')
param eventsTickets bool = false

@description('The https address of a ticket system.')
@secure()
@maxLength(2000)
param eventsTicketsAddress string = ''

@description('The header Authorization of the requests to eventsTicketsAddress. Empty: none.')
@secure()
@maxLength(4000)
param eventsTicketsAuthorization string = ''

@description('LIFEBOAT_CLOUD.')
@allowed(['public', 'government', 'china'])
param cloud string = environment().name == 'AzureUSGovernment'
  ? 'government'
  : environment().name == 'AzureChinaCloud' ? 'china' : 'public'

@description('LIFEBOAT_STOPPED: true, or a reason in words. Empty: nothing is stopped.')
@maxLength(200)
param stopped string = ''

@description('The URL of plan.yaml in another account. Empty: in the new one.')
param planUrl string = ''

@description('How often Azure keeps the table, the queues and the plan.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS'])
param storageSku string = 'Standard_ZRS'

@description('The services of the storage account that log: none, blob or all.')
@allowed(['none', 'blob', 'all'])
param storageLogs string = 'blob'

@description('The ID of a Log Analytics workspace that exists. Empty: a new one.')
param workspaceId string = ''

@description('How many days a new workspace keeps logs.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 90

@description('True: an alert rule for each runbook, and a workbook.')
param alerts bool = true

@description('True: Azure calls the app from outside, and alerts if it does not answer.')
param availability bool = false

@description('The e-mail address that alerts go to. Empty: none.')
@maxLength(254)
param alertEmail string = ''

@description('The https address that alerts go to. Empty: none.')
@secure()
@maxLength(2000)
param alertWebhook string = ''

@description('The ID of an action group that exists, which alerts go to. Empty: none.')
param actionGroupId string = ''

@description('The address of the runbooks, where alerts send people. Empty: docs/runbooks.')
param runbooksUrl string = ''

@description('True: the app gets its roles here. False: the output LIFEBOAT_ROLES has the commands.')
param roleAssignments bool = true

@description('The object ID of whoever deploys.')
param principalId string = ''

@description('The type of that principal.')
@allowed(['Group', 'ServicePrincipal', 'User'])
param principalType string = 'User'

@description('The client ID of an app registration with which callers must sign in. Empty: keys alone.')
param entraClientId string = ''

@description('The object IDs of the people, groups and identities that may call, with commas between them.')
param entraPrincipals string = ''

@description('The client IDs of the applications that may call, with commas between them. With both lists, a caller must be in both.')
param entraApplications string = ''

@description('none, new or existing.')
@allowed(['none', 'new', 'existing'])
param network string = 'none'

@description('The addresses of a new network.')
param networkAddresses string = '10.64.0.0/24'

@description('The ID of your subnet for the app.')
param appSubnetId string = ''

@description('The ID of your subnet for private endpoints.')
param endpointSubnetId string = ''

@description('none, existing or new.')
@allowed(['none', 'existing', 'new'])
param privateDns string = 'none'

@description('The IDs of your private DNS zones: JSON with some of blob, queue, table, managedhsm.')
param privateDnsZones string = ''

@description('Private endpoints for accounts for backups and for HSMs: JSON, [{"name":"pe-hsm","id":"/subscriptions/…","group":"managedhsm"}].')
param endpoints string = ''

@description('False: nobody calls the app from outside its networks.')
param publicNetworkAccess bool = true

@description('The names, read.')
var ownNames nameType = empty(names) ? {} : json(names)

@description('The tags, read.')
var ownTags textMap = empty(tags) ? {} : json(tags)

@description('The zones, read.')
var ownZones zoneType = empty(privateDnsZones) ? {} : json(privateDnsZones)

@description('The endpoints, read.')
var ownEndpoints endpointType[] = empty(endpoints) ? [] : json(endpoints)

resource group 'Microsoft.Resources/resourceGroups@2024-11-01' = {
  name: empty(resourceGroupName) ? 'rg-lifeboat-${environmentName}' : resourceGroupName
  location: location
  tags: union(ownTags, { 'azd-env-name': environmentName })
}

module app 'app.bicep' = {
  scope: group
  params: {
    environmentName: environmentName
    location: location
    names: ownNames
    tags: ownTags
    packageUri: packageUri
    instanceMemoryMB: instanceMemoryMB
    maximumInstances: maximumInstances
    alwaysReadyExecute: alwaysReadyExecute
    alwaysReadyHttp: alwaysReadyHttp
    scheduleTimer: empty(scheduleTimer) ? '0 * * * * *' : scheduleTimer
    cleanupTimer: empty(cleanupTimer) ? '0 */5 * * * *' : cleanupTimer
    concurrency: concurrency
    history: history
    eventsEncoding: eventsEncoding
    eventsTopic: eventsTopic
    eventGrid: eventGrid
    eventsWebhook: eventsWebhook
    eventsTeams: eventsTeams
    eventsTeamsAddress: eventsTeamsAddress
    eventsTickets: eventsTickets
    eventsTicketsAddress: eventsTicketsAddress
    eventsTicketsAuthorization: eventsTicketsAuthorization
    cloud: cloud
    stopped: stopped
    planUrl: planUrl
    storageSku: storageSku
    storageLogs: storageLogs
    workspaceId: workspaceId
    logRetentionDays: logRetentionDays
    alerts: alerts
    availability: availability
    alertEmail: alertEmail
    alertWebhook: alertWebhook
    actionGroupId: actionGroupId
    runbooksUrl: runbooksUrl
    roleAssignments: roleAssignments
    principalId: principalId
    principalType: principalType
    entraClientId: entraClientId
    entraPrincipals: empty(entraPrincipals) ? [] : split(entraPrincipals, ',')
    entraApplications: empty(entraApplications) ? [] : split(entraApplications, ',')
    network: network
    networkAddresses: networkAddresses
    appSubnetId: appSubnetId
    endpointSubnetId: endpointSubnetId
    privateDns: privateDns
    privateDnsZones: ownZones
    endpoints: ownEndpoints
    publicNetworkAccess: publicNetworkAccess
  }
}

@description('The region.')
output AZURE_LOCATION string = app.outputs.AZURE_LOCATION

@description('The tenant.')
output AZURE_TENANT_ID string = app.outputs.AZURE_TENANT_ID

@description('The resource group.')
output AZURE_RESOURCE_GROUP string = app.outputs.AZURE_RESOURCE_GROUP

@description('The name of the function app.')
output LIFEBOAT_APP string = app.outputs.LIFEBOAT_APP

@description('The address of the app, for the commands.')
output LIFEBOAT_URL string = app.outputs.LIFEBOAT_URL

@description('The ID of the identity of the app.')
output LIFEBOAT_IDENTITY_ID string = app.outputs.LIFEBOAT_IDENTITY_ID

@description('The object ID of that identity, for grants.')
output LIFEBOAT_PRINCIPAL_ID string = app.outputs.LIFEBOAT_PRINCIPAL_ID

@description('The client ID of that identity.')
output LIFEBOAT_CLIENT_ID string = app.outputs.LIFEBOAT_CLIENT_ID

@description('The name of the storage account.')
output LIFEBOAT_STORAGE_ACCOUNT string = app.outputs.LIFEBOAT_STORAGE_ACCOUNT

@description('Where the plan is.')
output LIFEBOAT_PLAN_URL string = app.outputs.LIFEBOAT_PLAN_URL

@description('The queue of events.')
output LIFEBOAT_EVENTS_QUEUE string = app.outputs.LIFEBOAT_EVENTS_QUEUE

@description('The name of the Application Insights component.')
output APPLICATIONINSIGHTS_NAME string = app.outputs.APPLICATIONINSIGHTS_NAME

@description('The commands that give the app its roles, if the template did not.')
output LIFEBOAT_ROLES string[] = app.outputs.LIFEBOAT_ROLES
