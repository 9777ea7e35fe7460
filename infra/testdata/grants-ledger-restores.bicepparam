using '../grants/ledger.bicep'

param name = 'contoso'
param kind = 'ledger'
param principalId = '0c0ffee0-0000-4000-8000-000000000003'
param restores = true
param before20260223 = true
