using '../../app.bicep'

param publicNetworkAccess = false
param availability = true
