// Lifeboat in a resource group: the function app, its storage, its identity and its telemetry. main.bicep deploys it for azd;
// ../azuredeploy.json is this file, compiled, for the portal and for az.

metadata name = 'Lifeboat'
metadata description = 'Backs up and restores Azure services that Azure Backup does not cover.'

import { textMap, rolesType } from 'modules/types.bicep'

// ---- names and places

@description('The name of the environment: one app, with one storage account, for each.')
@minLength(1)
@maxLength(64)
param environmentName string = 'prod'

@description('The region. Flex Consumption is not in all: az functionapp list-flexconsumption-locations.')
param location string = resourceGroup().location

@export()
@description('Names of your own in place of the ones made up here.')
type nameType = {
  @description('The name of the function app.')
  app: string?

  @description('The name of its hosting plan.')
  plan: string?

  @description('The name of its identity.')
  identity: string?

  @description('The name of its storage account.')
  @minLength(3)
  @maxLength(24)
  storage: string?

  @description('The name of a new workspace.')
  logs: string?

  @description('The name of the Application Insights component.')
  insights: string?

  @description('The name of a new network.')
  network: string?

  @description('The name of a new topic.')
  topic: string?
}

@description('Names of your own, for what your organisation names itself.')
param names nameType = {}

@description('Tags of everything that is made.')
param tags textMap = {}

// ---- the program

@description('Where the package app.zip is: an https address that Azure can read without signing in. Empty: deploy it by zip.')
param packageUri string = ''

@description('The memory of an instance. The program needs less than the least of it.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 512

@description('How many instances each group of functions may have at once.')
@minValue(40)
@maxValue(1000)
param maximumInstances int = 40

@description('Instances that run steps and are always there. They cost while they wait.')
@minValue(0)
@maxValue(1000)
param alwaysReadyExecute int = 0

@description('Instances that answer HTTP calls and are always there. They cost while they wait.')
@minValue(0)
@maxValue(1000)
param alwaysReadyHttp int = 0

// ---- its settings: docs/get-started.md says what each means

@description('When Lifeboat looks for due scheduled times (LIFEBOAT_SCHEDULE_TIMER), as NCRONTAB with six fields.')
@minLength(11)
param scheduleTimer string = '0 * * * * *'

@description('When Lifeboat cleans up (LIFEBOAT_CLEANUP_TIMER), as NCRONTAB with six fields.')
@minLength(11)
param cleanupTimer string = '0 */5 * * * *'

@description('How many backups and restores of all plans may be under way at once (LIFEBOAT_CONCURRENCY).')
@minValue(1)
@maxValue(500)
param concurrency int = 50

@description('How long the rows of the past are kept (LIFEBOAT_HISTORY): 30d at the least.')
@minLength(2)
param history string = '400d'

@description('How events are written to their queue (LIFEBOAT_EVENTS_ENCODING).')
@allowed(['none', 'base64'])
param eventsEncoding string = 'none'

@description('The address of a topic of Event Grid that gets the events in place of the queue (LIFEBOAT_EVENTS_TOPIC), on which you give the app EventGrid Data Sender. Empty: the queue, or eventGrid.')
@maxLength(300)
param eventsTopic string = ''

@description('True: makes a topic of Event Grid, which gets the events in place of the queue.')
param eventGrid bool = false

@description('With eventGrid: an https address that gets every event, and answers the handshake of CloudEvents. Empty: you subscribe yourself.')
@secure()
@maxLength(2000)
param eventsWebhook string = ''

@description('With eventGrid, true: eventsTeamsAddress gets a card for each event that a person must know.')
param eventsTeams bool = false

@description('The address of a workflow of Teams, "Send webhook alerts to a channel".')
@secure()
@maxLength(2000)
param eventsTeamsAddress string = ''

@description('With eventGrid, true: eventsTicketsAddress gets each event that a person must know, as a POST without a handshake.')
param eventsTickets bool = false

@description('The https address of a ticket system.')
@secure()
@maxLength(2000)
param eventsTicketsAddress string = ''

@description('The header Authorization of the requests to eventsTicketsAddress. Empty: none.')
@secure()
@maxLength(4000)
param eventsTicketsAuthorization string = ''

@description('The cloud (LIFEBOAT_CLOUD).')
@allowed(['public', 'government', 'china'])
param cloud string = environment().name == 'AzureUSGovernment'
  ? 'government'
  : environment().name == 'AzureChinaCloud' ? 'china' : 'public'

@description('true, or a reason in words, stops plans, deletions and restores (LIFEBOAT_STOPPED). Empty: nothing is stopped.')
@maxLength(200)
param stopped string = ''

@description('The URL of plan.yaml in another account (LIFEBOAT_PLAN), on which you give the app Storage Blob Data Reader. Empty: the container lifeboat-config of the new account.')
param planUrl string = ''

// ---- its storage

@description('How often Azure keeps the table, the queues and the plan. A region without zones has no ZRS.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS'])
param storageSku string = 'Standard_ZRS'

