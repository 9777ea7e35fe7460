// A container for backups in an account that is there, for grants to stand on. One that is there stays as it is.

@description('The name of the account.')
param account string

@description('The name of the container.')
param name string

resource storage 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: account

  resource blobs 'blobServices' existing = {
    name: 'default'

    resource container 'containers' = {
      name: name
    }
  }
}
