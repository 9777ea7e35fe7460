package fakeazure_test

import (
	"path"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azadmin/backup"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"

	"lifeboat/internal/testing/fakeazure"
)

func TestHSMStorageByIdentity(t *testing.T) {
	t.Parallel()
	s := startWithHSM(t)
	name := createContainer(t, s)
	account, err := startAzurite(s)
	must(t, err)
	client := newBackupClient(t, s, fortURL, s.Credential("app"))
	failure := func(parameters backup.SASTokenParameters) string {
		t.Helper()
		check, err := client.BeginPreFullBackup(t.Context(), backup.PreBackupOperationParameters(parameters), nil)
		_, foretold := settle(t, check, err)
		poller, err := client.BeginFullBackup(t.Context(), parameters, nil)
		_, err = settle(t, poller, err)
		if (err == nil) != (foretold == nil) {
			t.Errorf("prebackup said %v, backup %v", foretold, err)
		}
		if err == nil {
			return ""
		}
		return details(t, err)
	}
	if got := failure(byIdentity(name)); got != "" {
		t.Errorf("as it should be: %s", got)
	}
	if got := failure(byIdentity("missing")); got != "ResourceNotFound" {
		t.Errorf("missing container: %q", got)
	}
	nowhere := byIdentity(name)
	nowhere.StorageResourceURI = to.Ptr("https://nobody.blob.core.windows.net/c")
	if got := failure(nowhere); got != "ResourceNotFound" {
		t.Errorf("missing account: %q", got)
	}
	account.Firewall.Deny = true
	must(t, s.Storage(account))
	if got := failure(byIdentity(name)); got != "" {
		t.Errorf("trusted service: %q", got)
	}
	if got := failure(bySAS(t, name, "rwdlc", 48*time.Hour)); got != "ResourceNotFound" {
		t.Errorf("SAS behind a firewall: %q", got)
	}
	account.Firewall.Bypass = "None"
	must(t, s.Storage(account))
	if got := failure(byIdentity(name)); got != "ResourceNotFound" {
		t.Errorf("no trusted services: %q", got)
	}
	account.Firewall = fakeazure.Firewall{}
	must(t, s.Storage(account))
	s.Unassign(s.ObjectID("hsm-writer"), accountID)
	s.Assign(s.ObjectID("hsm-writer"), accountID, fakeazure.StorageBlobDataReader)
	if got := failure(byIdentity(name)); got != "ResourceNotFound" {
		t.Errorf("role: %q", got)
	}
}

