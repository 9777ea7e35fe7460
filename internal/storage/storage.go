// Package storage opens the app's own storage account. It uses the connection AzureWebJobsStorage, as Azure Functions does, so
// that host and program use the same account.
package storage

import (
	"fmt"
	"slices"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"lifeboat/internal/azure"
)

// Clients holds the clients of the storage account's services.
type Clients struct {
	Tables *aztables.ServiceClient
	Queues *azqueue.ServiceClient
	// Host are the blobs of the Functions host.
	Host HostBlobs
	// AccountName is the name of the storage account.
	AccountName string
}

// Open reads the connection from the app settings that getenv looks up:
//
//	AzureWebJobsStorage                        a connection string with an account key, or UseDevelopmentStorage=true; it
//	                                           wins over the following, which use the credential
//	AzureWebJobsStorage__accountName           an account in the cloud of the options
//	AzureWebJobsStorage__queueServiceUri and   or, without an account name, the services' addresses;
//	AzureWebJobsStorage__tableServiceUri       AzureWebJobsStorage__serviceUri is another name of the first
//
// The host reads them in the same way (azure-sdk-for-net, Microsoft.Azure.WebJobs.Extensions.Storage, seen 2026-11). If
// options.Retry has no number, a request is tried four times within seconds. No error contains a key.
func Open(
	getenv func(string) string, credential azcore.TokenCredential, options azcore.ClientOptions,
) (Clients, error) {
	c, err := findConnection(getenv, azure.CloudOf(options.Cloud))
	if err != nil {
		return Clients{}, err
	}
	if options.Retry.MaxRetries == 0 {
		options.Retry.MaxRetries = 3
		options.Retry.TryTimeout = 10 * time.Second
		options.Retry.RetryDelay, options.Retry.MaxRetryDelay = 300*time.Millisecond, 3*time.Second
	}
	options.PerRetryPolicies = slices.Clip(options.PerRetryPolicies) // the clients append to it
	clients := Clients{AccountName: c.account}
	tableOptions := &aztables.ClientOptions{ClientOptions: options}
	queueOptions := &azqueue.ClientOptions{ClientOptions: options}
	if c.key == "" {
		clients.Host = HostBlobs{c, getenv("AzureWebJobsSecretStorageType"), credential, options}
		if clients.Tables, err = aztables.NewServiceClient(c.tables, credential, tableOptions); err == nil {
			clients.Queues, err = azqueue.NewServiceClient(c.queues, credential, queueOptions)
		}
	} else {
		clients.Tables, clients.Queues, err = c.openWithKey(tableOptions, queueOptions)
	}
	if err != nil {
		return Clients{}, fmt.Errorf("open storage account %s: %w", c.account, err)
	}
	return clients, nil
}

func (c connection) openWithKey(
	tableOptions *aztables.ClientOptions, queueOptions *azqueue.ClientOptions,
) (*aztables.ServiceClient, *azqueue.ServiceClient, error) {
	tableKey, err := aztables.NewSharedKeyCredential(c.account, c.key)
	if err != nil {
		return nil, nil, err
	}
	queueKey, err := azqueue.NewSharedKeyCredential(c.account, c.key)
	if err != nil {
		return nil, nil, err
	}
	tables, err := aztables.NewServiceClientWithSharedKey(c.tables, tableKey, tableOptions)
	if err != nil {
		return nil, nil, err
	}
	queues, err := azqueue.NewServiceClientWithSharedKeyCredential(c.queues, queueKey, queueOptions)
	return tables, queues, err
}
