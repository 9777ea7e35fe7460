package fakeazure_test

import (
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/storage/armstorage"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"lifeboat/internal/testing/fakeazure"
)

// TestImmutability: a policy is visible at the account, at the container, or at each blob, and no kept blob can be deleted,
// alone or in a batch.
func TestImmutability(t *testing.T) {
	t.Parallel()
	s := startWithStorage(t)
	s.Assign(s.ObjectID("app"), accountID, fakeazure.Reader)
	name, other := createContainer(t, s), createContainer(t, s)
	account, err := startAzurite(s)
	must(t, err)
	options := &arm.ClientOptions{ClientOptions: clientOptions(s), DisableRPRegistration: true}
	accounts, err := armstorage.NewAccountsClient(subscription, s.Credential("app"), options)
	must(t, err)
	containers, err := armstorage.NewBlobContainersClient(subscription, s.Credential("app"), options)
	must(t, err)
	until := time.Now().Add(36 * time.Hour)
	for _, test := range []struct {
		what                        string
		kept                        fakeazure.Immutability
		account, policy, hold, here bool
		shows                       bool
	}{
		{what: "none"},
		{what: "a policy of the account", kept: fakeazure.Immutability{Until: until}, account: true, here: true, shows: true},
		{what: "one of the container", kept: fakeazure.Immutability{Container: name, Until: until}, policy: true, here: true},
		{what: "a hold of the container", kept: fakeazure.Immutability{Container: name, Hold: true}, hold: true, here: true},
		{what: "one of another", kept: fakeazure.Immutability{Container: other, Until: until}},
		{what: "one that has let go", kept: fakeazure.Immutability{Container: name, Until: time.Now().Add(-time.Hour)}, policy: true},
	} {
		account.Immutability = test.kept
		must(t, s.Storage(account))
		client := newBlobClient(t, s, "app").ServiceClient().NewContainerClient(name)
		for _, blob := range []string{"one", "two", "three"} {
			_, err := client.NewBlockBlobClient(blob).UploadBuffer(t.Context(), []byte("x"), nil)
			must(t, err)
		}
		shown, err := accounts.GetProperties(t.Context(), "backup", accountName, nil)
		must(t, err)
		policy := shown.Properties.ImmutableStorageWithVersioning
		if (policy != nil) != test.account || policy != nil && *policy.ImmutabilityPolicy.ImmutabilityPeriodSinceCreationInDays != 2 {
			t.Errorf("%s: the account shows %+v", test.what, policy)
		}
		settings, err := containers.Get(t.Context(), "backup", accountName, name, nil)
		must(t, err)
		if p := settings.ContainerProperties; *p.HasImmutabilityPolicy != test.policy || *p.HasLegalHold != test.hold {
			t.Errorf("%s: the container shows %v, %v", test.what, *p.HasImmutabilityPolicy, *p.HasLegalHold)
		}
		properties, err := client.NewBlobClient("one").GetProperties(t.Context(), nil)
		must(t, err)
		if (properties.ImmutabilityPolicyExpiresOn != nil) != test.shows {
			t.Errorf("%s: the blob shows %v", test.what, properties.ImmutabilityPolicyExpiresOn)
		}
		_, err = client.NewBlobClient("one").Delete(t.Context(), nil)
		if bloberror.HasCode(err, bloberror.BlobImmutableDueToPolicy) != test.here || (err != nil) != test.here {
			t.Errorf("%s: deleted with %v", test.what, err)
		}
		batch, err := client.NewBatchBuilder()
		must(t, err)
		for _, name := range []string{"two", "three"} {
			must(t, batch.Delete(name, &container.BatchDeleteOptions{DeleteOptions: blob.DeleteOptions{
				DeleteSnapshots: to.Ptr(blob.DeleteSnapshotsOptionTypeInclude),
			}}))
		}
		answer, err := client.SubmitBatch(t.Context(), batch, nil)
		must(t, err)
		if len(answer.Responses) != 2 {
			t.Errorf("%s: %d answers", test.what, len(answer.Responses))
		}
		for _, item := range answer.Responses {
			if bloberror.HasCode(item.Error, bloberror.BlobImmutableDueToPolicy) != test.here {
				t.Errorf("%s: in the batch %v", test.what, item.Error)
			}
		}
	}
}
