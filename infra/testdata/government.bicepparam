// Another cloud.
using '../app.bicep'

param cloud = 'government'
param alerts = false
param availability = true
