// The package by an address, each setting another than its default, instances that are always there, all logs.
using '../app.bicep'

param cloud = 'public'
param packageUri = 'https://packages.contoso.example/lifeboat/v1.2.3/app.zip'
param instanceMemoryMB = 2048
param maximumInstances = 100
param alwaysReadyExecute = 1
param alwaysReadyHttp = 2
param scheduleTimer = '30 */2 * * * *'
param cleanupTimer = '0 7 * * * *'
param concurrency = 500
param eventsEncoding = 'base64'
param stopped = 'incident 42'
param planUrl = 'https://contosoplans.blob.core.windows.net/plans/plan.yaml'
param storageSku = 'Standard_LRS'
param storageLogs = 'all'
param logRetentionDays = 30
param principalId = '0c0ffee0-0000-4000-8000-00000000000a'
param principalType = 'Group'
param alerts = false
param eventsTopic = 'https://contoso.westeurope-1.eventgrid.azure.net/api/events'
