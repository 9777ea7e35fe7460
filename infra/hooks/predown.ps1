# Never run: written without a Windows to try it on. predown.sh says why, and which resources it takes for whose. Patterns match in any letter case.
$list = az resource list --subscription $env:AZURE_SUBSCRIPTION_ID --resource-group $env:AZURE_RESOURCE_GROUP --output json
if ($LASTEXITCODE -ne 0) { Write-Host "Nothing was deleted. az cannot list what ${env:AZURE_RESOURCE_GROUP} holds."; exit 1 }
$never, $azures = '^microsoft\.(apimanagement/service|keyvault/managedhsms|keyvault/vaults|confidentialledger/\w+) ', '^microsoft\.(network/networkinterfaces |alertsmanagement/smartdetectoralertrules |insights/actiongroups application insights smart detection$)'
$others = if ($env:LIFEBOAT_STORAGE_ACCOUNT) { "^microsoft\.storage/storageaccounts (?!$env:LIFEBOAT_STORAGE_ACCOUNT`$)" } else { '^$' }
$foreign = ($list -join "`n" | ConvertFrom-Json) | ForEach-Object { if ("$($_.type) $($_.name)" -match "$never|$others" -or ($_.tags.'azd-env-name' -cne $env:AZURE_ENV_NAME -and "$($_.type) $($_.name)" -notmatch $azures)) { "$($_.type) $($_.name)" } }
if ($foreign) { Write-Host "Nothing was deleted. ${env:AZURE_RESOURCE_GROUP} holds more than Lifeboat: $($foreign -join ', ')"; exit 1 }
Write-Host "azd down deletes all that Lifeboat knows of its backups, which stay. Revoke these grants first, each ID by az role assignment delete --ids ID"
az role assignment list --subscription $env:AZURE_SUBSCRIPTION_ID --all --assignee-object-id $env:LIFEBOAT_PRINCIPAL_ID --query '[].id' --output tsv
if ($LASTEXITCODE -ne 0) { Write-Host "(not all: az cannot list the grants)" }; exit 0
