package fakeazure_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azadmin/backup"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"lifeboat/internal/testing/fakeazure"
)

func restoreOf(name, folder string) backup.RestoreOperationParameters {
	return backup.RestoreOperationParameters{FolderToRestore: &folder, SASTokenParameters: to.Ptr(byIdentity(name))}
}

// fullRestore restores into an HSM and returns Azure's error if it failed.
func fullRestore(t *testing.T, s *fakeazure.Sim, url, name, folder string) string {
	t.Helper()
	client := newBackupClient(t, s, url, s.Credential("app"))
	check, err := client.BeginPreFullRestore(t.Context(),
		backup.PreRestoreOperationParameters(restoreOf(name, folder)), nil)
	_, foretold := settle(t, check, err)
	begun, err := client.BeginFullRestore(t.Context(), restoreOf(name, folder), nil)
	must(t, err)
	token, err := begun.ResumeToken()
	must(t, err)
	poller, err := newBackupClient(t, s, url, s.Credential("app")).BeginFullRestore(t.Context(),
		backup.RestoreOperationParameters{}, &backup.BeginFullRestoreOptions{ResumeToken: token})
	result, err := settle(t, poller, err)
	if err == nil {
		if *result.Status != "Succeeded" || foretold != nil || result.EndTime == nil {
			t.Errorf("restore %+v, foretold %v", result, foretold)
		}
		return ""
	}
	said := details(t, err)
	if foretold == nil || details(t, foretold) != said {
		t.Errorf("prerestore said %v, restore %q", foretold, said)
	}
	return said
}

func TestHSMFullRestore(t *testing.T) {
	t.Parallel()
	s := startWithHSM(t)
	name := createContainer(t, s)
	rsa1, rsa2 := modulus(t, s, "rsa1"), modulus(t, s, "rsa2")
	folder := fullBackup(t, s, name)
	keys := newKeyClient(t, s, fortURL)
	_, err := keys.CreateKey(t.Context(), "rsa1", azkeys.CreateKeyParameters{Kty: to.Ptr(azkeys.KeyTypeRSA)}, nil)
	must(t, err)
	_, err = keys.CreateKey(t.Context(), "new", azkeys.CreateKeyParameters{Kty: to.Ptr(azkeys.KeyTypeECHSM)}, nil)
	must(t, err)
	_, err = keys.DeleteKey(t.Context(), "rsa2", nil)
	must(t, err)
	must(t, s.AssignHSM(fort, s.ObjectID("newcomer"), fakeazure.ManagedHSMCryptoUser))
	if modulus(t, s, "rsa1") == rsa1 {
		t.Fatal("a new version has the old modulus")
	}
	if said := fullRestore(t, s, fortURL, name, folder); said != "" {
		t.Fatalf("restore failed: %s", said)
	}
	if modulus(t, s, "rsa1") != rsa1 || modulus(t, s, "rsa2") != rsa2 || modulus(t, s, "new") != "" {
		t.Error("keys are not those of the backup")
	}
	if r := hsmSend(t, s, "GET", "/keys"+hsmVersion, "newcomer", ""); r.StatusCode != 403 {
		t.Errorf("a role assigned after the backup is still there: %d", r.StatusCode)
	}
	kinds := []fakeazure.HSMOperationKind{}
	for _, o := range s.HSMOperations() {
		kinds = append(kinds, o.Kind)
	}
	if !slices.Equal(kinds, []fakeazure.HSMOperationKind{fakeazure.FullBackup, fakeazure.RestoreCheck, fakeazure.FullRestore}) {
		t.Errorf("operations %v", kinds)
	}
}

