package cli_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/service"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
	"lifeboat/internal/cli/client"
	shares "lifeboat/internal/services/ledger"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/fakeazure/ccfwriter"
)

// ledgerPoint is a recovery point of the fleet with a ledger in its share, changedPoint one whose share was changed since, and gonePoint one
// whose share was deleted.
var (
	ledgerPoint  = ledgerPointOf(0)
	changedPoint = ledgerPointOf(1)
	gonePoint    = ledgerPointOf(2)
)

const ledgerTarget = 11

func ledgerPointOf(day int) string {
	return backup.NewRunID(fleetTargets[ledgerTarget].id, fleetNow.Add(-10*time.Hour-time.Duration(day)*24*time.Hour), "nightly")
}

func ledgerShare(day int) string { return fmt.Sprintf("contoso-ccf-2026032%d023000", 8-day) }

// fleetLedger is the ledger of the fleet, as it is in the folder copy.
func fleetLedger() *ccfwriter.Ledger {
	l := ccfwriter.New(ccfwriter.V6, 1)
	ann, bob := l.Join("ann"), l.Join("bob")
	l.Acknowledge(ann)
	l.Constitute("function validate() {}")
	open := l.Propose(ann, "transition_service_to_open")
	l.Vote(bob, open, true)
	l.Open()
	l.Transact(20, ccfwriter.Write{Table: "public:records", Key: "1", Value: []byte("a value")})
	l.Close()
	l.Snapshot(10)
	l.Transact(0)
	l.Sign()
	l.Transact(0)
	return l
}

// fleetFiles has the files of the fleet's ledger, and stays as it is: to sign them takes long under the race detector.
var fleetFiles = sync.OnceValue(func() []ccfwriter.File { return fleetLedger().Files() })

// ledgerFacts makes the recovery point of the day the one of the fleet's ledger.
func ledgerFacts(p *backup.Point, day int) {
	l := fleetLedger()
	files := slices.SortedFunc(slices.Values(l.Files()), func(a, b ccfwriter.File) int { return strings.Compare(a.Name, b.Name) })
	list := sha256.New()
	for _, f := range files {
		fmt.Fprintf(list, "%x  %s\n", sha256.Sum256(f.Content), f.Name)
	}
	p.Artifact, p.SHA256 = ledgerShare(day), fmt.Sprintf("%x", list.Sum(nil))
	p.Facts = []backup.Fact{
		{Name: "lastTransaction", Value: l.LastID()},
		{Name: "lastSignedTransaction", Value: l.SignedID()},
		{Name: "root", Value: l.Root()},
		{Name: "serviceKeySha256", Value: l.Service()},
	}
}

// noBlobs reaches the simulator, in which the person may read no blobs.
type noBlobs struct{ *http.Client }

func (n noBlobs) Do(r *http.Request) (*http.Response, error) {
	if strings.Contains(r.Host, ".blob.") {
		return &http.Response{Status: "403 Forbidden", StatusCode: http.StatusForbidden, Header: http.Header{"X-Ms-Error-Code": {"AuthorizationPermissionMismatch"}}, Body: http.NoBody, Request: r}, nil
	}
	return n.Client.Do(r)
}

// ledgerShares makes the shares of the fleet when a command reads one, and the sign-in of a person.
func ledgerShares(t *testing.T) func(func(string) string) (shares.Reader, error) {
	return func(func(string) string) (shares.Reader, error) {
		key := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("k"), 64))
		sim, err := fakeazure.Start(fakeazure.Config{Dir: filepath.Join(t.TempDir(), "sim"), Seed: 1})
		if err != nil {
			return shares.Reader{}, err
		}
		t.Cleanup(func() { _ = sim.Close() })
		storage := fakeazure.StorageAccount{Name: path.Base(account), ResourceID: account, Key: key}
		if err := sim.Storage(storage); err != nil {
			return shares.Reader{}, err
		}
		sim.Assign(sim.ObjectID("person"), account, fakeazure.StorageFileDataPrivilegedReader)
		credential, err := service.NewSharedKeyCredential(storage.Name, key)
		if err != nil {
			return shares.Reader{}, err
		}
		owner, err := service.NewClientWithSharedKeyCredential("https://"+storage.Name+".file.core.windows.net", credential, &service.ClientOptions{
			ClientOptions: azcore.ClientOptions{Transport: sim.Client()},
		})
		if err != nil {
			return shares.Reader{}, err
		}
		fill(t, owner, ledgerShare(0), "a value")
		fill(t, owner, ledgerShare(1), "b value")
		options := azure.Options("v1", func() string { return "00000000-0000-4000-8000-000000000001" })
		options.Transport = noBlobs{sim.Client()}
		return shares.NewReader(sim.Credential("person"), options, client.Sleep), nil
	}
}

// fill writes the fleet's ledger into a new share, with a value in place of another one.
func fill(t *testing.T, owner *service.Client, name, value string) {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	_, err := owner.CreateShare(t.Context(), name, nil)
	must(err)
	to := owner.NewShareClient(name)
	made := map[string]bool{}
	for _, f := range fleetFiles() {
		if in := path.Dir(f.Name); !made[in] {
			made[in] = true
			_, err := to.NewDirectoryClient(in).Create(t.Context(), nil)
			must(err)
		}
		content := bytes.Replace(f.Content, []byte("a value"), []byte(value), 1)
		file := to.NewRootDirectoryClient().NewFileClient(f.Name)
		_, err := file.Create(t.Context(), int64(len(content)), nil)
		must(err)
		_, err = file.UploadRange(t.Context(), 0, streaming.NopCloser(bytes.NewReader(content)), nil)
		must(err)
	}
}
