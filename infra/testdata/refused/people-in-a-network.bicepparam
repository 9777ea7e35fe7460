using '../../app.bicep'

param eventGrid = true
param eventsTeams = true
param network = 'new'
