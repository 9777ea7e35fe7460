# Never run: written without a Windows to try it on. predown.sh says why.
$query = "[?starts_with(type, 'Microsoft.ApiManagement/') || starts_with(type, 'Microsoft.KeyVault/') || starts_with(type, 'Microsoft.ConfidentialLedger/') || (type == 'Microsoft.Storage/storageAccounts' && name != '$env:LIFEBOAT_STORAGE_ACCOUNT')].id"
$foreign = az resource list --subscription $env:AZURE_SUBSCRIPTION_ID --resource-group $env:AZURE_RESOURCE_GROUP --query $query --output tsv
if ($LASTEXITCODE -ne 0 -or $foreign) { Write-Host "Nothing was deleted. ${env:AZURE_RESOURCE_GROUP} holds more than Lifeboat, or az cannot look: $foreign"; exit 1 }
Write-Host "azd down deletes all that Lifeboat knows of its backups, which stay. Revoke these grants first: az role assignment delete --ids"
az role assignment list --subscription $env:AZURE_SUBSCRIPTION_ID --all --assignee-object-id $env:LIFEBOAT_PRINCIPAL_ID --query '[].id' --output tsv
exit 0
