using '../../app.bicep'

param eventGrid = true
param eventsTopic = 'https://contoso.westeurope-1.eventgrid.azure.net/api/events'
