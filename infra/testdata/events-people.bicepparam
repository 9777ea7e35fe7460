// A topic of Event Grid, and what a person must know of it in Teams and in a ticket system.
using '../app.bicep'

param cloud = 'public'
param alerts = false
param eventGrid = true
param eventsTeams = true
param eventsTeamsAddress = 'https://prod.westeurope.logic.contoso.example/workflows/teams'
param eventsTickets = true
param eventsTicketsAddress = 'https://tickets.contoso.example/api/events'
param eventsTicketsAuthorization = 'Bearer of-the-ticket-system'
