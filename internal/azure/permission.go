package azure

// ReadPermissions is the action with which an identity may read its own permissions on a resource.
const ReadPermissions = "Microsoft.Authorization/permissions/read"