func TestHSMRestoreTakesRoleAway(t *testing.T) {
	t.Parallel()
	s := startWithHSM(t)
	must(t, s.AssignHSM(fort, s.ObjectID("admin"), fakeazure.ManagedHSMAdministrator))
	must(t, s.TuneHSM(fort, func(k *fakeazure.HSMOptions) { k.RestoredRoles = fakeazure.RestoreAdministrators }))
	name := createContainer(t, s)
	folder := fullBackup(t, s, name)
	client := newBackupClient(t, s, fortURL, s.Credential("app"))
	poller, err := client.BeginFullRestore(t.Context(), restoreOf(name, folder), nil)
	must(t, err)
	eventually(t, "the app has lost its role", func() bool {
		_, err := poller.Poll(t.Context())
		status, code := errorCode(err)
		return status == 403 && code == "AccessDenied"
	})
	restore := s.HSMOperations()[1]
	if restore.State != fakeazure.Succeeded {
		t.Errorf("restore %+v", restore)
	}
	if r := hsmSend(t, s, "GET", "/restore/"+restore.JobID+"/pending", "admin", ""); r.StatusCode != 200 {
		t.Errorf("administrator: %d %s", r.StatusCode, r.body)
	}
}

func TestHSMIsClosedDuringRestore(t *testing.T) {
	t.Parallel()
	s := startWithHSM(t)
	name := createContainer(t, s)
	folder := fullBackup(t, s, name)
	for _, tt := range []struct {
		restoring fakeazure.Restoring
		polls     fakeazure.RestoringPolls
		status    int
		code      string
	}{
		{fakeazure.RestoringForbids, fakeazure.RestoringAnswersPolls, 403, "Forbidden"},
		{fakeazure.RestoringUnavailable, fakeazure.RestoringRefusesPolls, 503, "ServiceUnavailable"},
	} {
		must(t, s.TuneHSM(fort, func(k *fakeazure.HSMOptions) {
			k.Restore.Shortest, k.Restoring, k.RestoringPolls = 100*time.Second, tt.restoring, tt.polls
		}))
		client := newBackupClient(t, s, fortURL, s.Credential("app"))
		poller, err := client.BeginFullRestore(t.Context(), restoreOf(name, folder), nil)
		must(t, err)
		_, polled := poller.Poll(t.Context())
		if status, code := errorCode(polled); (polled != nil) != (tt.polls == fakeazure.RestoringRefusesPolls) ||
			(polled != nil && (status != tt.status || code != tt.code)) {
			t.Errorf("first poll: %v", polled)
		}
		for _, call := range []struct{ path, identity string }{{"/keys", "officer"}, {"/keys/rsa1", "officer"}} {
			r := hsmSend(t, s, "GET", call.path+hsmVersion, call.identity, "")
			if r.StatusCode != tt.status || r.code() != tt.code {
				t.Errorf("%s during a restore: %d %s", call.path, r.StatusCode, r.body)
			}
		}
		eventually(t, "restore ended", func() bool {
			_, err := poller.Poll(t.Context())
			if err != nil && polled == nil {
				t.Fatal(err)
			}
			return poller.Done()
		})
		_, err = poller.Result(t.Context())
		must(t, err)
		if modulus(t, s, "rsa1") == "" {
			t.Error("still closed")
		}
	}
}

func TestHSMRestoreRefusesBackups(t *testing.T) {
	t.Parallel()
	s := startWithHSM(t)
	addHSM(t, s, "stranger", "")
	addHSM(t, s, "twin", "shared")
	addHSM(t, s, "brother", "shared")
	must(t, s.TuneHSM("", func(k *fakeazure.HSMOptions) {
		k.BackupFirst, k.ForeignBackup = fakeazure.BackupUnchecked, fakeazure.ForeignBackupEarly
	}))
	name := createContainer(t, s)
	folder := fullBackup(t, s, name)
	for what, tt := range map[string]struct{ url, container, folder, said string }{
		"security domain":   {"https://stranger.managedhsm.azure.net", name, folder, "Invalid backup provided"},
		"missing folder":    {fortURL, name, "mhsm-fort-2020091408443492", "Invalid backup provided"},
		"missing container": {fortURL, "missing", folder, "ResourceNotFound"},
	} {
		if said := fullRestore(t, s, tt.url, tt.container, tt.folder); said != tt.said {
			t.Errorf("%s: %q", what, said)
		}
	}
	twin := newBackupClient(t, s, "https://twin.managedhsm.azure.net", s.Credential("app"))
	poller, err := twin.BeginFullBackup(t.Context(), byIdentity(name), nil)
	result, err := settle(t, poller, err)
	must(t, err)
	folder = (*result.AzureStorageBlobContainerURI)[strings.LastIndex(*result.AzureStorageBlobContainerURI, "/")+1:]
	if said := fullRestore(t, s, "https://brother.managedhsm.azure.net", name, folder); said != "" {
		t.Errorf("same security domain: %q", said)
	}
	_, err = newBlobClient(t, s, "app").DeleteBlob(t.Context(), name, folder+"/part-01", nil)
	must(t, err)
	if said := fullRestore(t, s, "https://brother.managedhsm.azure.net", name, folder); said != "Invalid backup provided" {
		t.Errorf("blob deleted: %q", said)
	}
}

