using '../../app.bicep'

param network = 'existing'
