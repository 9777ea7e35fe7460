// The grant on the resource of one Managed HSM. Deploy it into the group of the HSM:
//
//   az deployment group create --subscription TARGETS -g GROUP -f infra/grants/hsm.bicep -p name=NAME principalId=PRINCIPAL
//
// An HSM has its own access control, which no template reaches. A Managed HSM Administrator runs what the output commands has,
// from a machine that the HSM lets in.

@description('The name of the Managed HSM.')
@minLength(3)
@maxLength(24)
param name string

@description('The object ID of the identity of the app: the output LIFEBOAT_PRINCIPAL_ID.')
@minLength(36)
@maxLength(36)
param principalId string

@description('To look at the resource.')
var reader = filter(loadJsonContent('../roles.json'), role => role.name == 'Reader')[0].id

resource hsm 'Microsoft.KeyVault/managedHSMs@2024-11-01' existing = {
  name: name
}

resource read 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(toLower(hsm.id), toLower(principalId), reader)
  scope: hsm
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', reader)
  }
}

@description('The commands for an administrator of the HSM.')
output commands string[] = map(
  ['Managed HSM Backup', 'Managed HSM Restore'],
  role =>
    'az keyvault role assignment create --hsm-name ${name} --role "${role}" --scope / --assignee-object-id ${principalId} --assignee-principal-type ServicePrincipal'
)