func TestHSMRestoreWantsABackupFirst(t *testing.T) {
	t.Parallel()
	s := startWithHSM(t)
	addHSM(t, s, "twin", "shared")
	addHSM(t, s, "brother", "shared")
	const twinURL, brotherURL = "https://twin.managedhsm.azure.net", "https://brother.managedhsm.azure.net"
	name := createContainer(t, s)
	backUp := func(url string) string {
		poller, err := newBackupClient(t, s, url, s.Credential("app")).BeginFullBackup(t.Context(), byIdentity(name), nil)
		result, err := settle(t, poller, err)
		must(t, err)
		return (*result.AzureStorageBlobContainerURI)[strings.LastIndex(*result.AzureStorageBlobContainerURI, "/")+1:]
	}
	folder := backUp(twinURL)
	if said := fullRestore(t, s, brotherURL, name, folder); !strings.Contains(said, "within the last 30 minutes") {
		t.Errorf("no backup of the target: %q", said)
	}
	backUp(brotherURL)
	if said := fullRestore(t, s, brotherURL, name, folder); said != "" {
		t.Errorf("fresh backup: %q", said)
	}
	s.SetTimeScale(1e-6)
	if said := fullRestore(t, s, brotherURL, name, folder); !strings.Contains(said, "within the last 30 minutes") {
		t.Errorf("old backup: %q", said)
	}
	must(t, s.TuneHSM("", func(k *fakeazure.HSMOptions) { k.BackupFirst = fakeazure.BackupUnchecked }))
	if said := fullRestore(t, s, brotherURL, name, folder); said != "" {
		t.Errorf("old backup where none is wanted: %q", said)
	}
}

