using '../grants/roles.bicep'

param restores = false
