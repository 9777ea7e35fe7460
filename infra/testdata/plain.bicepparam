// Nothing but the defaults.
using '../app.bicep'

param cloud = 'public'
