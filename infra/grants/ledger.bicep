// The grant on one Confidential Ledger or Managed CCF. Deploy it into the group of the ledger, after roles.bicep into its
// subscription:
//
//   az deployment group create --subscription TARGETS -g GROUP -f infra/grants/ledger.bicep -p name=NAME principalId=PRINCIPAL

@description('The name of the ledger.')
@minLength(1)
@maxLength(64)
param name string

@description('Its kind: a Confidential Ledger or a Managed CCF.')
@allowed(['ledger', 'managedCCF'])
param kind string = 'ledger'

@description('The object ID of the identity of the app: the output LIFEBOAT_PRINCIPAL_ID.')
@minLength(36)
@maxLength(36)
param principalId string

@description('The ID of the role that roles.bicep made.')
var roleId = guid(subscription().id, 'Lifeboat Ledger Operator')

resource ledger 'Microsoft.ConfidentialLedger/ledgers@2022-05-13' existing = if (kind == 'ledger') {
  name: name
}

resource ccf 'Microsoft.ConfidentialLedger/managedCCFs@2023-06-28-preview' existing = if (kind == 'managedCCF') {
  name: name
}

resource onLedger 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (kind == 'ledger') {
  name: guid(ledger.id, principalId, roleId)
  scope: ledger
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleId)
  }
}

resource onCCF 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (kind == 'managedCCF') {
  name: guid(ccf.id, principalId, roleId)
  scope: ccf
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleId)
  }
}
