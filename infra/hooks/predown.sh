#!/bin/sh
# azd down deletes the whole resource group, and purges API Managements and Managed HSMs in it. So this stops where the group has
# something that a person would miss, and says what is lost and what is to be revoked otherwise.
set -eu
: "${AZURE_SUBSCRIPTION_ID:?azd sets it}" "${AZURE_ENV_NAME:?azd sets it}"

# A deployment that failed has left no outputs, and perhaps a group.
AZURE_RESOURCE_GROUP=${AZURE_RESOURCE_GROUP:-${LIFEBOAT_RESOURCE_GROUP:-rg-lifeboat-$AZURE_ENV_NAME}}

refuse() {
  printf '\nNothing was deleted. %s\n' "$1" >&2
  exit 1
}

command -v az >/dev/null 2>&1 || refuse "az is not installed, so nobody can look what the resource group $AZURE_RESOURCE_GROUP holds."

group=$(az group exists --subscription "$AZURE_SUBSCRIPTION_ID" --name "$AZURE_RESOURCE_GROUP" --output tsv) ||
  refuse "az cannot look at the resource group $AZURE_RESOURCE_GROUP: az login, then again."
[ "$group" = true ] || exit 0

held=$(az resource list --subscription "$AZURE_SUBSCRIPTION_ID" --resource-group "$AZURE_RESOURCE_GROUP" --query '[].[type, name, tags."azd-env-name"]' --output tsv) ||
  refuse "az cannot list what the resource group $AZURE_RESOURCE_GROUP holds."
# Each resource of the templates has the tag; a policy may give it to others too, which azd down must not delete in any case. Azure makes
# some by itself, without tags.
foreign=$(printf '%s\n' "$held" | awk -F '\t' -v environment="$AZURE_ENV_NAME" -v account="${LIFEBOAT_STORAGE_ACCOUNT:-}" '
  { type = tolower($1) }
  type == "microsoft.apimanagement/service" || type == "microsoft.keyvault/managedhsms" || type == "microsoft.keyvault/vaults" ||
  type ~ /^microsoft\.confidentialledger\// || (type == "microsoft.storage/storageaccounts" && account != "" && $2 != account) {
    print "  " $1 " " $2; next
  }
  type == "microsoft.network/networkinterfaces" || type == "microsoft.alertsmanagement/smartdetectoralertrules" ||
  (type == "microsoft.insights/actiongroups" && $2 == "Application Insights Smart Detection") { next }
  NF && $3 != environment { print "  " $1 " " $2 }')
[ -z "$foreign" ] || refuse "The resource group $AZURE_RESOURCE_GROUP holds more than Lifeboat, which azd down would delete for good:
$foreign
Move it to another resource group, or delete Lifeboat's own resources by hand."

cat <<TEXT

azd down deletes the resource group $AZURE_RESOURCE_GROUP, and with it:
  - which backups there are, and how each ended: the table lifeboat of ${LIFEBOAT_STORAGE_ACCOUNT:-its account}. The backups stay, and
    each has a manifest beside it, but no app knows them any more
  - the plan with its earlier versions, events that nobody read, the keys of the app, the logs of its own workspace
Accounts for backups, vaults and the services themselves are in other resource groups, and stay.

TEXT

[ -n "${LIFEBOAT_PRINCIPAL_ID:-}" ] || exit 0
echo "Revoke these grants before you go on: later they belong to an unknown principal. A lock on an account keeps its grants; delete the lock first."
subscriptions=$(az account list --query '[].id' --output tsv) || subscriptions=
{
  [ -n "$subscriptions" ] || echo "unseen other subscriptions than $AZURE_SUBSCRIPTION_ID"
  for subscription in ${subscriptions:-$AZURE_SUBSCRIPTION_ID}; do
    az role assignment list --subscription "$subscription" --all --assignee-object-id "$LIFEBOAT_PRINCIPAL_ID" --query '[].id' --output tsv ||
      echo "unseen the subscription $subscription"
  done
} | awk -v group="$(printf '/resourcegroups/%s/' "$AZURE_RESOURCE_GROUP" | tr '[:upper:]' '[:lower:]')" -v own="$(printf '/subscriptions/%s' "$AZURE_SUBSCRIPTION_ID" | tr '[:upper:]' '[:lower:]')" '
  sub(/^unseen /, "") { print "  (not all: az cannot list the grants in " $0 "; look there by hand, or with az 2.72 or later)"; some = 1; next }
  index(tolower($0), own group) != 1 && NF { printf "  az role assignment delete --ids %s\n", $0; some = 1 }
  END { if (!some) print "  (none that this sign-in can see)" }'
cat <<TEXT
And on each Managed HSM of the plan, as its administrator:
  az keyvault role assignment delete --hsm-name NAME --assignee-object-id $LIFEBOAT_PRINCIPAL_ID --scope /

TEXT