@description('The services of the storage account that log each reading, writing and deleting: none, the blobs with the plan, or all.')
@allowed(['none', 'blob', 'all'])
param storageLogs string = 'blob'

// ---- its logs

@description('The ID of a Log Analytics workspace that exists. Empty: a new one.')
param workspaceId string = ''

@description('How many days a new workspace keeps logs. People ask for restores late.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 90

// ---- who is told

@description('True: an alert rule for each runbook, and a workbook. Azure charges for each rule.')
param alerts bool = true

@description('True: Azure calls the app from several places every five minutes, and alerts if it does not answer: that needs no log. Azure charges for each call.')
param availability bool = false

@description('The e-mail address that alerts go to. Empty: none.')
@maxLength(254)
param alertEmail string = ''

@description('The https address that alerts go to, in the common alert schema. Empty: none.')
@secure()
@maxLength(2000)
param alertWebhook string = ''

@description('The ID of an action group that exists, which alerts go to. Empty: none.')
param actionGroupId string = ''

@description('The address of the runbooks, where alerts send people: https://wiki.contoso.com/lifeboat. Empty: docs/runbooks.')
param runbooksUrl string = ''

// ---- who may do what

@description('True: the app and whoever deploys get their roles here. False: the output LIFEBOAT_ROLES has the commands for people who may give roles, and the package comes after that.')
param roleAssignments bool = true

@description('The object ID of whoever uploads the plan and looks at events. Empty: nobody.')
param principalId string = ''

@description('The type of that principal.')
@allowed(['Group', 'ServicePrincipal', 'User'])
param principalType string = 'User'

// ---- sign-in with Microsoft Entra, in front of the keys

@description('The client ID of an app registration, with which callers must sign in, besides their key. Empty: keys alone.')
@maxLength(36)
param entraClientId string = ''

@description('The object IDs of the people, groups and identities that may call. Without a list, any identity of the tenant would get in.')
param entraPrincipals string[] = []

@description('The client IDs of the applications that may call. With both lists, a caller must be in both.')
param entraApplications string[] = []

// ---- its network

@description('none: no network. new: a network with two subnets. existing: your own subnets. With a network, storage has private endpoints alone.')
@allowed(['none', 'new', 'existing'])
param network string = 'none'

@description('The addresses of a new network, from /20 to /25.')
param networkAddresses string = '10.64.0.0/24'

@description('The ID of your subnet for the app, delegated to Microsoft.App/environments, with an underscore nowhere in its name.')
param appSubnetId string = ''

@description('The ID of your subnet for private endpoints.')
param endpointSubnetId string = ''

@description('none: a policy of yours registers the names of private endpoints. existing: privateDnsZones has your zones. new: makes the zones here, for a new network.')
@allowed(['none', 'existing', 'new'])
param privateDns string = 'none'

@export()
@description('IDs of private DNS zones that exist, in any subscription.')
type zoneType = {
  @description('The zone privatelink.blob.')
  blob: string?

  @description('The zone privatelink.queue.')
  queue: string?

  @description('The zone privatelink.table.')
  table: string?

  @description('The zone privatelink.managedhsm.')
  managedhsm: string?
}

@description('The IDs of your private DNS zones.')
param privateDnsZones zoneType = {}

@export()
@description('A resource that the app reaches through a private endpoint of its own.')
type endpointType = {
  @description('The name of the endpoint.')
  name: string

  @description('The ID of the account for backups, or of the HSM.')
  id: string

  @description('blob for an account, managedhsm for an HSM.')
  group: 'blob' | 'managedhsm'
}

@description('Private endpoints for accounts for backups and for HSMs. Each costs by the hour.')
param endpoints endpointType[] = []

@description('False: nobody calls the app from outside its networks, which need a private endpoint of yours for that.')
param publicNetworkAccess bool = true

// ----

@description('The part of names that makes them unique.')
var tok = uniqueString(subscription().id, resourceGroup().id, environmentName)

@description('Tags of everything.')
var allTags = union(tags, { 'azd-env-name': environmentName })

@description('The name of the storage account.')
var storageName = names.?storage ?? 'stlifeboat${tok}'

@description('The name of the function app.')
var appName = names.?app ?? 'func-lifeboat-${tok}'

@description('The name of the Application Insights component.')
var insightsName = names.?insights ?? 'appi-lifeboat-${tok}'

@description('The name of a new workspace.')
var workspaceName = names.?logs ?? 'log-lifeboat-${tok}'

@description('The name of a new network.')
var networkName = names.?network ?? 'vnet-lifeboat-${tok}'

@description('The container of the package.')
var packageContainer = 'app-package-${tok}'

@description('The end of the names of the hosts of storage accounts.')
var suffix = environment().suffixes.storage

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: names.?identity ?? 'id-lifeboat-${tok}'
  location: location
  tags: allTags
}

