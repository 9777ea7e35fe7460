package fakeazure_test

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/share"

	"lifeboat/internal/testing/fakeazure"
)

// startKept runs a Sim with a service, an HSM, an application and a ledger, which keeps its state in the file.
func startKept(t *testing.T, file string) *fakeazure.Sim {
	t.Helper()
	s := startWithConfiguration(t, func(c *fakeazure.Config) { c.State = file })
	addHSM(t, s, "fort", "")
	must(t, s.AddLedger(fakeazure.Ledger{ResourceID: ccfID, Entries: votes}))
	must(t, s.AddLedger(fakeazure.Ledger{ResourceID: ledgerID, Entries: votes[:2]}))
	s.Assign(s.ObjectID("app"), group, fakeazure.LedgerOperator)
	return s
}

// content returns all that a client sees of the services.
func content(t *testing.T, s *fakeazure.Sim) string {
	t.Helper()
	var all strings.Builder
	all.WriteString(configured(t, s, contoso))
	for _, id := range []string{ccfID, ledgerID} {
		state, err := s.LedgerState(id)
		fmt.Fprintf(&all, "\n%+v %v", state, err)
	}
	for pages := newKeyClient(t, s, fortURL).NewListKeyPropertiesVersionsPager("rsa3", nil); pages.More(); {
		page, err := pages.NextPage(t.Context())
		must(t, err)
		for _, key := range page.Value {
			fmt.Fprintf(&all, "\n%s %s", *key.KID, key.Attributes.Created)
		}
	}
	one := newFileService(t, s).NewShareClient("kept-1")
	read := func(c *share.Client) {
		answer, err := c.NewDirectoryClient("Ledger").NewFileClient("F").DownloadStream(t.Context(), nil)
		must(t, err)
		text, err := io.ReadAll(answer.Body)
		must(t, err)
		fmt.Fprintf(&all, "\n%s %s %s %s", text, *answer.ETag, answer.LastModified, *answer.ID)
	}
	read(one)
	for pages := newFileService(t, s).NewListSharesPager(nil); pages.More(); {
		page, err := pages.NextPage(t.Context())
		must(t, err)
		for _, found := range page.Shares {
			fmt.Fprintf(&all, "\nshare %s %s %v", *found.Name, *found.Properties.ETag, found.Metadata)
		}
	}
	return all.String()
}

// TestState checks that a later Sim has the content, the addresses and the tenant of the one before, and none of its operations.
func TestState(t *testing.T) {
	file := filepath.Join(t.TempDir(), "azure.json")
	first := startKept(t, file)
	configure(t, first, contoso, "one", "a secret")
	must(t, first.AppendToLedger(ccfID, "eight"))
	must(t, first.DeleteLedger(ledgerID))
	_, err := newKeyClient(t, first, fortURL).CreateKey(t.Context(), "rsa3", azkeys.CreateKeyParameters{Kty: to.Ptr(azkeys.KeyTypeRSAHSM)}, nil)
	must(t, err)
	kept := newFileService(t, first).NewShareClient("kept-1")
	_, err = kept.Create(t.Context(), &share.CreateOptions{Metadata: map[string]*string{"a": to.Ptr("b")}})
	must(t, err)
	_, err = kept.NewDirectoryClient("Ledger").Create(t.Context(), nil)
	must(t, err)
	f := kept.NewDirectoryClient("Ledger").NewFileClient("F")
	_, err = f.Create(t.Context(), 3, nil)
	must(t, err)
	must(t, f.UploadBuffer(t.Context(), []byte("abc"), nil))

	box := createContainer(t, first)
	ended := send(t, first, "POST", armURL(contoso+"/backup"), "app", body(box, "b1", ""))
	finish(t, first, ended)
	must(t, first.Tune("", func(k *fakeazure.Options) { k.Shortest, k.Longest = never.Shortest, never.Longest }))
	running := send(t, first, "POST", armURL(contoso+"/backup"), "app", body(box, "b2", ""))
	if running.StatusCode != 202 {
		t.Fatalf("%d %s", running.StatusCode, running.body)
	}
	must(t, first.TuneLedger(ccfID, func(k *fakeazure.LedgerOptions) { k.Change = never }))
	deleting := send(t, first, "DELETE", strings.Replace(armURL(ccfID), "2024-05-01", ccfAPI, 1), "app", "")
	if deleting.StatusCode != 202 {
		t.Fatalf("%d %s", deleting.StatusCode, deleting.body)
	}
	must(t, first.Save())
	want, env := content(t, first), first.Env()
	must(t, first.Close())

	second := startKept(t, file)
	// The deletion has ended meanwhile.
	state, err := second.LedgerState(ccfID)
	if err == nil {
		t.Errorf("the application that was being deleted: %+v", state)
	}
	if got := second.Env(); !slices.Equal(got, env) {
		t.Errorf("the addresses\n%q, want\n%q", got, env)
	}
	cut := func(text string) string { // but for the application
		before, after, _ := strings.Cut(text, "\n{Entries:[one")
		_, after, _ = strings.Cut(after, "\n")
		return before + "\n" + after
	}
	got := strings.Replace(content(t, second), "\n{Entries:[] Transaction: ProvisioningState: Location:} no ledger "+ccfID, "", 1)
	if got != cut(want) {
		t.Errorf("the content is\n%s\nwant\n%s", got, cut(want))
	}
	for what, location := range map[string]string{
		"an ended operation": ended.Header.Get("Location"), "a running one": running.Header.Get("Location"),
		"a deletion": deleting.Header.Get("Azure-Asyncoperation"),
	} {
		if r := send(t, second, "GET", location, "app", ""); r.StatusCode != 404 {
			t.Errorf("%s: %d %s", what, r.StatusCode, r.body)
		}
	}
	again := send(t, second, "POST", armURL(contoso+"/backup"), "app", body(box, "b3", ""))
	if l := again.Header.Get("Location"); again.StatusCode != 202 || l == ended.Header.Get("Location") || l == running.Header.Get("Location") {
		t.Errorf("a new operation: %d, %s", again.StatusCode, l)
	}
	finish(t, second, again)
}

// TestStateWithTakenPorts checks that a Sim starts on other ports if another program has them.
func TestStateWithTakenPorts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "azure.json")
	first := start(t, func(c *fakeazure.Config) { c.State = file })
	must(t, first.Save())
	second := start(t, func(c *fakeazure.Config) { c.State = file })
	for _, name := range []string{"HTTPS_PROXY=", "IDENTITY_ENDPOINT="} {
		address := func(s *fakeazure.Sim) string {
			all := s.Env()
			return all[slices.IndexFunc(all, func(v string) bool { return strings.HasPrefix(v, name) })]
		}
		if address(first) == address(second) {
			t.Errorf("both have %s", address(first))
		}
	}
}
