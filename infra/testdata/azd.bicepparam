// The deployment of azd.
using '../main.bicep'

param environmentName = 'prod'
param location = 'westeurope'
param cloud = 'public'
param principalId = '0c0ffee0-0000-4000-8000-00000000000a'
param tags = '{"owner":"platform"}'
param names = '{"app":"contoso-lifeboat"}'
param entraClientId = '0c0ffee0-0000-4000-8000-00000000000b'
param entraPrincipals = '0c0ffee0-0000-4000-8000-00000000000c,0c0ffee0-0000-4000-8000-00000000000d'
param packageUri = 'https://packages.contoso.example/lifeboat/v1.2.3/app.zip'
param alertEmail = 'oncall@contoso.example'