module logs 'modules/logs.bicep' = {
  params: {
    location: location
    tags: allTags
    insightsName: insightsName
    workspaceName: workspaceName
    workspaceId: workspaceId
    retentionInDays: logRetentionDays
  }
}

module storage 'modules/storage.bicep' = {
  params: {
    name: storageName
    location: location
    tags: allTags
    sku: storageSku
    packageContainer: packageContainer
    public: network == 'none'
    workspaceId: empty(workspaceId)
      ? resourceId('Microsoft.OperationalInsights/workspaces', workspaceName)
      : workspaceId
    logged: storageLogs == 'all' ? ['blob', 'queue', 'table'] : storageLogs == 'blob' ? ['blob'] : []
  }
  dependsOn: [logs]
}

module roles 'modules/roles.bicep' = if (roleAssignments) {
  params: {
    account: storageName
    insights: insightsName
    identityId: identity.id
    app: identity.properties.principalId
    person: principalId
    personType: principalType
  }
  dependsOn: [storage]
}

// ---- network

module newNetwork 'modules/network.bicep' = if (network == 'new') {
  params: {
    location: location
    tags: allTags
    name: networkName
    addresses: networkAddresses
  }
}

@description('The subnet that the app calls out of.')
var appSubnet = network == 'none'
  ? ''
  : network == 'new'
      ? resourceId('Microsoft.Network/virtualNetworks/subnets', networkName, 'app')
      : empty(appSubnetId) ? fail('network is existing, and appSubnetId is empty') : appSubnetId

@description('The subnet for private endpoints.')
var endpointSubnet = network == 'none'
  ? ''
  : network == 'new'
      ? resourceId('Microsoft.Network/virtualNetworks/subnets', networkName, 'endpoints')
      : empty(endpointSubnetId) ? fail('network is existing, and endpointSubnetId is empty') : endpointSubnetId

@description('The end of the names of the hosts of Managed HSMs.')
var hsmSuffix = {
  public: 'managedhsm.azure.net'
  government: 'managedhsm.usgovcloudapi.net'
  china: 'managedhsm.azure.cn'
}[cloud]

@description('The names of private DNS zones, by the groups of private endpoints.')
var zoneNames = {
  blob: 'privatelink.blob.${suffix}'
  queue: 'privatelink.queue.${suffix}'
  table: 'privatelink.table.${suffix}'
  managedhsm: 'privatelink.${hsmSuffix}'
}

@description('Whether an HSM is reached through an endpoint.')
var withHSM = contains(map(endpoints, one => one.group), 'managedhsm')

module newZones 'modules/zones.bicep' = if (network != 'none' && privateDns == 'new') {
  params: {
    tags: allTags
    networkId: network == 'new'
      ? resourceId('Microsoft.Network/virtualNetworks', networkName)
      : fail('privateDns is new, and network is existing: make the zones yourself, link them to your network, and name them in privateDnsZones')
    names: withHSM
      ? [zoneNames.blob, zoneNames.queue, zoneNames.table, zoneNames.managedhsm]
      : [zoneNames.blob, zoneNames.queue, zoneNames.table]
  }
  dependsOn: [newNetwork]
}

