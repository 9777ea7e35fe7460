// A vault in a group of your own, for an API Management that writes in blocks.
using '../vault.bicep'

param location = 'westeurope'
param resourceGroupName = 'vault'
param accountName = 'contosovault'
param principalId = '0c0ffee0-0000-4000-8000-000000000003'
param containers = [{ name: 'apim-contoso', writers: ['0c0ffee0-0000-4000-8000-000000000004'] }]
param immutableDays = 14
param firewall = true
param lock = false
param blocks = true