func TestHSMStorageBySAS(t *testing.T) {
	t.Parallel()
	s := startWithHSM(t)
	name := createContainer(t, s)
	client := newBackupClient(t, s, fortURL, s.Credential("app"))
	full := bySAS(t, name, "rwdlc", 48*time.Hour)
	poller, err := client.BeginFullBackup(t.Context(), full, nil)
	result, err := settle(t, poller, err)
	must(t, err)
	folder := path.Base(*result.AzureStorageBlobContainerURI)
	question := full
	question.Token = to.Ptr("?" + *full.Token)
	restore, err := client.BeginFullRestore(t.Context(),
		backup.RestoreOperationParameters{FolderToRestore: &folder, SASTokenParameters: &question}, nil)
	_, err = settle(t, restore, err)
	must(t, err)
	readOnly := bySAS(t, name, "rl", 48*time.Hour)
	again, err := client.BeginFullRestore(t.Context(),
		backup.RestoreOperationParameters{FolderToRestore: &folder, SASTokenParameters: &readOnly}, nil)
	_, err = settle(t, again, err)
	must(t, err)

	malformed := "The customer provided SAS token is malformed. The SAS token does not contain the expiry field"
	bad := full
	bad.Token = to.Ptr("bad_token")
	poller, err = client.BeginFullBackup(t.Context(), bad, nil)
	_, err = settle(t, poller, err)
	if status, code := errorCode(err); status != 200 || code != "BadRequest" || !strings.Contains(err.Error(), malformed) ||
		!strings.Contains(err.Error(), `"statusDetails": "Invalid Request"`) {
		t.Errorf("malformed in 2026: %v", err)
	}
	must(t, s.TuneHSM(fort, func(k *fakeazure.HSMOptions) { k.MalformedSAS = fakeazure.MalformedAtStart }))
	_, err = client.BeginFullBackup(t.Context(), bad, nil)
	if status, code := errorCode(err); status != 400 || code != "BadRequest" || !strings.Contains(err.Error(), malformed) {
		t.Errorf("malformed: %v", err)
	}
	must(t, s.TuneHSM(fort, func(k *fakeazure.HSMOptions) { k.MalformedSAS = fakeazure.MalformedAtPoll }))
	late, err := client.BeginFullBackup(t.Context(), bad, nil)
	must(t, err)
	_, err = late.Poll(t.Context())
	if status, _ := errorCode(err); status != 400 || !strings.Contains(err.Error(), malformed) {
		t.Errorf("malformed in 2021: %v", err)
	}
	must(t, s.TuneHSM(fort, func(k *fakeazure.HSMOptions) { k.MalformedSAS = fakeazure.MalformedAtStart }))
	_, err = client.BeginFullBackup(t.Context(), bySAS(t, name, "rwdlc", time.Hour), nil)
	if status, _ := errorCode(err); status != 400 {
		t.Errorf("one hour: %v", err)
	}
	must(t, s.TuneHSM(fort, func(k *fakeazure.HSMOptions) { k.ShortSAS = fakeazure.TakeShortSAS }))
	hour, err := client.BeginFullBackup(t.Context(), bySAS(t, name, "rwdlc", time.Hour), nil)
	_, err = settle(t, hour, err)
	must(t, err)

	forged := full
	forged.Token = to.Ptr(regexp.MustCompile(`sig=[^&]+`).ReplaceAllString(*full.Token, "sig=AAAA"))
	for what, parameters := range map[string]backup.SASTokenParameters{
		"read only": readOnly, "forged": forged, "expired": bySAS(t, name, "rwdlc", -time.Minute),
		"of a user":         byDelegation(t, s, name),
		"another container": {StorageResourceURI: to.Ptr(containerURL(createContainer(t, s))), Token: full.Token},
	} {
		poller, err := client.BeginFullBackup(t.Context(), parameters, nil)
		_, err = settle(t, poller, err)
		if got := details(t, err); got != "ResourceNotFound" {
			t.Errorf("%s: %q", what, got)
		}
	}
	must(t, s.TuneHSM("", func(k *fakeazure.HSMOptions) { k.DelegationSAS = fakeazure.TakeDelegationSAS }))
	user, err := client.BeginFullBackup(t.Context(), byDelegation(t, s, name), nil)
	_, err = settle(t, user, err)
	must(t, err)
}

// byDelegation signs with a user delegation key of the app.
func byDelegation(t *testing.T, s *fakeazure.Sim, name string) backup.SASTokenParameters {
	t.Helper()
	client, err := service.NewClient("https://"+accountName+".blob.core.windows.net/", s.Credential("app"),
		&service.ClientOptions{ClientOptions: clientOptions(s)})
	must(t, err)
	now := time.Now().UTC()
	key, err := client.GetUserDelegationCredential(t.Context(), service.KeyInfo{
		Start:  to.Ptr(now.Add(-time.Hour).Format(sas.TimeFormat)),
		Expiry: to.Ptr(now.Add(72 * time.Hour).Format(sas.TimeFormat)),
	}, nil)
	must(t, err)
	values, err := sas.BlobSignatureValues{
		Protocol: sas.ProtocolHTTPS, ExpiryTime: now.Add(48 * time.Hour), ContainerName: name, Permissions: "rwdlc",
	}.SignWithUserDelegation(key)
	must(t, err)
	return backup.SASTokenParameters{StorageResourceURI: to.Ptr(containerURL(name)), Token: to.Ptr(values.Encode())}
}
