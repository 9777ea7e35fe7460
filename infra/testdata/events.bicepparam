// A topic of Event Grid for the events, and a webhook that gets them.
using '../app.bicep'

param cloud = 'public'
param alerts = false
param eventGrid = true
param eventsWebhook = 'https://hooks.contoso.example/events'
