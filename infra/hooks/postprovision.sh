#!/bin/sh
# Puts a first plan beside the app if there is none, and prints what comes next.
set -eu
: "${AZURE_RESOURCE_GROUP:?azd sets it}" "${AZURE_LOCATION:?azd sets it}" "${LIFEBOAT_APP:?azd sets it}" "${LIFEBOAT_URL:?azd sets it}" "${LIFEBOAT_PLAN_URL:?azd sets it}" "${LIFEBOAT_PRINCIPAL_ID:?azd sets it}"

starter=$(cd "$(dirname "$0")/.." && pwd)/starter.yaml
pause=${LIFEBOAT_HOOK_PAUSE:-15}

# upload says what became of the first plan: uploaded, kept, or not. A role that was given a minute ago may not be in force yet.
upload() {
  tries=0
  while [ "$tries" -lt 8 ]; do
    if answer=$(az storage blob upload --auth-mode login --blob-url "$LIFEBOAT_PLAN_URL" --file "$starter" --if-none-match '*' \
      --no-progress --only-show-errors --output none 2>&1); then
      echo uploaded
      return
    fi
    case $answer in
      *'already exists'* | *BlobAlreadyExists* | *ConditionNotMet*) echo kept && return ;;
      *AuthorizationPermissionMismatch* | *'required permissions'*) ;;
      *) break ;;
    esac
    tries=$((tries + 1))
    sleep "$pause"
  done
  printf '%s\n' "$answer" >&2
  echo not
}

echo
if [ -n "${LIFEBOAT_ROLES:-}" ] && [ "$LIFEBOAT_ROLES" != '[]' ]; then
  echo "The app has no roles yet. Somebody who may give roles runs:"
  echo
  printf '%s\n' "$LIFEBOAT_ROLES" | awk '{ gsub(/^\["|"\]$/, ""); gsub(/","/, "\n"); print }'
  echo
fi

if [ -n "${LIFEBOAT_PLAN:-}" ]; then
  echo "The plan is your own: $LIFEBOAT_PLAN_URL. The app needs Storage Blob Data Reader there."
elif ! command -v az >/dev/null 2>&1; then
  echo "az is not installed, so no plan was uploaded. Somebody with az runs: az storage blob upload --auth-mode login --blob-url $LIFEBOAT_PLAN_URL --file infra/starter.yaml"
else
  case $(upload) in
    uploaded) echo "A first plan, which backs up nothing, is at $LIFEBOAT_PLAN_URL" ;;
    kept) echo "There is a plan already, which stays as it is: $LIFEBOAT_PLAN_URL" ;;
    *)
      echo "No plan could be uploaded: see above. From a machine that reaches the account, with Storage Blob Data Contributor there:"
      echo "  az storage blob upload --auth-mode login --blob-url $LIFEBOAT_PLAN_URL --file infra/starter.yaml"
      ;;
  esac
fi

cat <<TEXT

Lifeboat is $LIFEBOAT_APP in the resource group $AZURE_RESOURCE_GROUP: $LIFEBOAT_URL

TEXT
[ -n "${LIFEBOAT_PACKAGE_URI:-}" ] || cat <<TEXT
The program itself is not there yet, as LIFEBOAT_PACKAGE_URI is not set. Set it to the address of a release's app.zip:
  azd env set LIFEBOAT_PACKAGE_URI ADDRESS, and: azd provision
Or from a clone:
  make package
  az functionapp deployment source config-zip --resource-group $AZURE_RESOURCE_GROUP --name $LIFEBOAT_APP --src build/app.zip

TEXT
cat <<TEXT
Next:
1. The accounts for backups, best in another region than the services. The second command prints their IDs:
     az deployment sub create --name lifeboat-backups --location $AZURE_LOCATION --template-file infra/backups.bicep \\
       --parameters principalId=$LIFEBOAT_PRINCIPAL_ID ledgers=true containers='[]'
     az deployment sub show --name lifeboat-backups --query properties.outputs
2. The plan, of the services that you see:
     lifeboat init -o plan.yaml --account ID, edit it, and: lifeboat plan check plan.yaml --live
3. The roles of the app, and those of the services on their containers:
     lifeboat plan roles plan.yaml --principal $LIFEBOAT_PRINCIPAL_ID -o az >roles.sh, read it, and: sh roles.sh
4. Put the plan in its place:
     lifeboat plan push plan.yaml --to $LIFEBOAT_PLAN_URL
5. The first backup:
     export LIFEBOAT_URL=$LIFEBOAT_URL
     export LIFEBOAT_KEY=\$(az functionapp function keys list --resource-group $AZURE_RESOURCE_GROUP --name $LIFEBOAT_APP \\
       --function-name api --query default --output tsv)
     lifeboat check, and if it has nothing to say: lifeboat backup --help
TEXT
