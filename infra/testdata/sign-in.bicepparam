// Sign-in with Microsoft Entra in front of the keys.
using '../app.bicep'

param cloud = 'public'
param entraClientId = '0c0ffee0-0000-4000-8000-00000000000b'
param entraPrincipals = ['0c0ffee0-0000-4000-8000-00000000000c']
param entraApplications = ['0c0ffee0-0000-4000-8000-00000000000d']
param alerts = false
