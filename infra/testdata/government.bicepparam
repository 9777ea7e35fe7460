// Another cloud.
using '../app.bicep'

param cloud = 'government'
param alerts = false
param availability = true
param eventsTopic = 'https://contoso.usgovvirginia-1.eventgrid.azure.us/api/events'
