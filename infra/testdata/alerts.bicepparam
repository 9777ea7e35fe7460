// Alerts, and whom they tell; a call from outside.
using '../app.bicep'

param cloud = 'public'
param availability = true
param alertEmail = 'oncall@contoso.example'
param alertWebhook = 'https://hooks.contoso.example/lifeboat'
param actionGroupId = '/subscriptions/0c0ffee0-0000-4000-8000-000000000009/resourceGroups/ops/providers/Microsoft.Insights/actionGroups/oncall'
param runbooksUrl = 'https://wiki.contoso.example/lifeboat'
