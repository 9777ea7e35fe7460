// Names of your own, a firewall, no lock, no ledgers.
using '../backups.bicep'

param location = 'westeurope'
param resourceGroupName = 'backups'
param accountName = 'contosobackups'
param tags = { owner: 'platform' }
param principalId = '0c0ffee0-0000-4000-8000-000000000003'
param containers = [{ name: 'apim-contoso', writers: [] }]
param storageSku = 'Standard_GZRS'
param softDeleteDays = 30
param firewall = true
param lock = false
