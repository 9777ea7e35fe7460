// Sign-in with Microsoft Entra, in front of the keys.

@description('The name of the function app.')
param app string

@description('The client ID of the app registration.')
param clientId string

@description('The issuer of its tokens.')
param issuer string

@description('The object IDs of the people, groups and identities that may call.')
param principals string[]

@description('The client IDs of the applications that may call.')
param applications string[]

resource site 'Microsoft.Web/sites@2024-04-01' existing = {
  name: app
}

// A monitor has a key and no token, so health and metrics are left out.
resource settings 'Microsoft.Web/sites/config@2024-04-01' = {
  parent: site
  name: 'authsettingsV2'
  properties: {
    platform: { enabled: true }
    globalValidation: {
      requireAuthentication: true
      unauthenticatedClientAction: 'Return401'
      excludedPaths: ['/api/health', '/api/live', '/api/metrics']
    }
    httpSettings: { requireHttps: true }
    identityProviders: {
      azureActiveDirectory: {
        enabled: true
        registration: { clientId: clientId, openIdIssuer: issuer }
        validation: {
          allowedAudiences: ['api://${clientId}', clientId]
          defaultAuthorizationPolicy: {
            allowedApplications: applications
            allowedPrincipals: { identities: principals }
          }
        }
      }
    }
    login: { tokenStore: { enabled: false } }
  }
}
