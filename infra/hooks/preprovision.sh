#!/bin/sh
# Registers what a subscription that never had a function app lacks, and looks whether the region has Flex Consumption. It only
# warns: Azure itself refuses what cannot be deployed.
set -eu

# azd provision runs this before it asks for them the first time; azd up asks first.
[ -n "${AZURE_SUBSCRIPTION_ID:-}" ] && [ -n "${AZURE_LOCATION:-}" ] || exit 0

command -v az >/dev/null 2>&1 || {
  echo "az is not installed, so nobody looked whether this subscription and region can have Lifeboat" >&2
  exit 0
}

for provider in Microsoft.App Microsoft.Insights Microsoft.ManagedIdentity Microsoft.OperationalInsights Microsoft.Storage Microsoft.Web; do
  state=$(az provider show --subscription "$AZURE_SUBSCRIPTION_ID" --namespace "$provider" --query registrationState --output tsv) || state=unknown
  [ "$state" = Registered ] || {
    echo "registering the resource provider $provider"
    az provider register --subscription "$AZURE_SUBSCRIPTION_ID" --namespace "$provider" --wait --only-show-errors ||
      echo "$provider could not be registered: an Owner or Contributor of the subscription can" >&2
  }
done

regions=$(az functionapp list-flexconsumption-locations --query '[].name' --output tsv) || regions=
if [ -n "$regions" ] && ! printf '%s\n' "$regions" | tr -d ' ' | grep -qix "$AZURE_LOCATION"; then
  echo "the region $AZURE_LOCATION has no Flex Consumption plan: az functionapp list-flexconsumption-locations" >&2
fi
