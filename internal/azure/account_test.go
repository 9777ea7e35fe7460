package azure_test

import (
	"net/http"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// TestKeysAreAskedOfStorageAccountsOnly: every writer of the table can change the account in a run's row, and other resources have
// keys too.
func TestKeysAreAskedOfStorageAccountsOnly(t *testing.T) {
	const group = "/subscriptions/7a1c5b0e-3f44-4c2e-9d10-5e2b8f6a9c01/resourceGroups/g/providers/"
	for account, want := range map[string]int{
		group + "Microsoft.Storage/storageAccounts/contoso": 1, group + "microsoft.storage/STORAGEACCOUNTS/contoso": 1,
		group + "Microsoft.DocumentDB/databaseAccounts/contoso": 0, target: 0,
	} {
		w := &wire{answer: http.Response{StatusCode: http.StatusForbidden}}
		_, _, err := azure.New(&identity{}, azcore.ClientOptions{Transport: w}).AccountKey(t.Context(), backup.Storage{Account: account}, "")
		if f := backup.AsFault(err); f == nil || len(w.sent) != want || (f.Code == "InvalidStorage") != (want == 0) {
			t.Errorf("%s: sent %d requests, %v", account, len(w.sent), err)
		}
	}
}
