using '../../app.bicep'

param eventsTickets = true
