// A container for each of two API Managements and an HSM, and an account for ledgers.
using '../backups.bicep'

param location = 'westeurope'
param principalId = '0c0ffee0-0000-4000-8000-000000000003'
param ledgers = true
param containers = [
  { name: 'apim-contoso', writers: ['0c0ffee0-0000-4000-8000-000000000004'] }
  { name: 'apim-fabrikam', writers: ['0c0ffee0-0000-4000-8000-000000000005'] }
  { name: 'hsm-contoso', writers: ['0c0ffee0-0000-4000-8000-000000000006'] }
]
