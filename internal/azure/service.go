package azure

import (
	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"lifeboat/internal/backup"
)

// Service is a service that Lifeboat backs up, and how its provider is made.
type Service struct {
	backup.Service
	// New makes the provider, which acts with the identity behind cred. Factor shortens the times that Azure's side has, where
	// the waits on it are shortened.
	New func(cred azcore.TokenCredential, opts azcore.ClientOptions, factor float64) backup.Provider
	// Marker makes what lifeboat prove damages the service with, by the identity of the client; nil if it cannot.
	Marker func(Client) backup.Marker
	// Maker makes what makes one for lifeboat prove, by the identity of the client; nil if that takes one that is there.
	Maker func(Client) backup.Maker
}
