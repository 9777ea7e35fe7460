// The grants on one Confidential Ledger or Managed CCF. Deploy it into the group of the ledger, after roles.bicep into its
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

@description('True: the app may restore into this group; it restores no ledger that Azure only exports. A restore makes the service anew, so the role stands on the group.')
param restores bool = false

@description('True for a ledger of a plan with a ccf.apiVersion before 2026-02-23: Azure backed it up then, and restored it. roles.bicep makes its roles with the same parameter.')
param before20260223 bool = false

@description('The ID of the role for backups that roles.bicep made.')
var backupRole = guid(
  toLower(subscription().id),
  kind == 'managedCCF'
    ? 'Lifeboat Managed CCF Backup'
    : before20260223 ? 'Lifeboat Ledger Backup before 2026-02-23' : 'Lifeboat Ledger Backup'
)

@description('The ID of the role for restores.')
var restoreRole = guid(
  toLower(subscription().id),
  kind == 'ledger' ? 'Lifeboat Ledger Restore' : 'Lifeboat Managed CCF Restore'
)

resource ledger 'Microsoft.ConfidentialLedger/ledgers@2022-05-13' existing = if (kind == 'ledger') {
  name: name
}

resource ccf 'Microsoft.ConfidentialLedger/managedCCFs@2023-06-28-preview' existing = if (kind == 'managedCCF') {
  name: name
}

resource onLedger 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (kind == 'ledger') {
  name: guid(toLower(ledger.id), toLower(principalId), backupRole)
  scope: ledger
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', backupRole)
  }
}

resource onCCF 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (kind == 'managedCCF') {
  name: guid(toLower(ccf.id), toLower(principalId), backupRole)
  scope: ccf
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', backupRole)
  }
}

module restore 'group.bicep' = if (restores && (kind == 'managedCCF' || before20260223)) {
  params: { principalId: principalId, role: restoreRole }
}
