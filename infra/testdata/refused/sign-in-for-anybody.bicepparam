using '../../app.bicep'

param entraClientId = '0c0ffee0-0000-4000-8000-00000000000b'
