# Never run: written without a Windows to try it on. preprovision.sh says why.
$ErrorActionPreference = 'Stop'
if (-not $env:AZURE_SUBSCRIPTION_ID) { exit 0 }
foreach ($p in 'Microsoft.App', 'Microsoft.Insights', 'Microsoft.ManagedIdentity', 'Microsoft.OperationalInsights', 'Microsoft.Storage', 'Microsoft.Web') {
  az provider register --subscription $env:AZURE_SUBSCRIPTION_ID --namespace $p --only-show-errors
}
exit 0
