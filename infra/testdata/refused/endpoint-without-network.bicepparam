using '../../app.bicep'

param endpoints = [{ name: 'pe-backups', id: '/subscriptions/0c0ffee0-0000-4000-8000-000000000009/resourceGroups/x/providers/Microsoft.Storage/storageAccounts/contosobackups', group: 'blob' }]
