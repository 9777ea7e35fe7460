# Never run: written without a Windows to try it on. postprovision.sh prints more.
if (-not $env:LIFEBOAT_PLAN) {
  az storage blob upload --auth-mode login --blob-url $env:LIFEBOAT_PLAN_URL --file infra/starter.yaml --if-none-match '*' --no-progress
}
Write-Host "Lifeboat is ${env:LIFEBOAT_APP}, ${env:LIFEBOAT_URL}. Next: lifeboat plan roles plan.yaml --principal ${env:LIFEBOAT_PRINCIPAL_ID}"
exit 0
