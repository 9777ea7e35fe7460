package main

import (
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/google/uuid"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/services/apim"
	"lifeboat/internal/services/ledger"
	"lifeboat/internal/services/managedhsm"
	"lifeboat/internal/storage"
)

// version is what this program was built from; the Makefile gives it (-ldflags "-X main.version=…").
var version = "dev"

// options are those of all clients of Azure.
var options = azure.Options(version, uuid.NewString)

// look makes an engine that can only look at the services, as the app's identity or as whoever is signed in.
func look(getenv func(string) string) (*engine.Engine, error) {
	credential, err := storage.Credential(getenv, options)
	return &engine.Engine{Providers: providers(credential, 1)}, err
}

// providers are the adapters by the type of resource that they serve. The factor shortens Azure's times with our waits.
func providers(credential azcore.TokenCredential, factor float64) map[string]backup.Provider {
	ledgers, hsms := ledger.New(credential, options), managedhsm.New(credential, options)
	hsms.Recent = time.Duration(float64(hsms.Recent) * factor)
	return map[string]backup.Provider{
		"microsoft.apimanagement/service":          apim.New(credential, options),
		"microsoft.confidentialledger/ledgers":     ledgers,
		"microsoft.confidentialledger/managedccfs": ledgers,
		"microsoft.keyvault/managedhsms":           hsms,
	}
}
