// No grants: whoever deploys is a Contributor, and others give the roles.
using '../app.bicep'

param cloud = 'public'
param roleAssignments = false
param alerts = false
