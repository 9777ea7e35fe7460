// Another cloud.
using '../app.bicep'

param cloud = 'government'