module accountEndpoints 'modules/endpoint.bicep' = [
  for group in ['blob', 'queue', 'table']: if (network != 'none') {
    params: {
      location: location
      tags: allTags
      name: 'pe-${storageName}-${group}'
      subnetId: endpointSubnet
      target: resourceId('Microsoft.Storage/storageAccounts', storageName)
      group: group
      zoned: privateDns == 'new' || privateDns == 'existing' && contains(privateDnsZones, group)
      zoneId: privateDns == 'new'
        ? resourceId('Microsoft.Network/privateDnsZones', zoneNames[group])
        : privateDns == 'existing' ? privateDnsZones[?group] ?? '' : ''
    }
    dependsOn: [newNetwork, newZones, storage]
  }
]

module moreEndpoints 'modules/endpoint.bicep' = [
  for one in endpoints: {
    params: {
      location: location
      tags: allTags
      name: one.name
      subnetId: network == 'none' ? fail('endpoints need a network') : endpointSubnet
      target: one.id
      group: one.group
      zoned: privateDns == 'new' || privateDns == 'existing' && contains(privateDnsZones, one.group)
      zoneId: privateDns == 'new'
        ? resourceId('Microsoft.Network/privateDnsZones', zoneNames[one.group])
        : privateDns == 'existing' ? privateDnsZones[?one.group] ?? '' : ''
    }
    dependsOn: [newNetwork, newZones]
  }
]

// ---- the events

@description('The name of a new topic.')
var topicName = names.?topic ?? 'evgt-lifeboat-${tok}'

module events 'modules/events.bicep' = if (eventGrid) {
  params: {
    location: location
    tags: allTags
    name: empty(eventsTopic) ? topicName : fail('eventGrid makes a topic, and eventsTopic names another')
    identityId: identity.id
    app: identity.properties.principalId
    grant: roleAssignments
    webhook: eventsWebhook
    account: !eventsTeams && !eventsTickets || roleAssignments && network == 'none'
      ? storageName
      : fail('eventsTeams and eventsTickets need roleAssignments, and network none: a Logic App takes the events from a queue of the account')
    teams: eventsTeams
    teamsAddress: eventsTeamsAddress
    tickets: eventsTickets
    ticketsAddress: eventsTicketsAddress
    ticketsAuthorization: eventsTicketsAuthorization
  }
  dependsOn: [storage]
}

// ---- the app

@description('Where the plan is.')
var planAddress = empty(planUrl) ? 'https://${storageName}.blob.${suffix}/lifeboat-config/plan.yaml' : planUrl

module site 'modules/site.bicep' = {
  params: {
    location: location
    tags: allTags
    name: appName
    planName: names.?plan ?? 'plan-lifeboat-${tok}'
    identityId: identity.id
    packageContainerUrl: 'https://${storageName}.blob.${suffix}/${packageContainer}'
    instanceMemoryMB: instanceMemoryMB
    maximumInstances: maximumInstances
    alwaysReady: concat(
      alwaysReadyHttp > 0 ? [{ name: 'http', instanceCount: alwaysReadyHttp }] : [],
      alwaysReadyExecute > 0 ? [{ name: 'function:execute', instanceCount: alwaysReadyExecute }] : []
    )
    subnetId: appSubnet
    public: publicNetworkAccess
    // None may be empty: the host takes an empty AzureWebJobsStorage for a connection string, for one.
    settings: {
      AzureWebJobsStorage__accountName: storageName
      AzureWebJobsStorage__credential: 'managedidentity'
      AzureWebJobsStorage__clientId: identity.properties.clientId
      APPLICATIONINSIGHTS_CONNECTION_STRING: logs.outputs.connectionString
      APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identity.properties.clientId};Authorization=AAD'
      LIFEBOAT_PLAN: planAddress
      LIFEBOAT_SCHEDULE_TIMER: scheduleTimer
      LIFEBOAT_CLEANUP_TIMER: cleanupTimer
      LIFEBOAT_CONCURRENCY: string(concurrency)
      LIFEBOAT_HISTORY: history
      LIFEBOAT_EVENTS_ENCODING: (eventsTeams || eventsTickets) && !eventGrid
        ? fail('eventsTeams and eventsTickets need eventGrid')
        : eventsEncoding
      LIFEBOAT_CLOUD: cloud
      LIFEBOAT_STOPPED: empty(stopped) ? 'false' : stopped
    }
    // The host makes the addresses of the public cloud out of the name of the account.
    moreSettings: union(
      cloud == 'public'
        ? {}
        : {
            AzureWebJobsStorage__blobServiceUri: 'https://${storageName}.blob.${suffix}'
            AzureWebJobsStorage__queueServiceUri: 'https://${storageName}.queue.${suffix}'
            AzureWebJobsStorage__tableServiceUri: 'https://${storageName}.table.${suffix}'
          },
      eventGrid
        ? { LIFEBOAT_EVENTS_TOPIC: events!.outputs.endpoint }
        : empty(eventsTopic) ? {} : { LIFEBOAT_EVENTS_TOPIC: eventsTopic }
    )
    packageUri: packageUri
  }
  dependsOn: [roles, accountEndpoints]
}

