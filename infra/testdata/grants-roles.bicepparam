using '../grants/roles.bicep'