func TestHSMSelectiveRestore(t *testing.T) {
	t.Parallel()
	s := startWithHSM(t)
	name := createContainer(t, s)
	keys := newKeyClient(t, s, fortURL)
	first := modulus(t, s, "rsa1")
	_, err := keys.CreateKey(t.Context(), "rsa1", azkeys.CreateKeyParameters{Kty: to.Ptr(azkeys.KeyTypeRSA)}, nil)
	must(t, err)
	second, folder := modulus(t, s, "rsa1"), fullBackup(t, s, name)
	client := newBackupClient(t, s, fortURL, s.Credential("app"))
	restore := func(key string) (string, error) {
		begun, err := client.BeginSelectiveKeyRestore(t.Context(), key, backup.SelectiveKeyRestoreOperationParameters{
			Folder: &folder, SASTokenParameters: to.Ptr(byIdentity(name)),
		}, nil)
		must(t, err)
		token, err := begun.ResumeToken()
		must(t, err)
		poller, err := newBackupClient(t, s, fortURL, s.Credential("app")).BeginSelectiveKeyRestore(t.Context(), "",
			backup.SelectiveKeyRestoreOperationParameters{},
			&backup.BeginSelectiveKeyRestoreOptions{ResumeToken: token})
		result, err := settle(t, poller, err)
		if err != nil {
			return "", err
		}
		return *result.StatusDetails, nil
	}
	const kept = "Number of successful key versions restored: 0, Number of key versions could not overwrite: 2"
	if said, err := restore("rsa1"); err != nil || said != kept {
		t.Errorf("key is there: %q %v", said, err)
	}
	_, err = keys.DeleteKey(t.Context(), "rsa1", nil)
	must(t, err)
	if said, err := restore("rsa1"); err != nil || said != kept || modulus(t, s, "rsa1") != "" {
		t.Errorf("key is deleted: %q %v", said, err)
	}
	must(t, s.TuneHSM(fort, func(k *fakeazure.HSMOptions) { k.KeyInTheWay = fakeazure.KeyInTheWayFails }))
	if _, err := restore("rsa1"); details(t, err) != kept {
		t.Errorf("other reading: %v", err)
	}
	_, err = keys.PurgeDeletedKey(t.Context(), "rsa1", nil)
	must(t, err)
	said, err := restore("rsa1")
	const all = "Number of successful key versions restored: 2, Number of key versions could not overwrite: 0"
	if err != nil || said != all {
		t.Errorf("purged key: %q %v", said, err)
	}
	versions := 0
	for pager := keys.NewListKeyPropertiesVersionsPager("rsa1", nil); pager.More(); {
		page, err := pager.NextPage(t.Context())
		must(t, err)
		versions += len(page.Value)
	}
	if modulus(t, s, "rsa1") != second || second == first || versions != 2 {
		t.Errorf("restored key has %d versions", versions)
	}
	const some = "Number of successful key versions restored: 1, Number of key versions could not overwrite: 2"
	must(t, s.TuneHSM(fort, func(k *fakeazure.HSMOptions) { k.KeyInTheWay = fakeazure.KeyInTheWayAddsVersions }))
	_, err = keys.CreateKey(t.Context(), "rsa1", azkeys.CreateKeyParameters{Kty: to.Ptr(azkeys.KeyTypeRSA)}, nil)
	must(t, err)
	newer := fullBackup(t, s, name)
	_, err = keys.DeleteKey(t.Context(), "rsa1", nil)
	must(t, err)
	_, err = keys.PurgeDeletedKey(t.Context(), "rsa1", nil)
	must(t, err)
	if said, err := restore("rsa1"); err != nil || said != all {
		t.Errorf("purged key again: %q %v", said, err)
	}
	folder = newer
	if said, err := restore("rsa1"); err != nil || said != some {
		t.Errorf("a key with two versions of three: %q %v", said, err)
	}
	const none = "Number of successful key versions restored: 0, Number of key versions could not overwrite: 0"
	if said, err := restore("unknown"); err != nil || said != none || modulus(t, s, "unknown") != "" {
		t.Errorf("unknown key: %q %v", said, err)
	}
	must(t, s.TuneHSM(fort, func(k *fakeazure.HSMOptions) { k.MissingKey = fakeazure.MissingKeyFails }))
	if _, err := restore("unknown"); details(t, err) != "ResourceNotFound" {
		t.Errorf("unknown key, the other reading: %v", err)
	}
}

func TestHSMRestoreFaults(t *testing.T) {
	t.Parallel()
	s := startWithHSM(t)
	name := createContainer(t, s)
	folder := fullBackup(t, s, name)
	client := newBackupClient(t, s, fortURL, s.Credential("app"))
	must(t, s.TuneHSM(fort, func(k *fakeazure.HSMOptions) { k.NullError = true }))
	must(t, s.Inject(fort,
		fakeazure.Fault{Step: fakeazure.OnRestore, Kind: fakeazure.FailOperation, Message: "no luck"},
		fakeazure.Fault{Step: fakeazure.OnRestore, Kind: fakeazure.LoseAnswer},
	))
	if _, err := client.BeginFullRestore(t.Context(), restoreOf(name, folder), nil); err == nil {
		t.Fatal("lost answer arrived")
	}
	eventually(t, "the restore that nobody knows of ends", func() bool {
		o := s.HSMOperations()
		return len(o) == 2 && o[1].State == fakeazure.Failed && o[1].Details == "no luck"
	})
	poller, err := client.BeginFullRestore(t.Context(), restoreOf(name, folder), nil)
	result, err := settle(t, poller, err)
	must(t, err)
	if result.Error == nil || result.Error.Code != "" {
		t.Errorf("error as until 2021: %+v", result.Error)
	}
}
