package main

import (
	"context"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/google/uuid"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
	"lifeboat/internal/cli/client"
	"lifeboat/internal/config"
	"lifeboat/internal/engine"
	"lifeboat/internal/services"
	"lifeboat/internal/services/ledger"
	"lifeboat/internal/storage"
	"lifeboat/internal/storage/queue"
)

// version is the version of the source of this program; the Makefile sets it (-ldflags "-X main.version=…").
var version = "dev"

// options are the options of all clients of Azure.
var options = azure.Options(version, uuid.NewString)

// known are the services that Lifeboat backs up.
var known = services.All()

// identity returns the app's identity, or the signed-in user, and the options of clients that act by it.
func identity(getenv func(string) string) (azcore.TokenCredential, azcore.ClientOptions, error) {
	cloud, err := azure.NamedCloud(getenv(azure.CloudSetting))
	options := options
	if err != nil {
		return nil, options, err
	}
	options.Cloud = cloud.Configuration
	credential, err := storage.Credential(getenv, options)
	return credential, options, err
}

// own are the things of the app's own that a check looks at.
func own(queues *queue.Queue, clients storage.Clients) []engine.Own {
	return []engine.Own{
		{What: "the app's own queues", Look: queues.Look},
		{What: "the topic of the events", Look: queues.LookAtTopic},
		{What: "the blobs of the Functions host", Look: clients.Host.Look},
	}
}

// look makes an engine that can only read the services.
func look(getenv func(string) string) (*engine.Engine, error) {
	credential, options, err := identity(getenv)
	if err != nil {
		return nil, err
	}
	return &engine.Engine{Services: known.Known(), Providers: known.Providers(credential, options, 1)}, nil
}

// planBlob opens the plan.yaml at the URL.
func planBlob(getenv func(string) string, location string) (*config.PlanBlob, error) {
	credential, options, err := identity(getenv)
	if err != nil {
		return nil, err
	}
	return config.NewPlanBlob(location, credential, options)
}

// find searches the subscriptions for services.
func find(ctx context.Context, getenv func(string) string, subscriptions []string) (backup.Inventory, error) {
	credential, options, err := identity(getenv)
	if err != nil {
		return backup.Inventory{}, err
	}
	return azure.Graph{Client: azure.New(credential, options), Wait: client.Sleep}.Inventory(ctx, subscriptions, known.Known().Types())
}

// markers make what lifeboat prove damages services with.
func markers(getenv func(string) string) (map[string]backup.Marker, error) {
	credential, options, err := identity(getenv)
	if err != nil {
		return nil, err
	}
	return known.Markers(credential, options), nil
}

// makers make services for lifeboat prove.
func makers(getenv func(string) string) (map[string]backup.Maker, error) {
	credential, options, err := identity(getenv)
	if err != nil {
		return nil, err
	}
	return known.Makers(credential, options), nil
}

// shares makes what reads the file shares of recovery points of ledgers.
func shares(getenv func(string) string) (ledger.Reader, error) {
	credential, options, err := identity(getenv)
	if err != nil {
		return ledger.Reader{}, err
	}
	return ledger.NewReader(credential, options, client.Sleep), nil
}
