// A vault for one API Management.
using '../vault.bicep'

param location = 'westeurope'
param principalId = '0c0ffee0-0000-4000-8000-000000000003'
param containers = [{ name: 'apim-contoso', writers: ['0c0ffee0-0000-4000-8000-000000000004'] }]