module signIn 'modules/signin.bicep' = if (!empty(entraClientId)) {
  params: {
    app: appName
    clientId: entraClientId
    issuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
    principals: empty(entraPrincipals) && empty(entraApplications)
      ? fail('entraClientId needs entraPrincipals or entraApplications: without them any identity of the tenant gets in')
      : entraPrincipals
    applications: entraApplications
  }
  dependsOn: [site]
}

module alerting 'modules/alerts.bicep' = if (alerts || availability) {
  params: {
    location: location
    tags: allTags
    app: appName
    insightsId: logs.outputs.insightsId
    rules: alerts
    availability: availability && !publicNetworkAccess
      ? fail('availability needs publicNetworkAccess: Azure calls from outside')
      : availability
    host: site.outputs.host
    cloud: cloud
    email: alertEmail
    webhook: alertWebhook
    actionGroupId: actionGroupId
    runbooks: runbooksUrl
  }
}

// ---- azd writes these into the environment. None is a secret: the outputs of a deployment stay readable.

@description('All roles.')
var roleIds rolesType = toObject(loadJsonContent('roles.json'), role => role.name)

@description('The roles of the app, and on which resources.')
var wanted = concat(
  [
    { role: 'Storage Blob Data Owner', scope: resourceId('Microsoft.Storage/storageAccounts', storageName) }
    { role: 'Storage Queue Data Contributor', scope: resourceId('Microsoft.Storage/storageAccounts', storageName) }
    { role: 'Storage Table Data Contributor', scope: resourceId('Microsoft.Storage/storageAccounts', storageName) }
    { role: 'Monitoring Metrics Publisher', scope: resourceId('Microsoft.Insights/components', insightsName) }
  ],
  eventGrid ? [{ role: 'EventGrid Data Sender', scope: resourceId('Microsoft.EventGrid/topics', topicName) }] : []
)

@description('The queue of events.')
var eventsQueue = 'lifeboat-events'

@description('The region.')
output AZURE_LOCATION string = location

@description('The tenant.')
output AZURE_TENANT_ID string = tenant().tenantId

@description('The resource group.')
output AZURE_RESOURCE_GROUP string = resourceGroup().name

@description('The name of the function app.')
output LIFEBOAT_APP string = appName

@description('The address of the app, for the commands.')
output LIFEBOAT_URL string = 'https://${site.outputs.host}'

@description('The ID of the identity of the app.')
output LIFEBOAT_IDENTITY_ID string = identity.id

@description('The object ID of that identity, for grants.')
output LIFEBOAT_PRINCIPAL_ID string = identity.properties.principalId

@description('The client ID of that identity.')
output LIFEBOAT_CLIENT_ID string = identity.properties.clientId

@description('The name of the storage account.')
output LIFEBOAT_STORAGE_ACCOUNT string = storageName

@description('Where the plan is.')
output LIFEBOAT_PLAN_URL string = planAddress

@description('The queue of events.')
output LIFEBOAT_EVENTS_QUEUE string = eventsQueue

@description('The name of the Application Insights component.')
output APPLICATIONINSIGHTS_NAME string = insightsName

@description('The commands that give the app its roles, if the template did not.')
output LIFEBOAT_ROLES string[] = roleAssignments
  ? []
  : map(
      wanted,
      one =>
        'az role assignment create --assignee-object-id ${identity.properties.principalId} --assignee-principal-type ServicePrincipal --role ${roleIds[one.role].id!} --scope ${one.scope}'
    )
