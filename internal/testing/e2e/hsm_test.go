package e2e

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/google/uuid"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/fakehost"
	"lifeboat/internal/testing/figures"
	"lifeboat/internal/testing/stack"
)

// newHSM adds a new Managed HSM to Azure's side. The app may back it up.
func newHSM(t testing.TB, a *app) (target string) {
	t.Helper()
	name := "h" + strings.ReplaceAll(uuid.NewString(), "-", "")[:20]
	if err := world.AddHSM(name, a.config.Name); err != nil {
		t.Fatal(err)
	}
	return stack.HSM(name)
}

// folders returns the folders of the HSM in the container of all backups, with the number of their blobs.
func folders(t testing.TB, hsm string) map[string]int {
	t.Helper()
	found := map[string]int{}
	for _, name := range blobsNamed(t, "mhsm-"+hsm[strings.LastIndex(hsm, "/")+1:]+"-") {
		folder, _, _ := strings.Cut(name, "/")
		found[folder]++
	}
	return found
}

// blobsNamed returns the blobs with the prefix, in the container of all backups.
func blobsNamed(t testing.TB, prefix string) (names []string) {
	t.Helper()
	for pages := blobs(t).NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: to.Ptr(prefix)}); pages.More(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range page.Segment.BlobItems {
			names = append(names, *item.Name)
		}
	}
	return names
}

// TestHSM follows a Managed HSM from its backup to the expiry of the recovery point, with its identity and with a SAS. It
// counts the cost of a backup, and looks for secrets in everything that the program left, sent, and logged.
func TestHSM(t *testing.T) {
	t.Parallel()
	for _, access := range []string{"identity", "sas"} {
		t.Run(access, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			kept := &keeper{seen: map[string][]string{}}
			show := logTo(t)
			a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "1s", newServices(t, 1)...), Log: func(e fakehost.Entry) {
				kept.see("log", e.String())
				show(e)
			}})
			intercept(t, a.ObjectID, kept.meet)
			world.Sim.Assign(world.Sim.ObjectID(a.config.Name), stack.Account(stack.Backups), fakeazure.StorageAccountKeyOperator)
			hsm := newHSM(t, a)
			// Each operation needs some polls, on a loaded machine too: a minute is half a second, and in that time the program
			// polls once.
			tuneHSM(t, hsm, func(k *fakeazure.HSMOptions) {
				k.Backup, k.Check = fakeazure.Range{Shortest: 12 * time.Minute}, fakeazure.Range{Shortest: 8 * time.Minute}
			})
			if err := a.edit(planOf(yearly, "1s", hsm) + "    hsm: {access: " + access + "}\n"); err != nil {
				t.Fatal(err)
			}
			points := []backup.Point{a.backupHSM(ctx, t, hsm, access, false), a.backupHSM(ctx, t, hsm, access, true)}
			for first := points[0]; first.State != backup.Expired; {
				if err := a.Invoke(ctx, "cleanup"); err != nil {
					t.Fatal(err)
				}
				var err error
				if first, err = a.engine.RecoveryPoint(ctx, first.ID); err != nil {
					t.Fatal(err)
				}
				pause(ctx)
			}
			if left := folders(t, hsm); len(left) != 1 || left[points[1].Artifact] != 4 {
				t.Errorf("after the first expired the container holds %v", left)
			}
			ids := []string{points[1].ID}
			if access == "sas" {
				kept.repeat.Store(true) // the HSM repeats the SAS
				id, err := a.backupOf(ctx, hsm, "repeated")
				if err != nil {
					t.Fatal(err)
				}
				status, err := a.await(ctx, id)
				if err != nil || status.Run.State != backup.Failed || !strings.Contains(status.Run.Reason.Message, "not to our liking") {
					t.Fatalf("%s, %v: %+v", status.Run.State, err, status.Run.Reason)
				}
				ids = append(ids, id)
			}
			for _, id := range ids {
				response, text, err := a.request(ctx, http.MethodGet, "/api/runs/"+id, "", nil)
				if err != nil || response.StatusCode != http.StatusOK {
					t.Fatalf("%v, %s", err, text)
				}
				kept.see("API", string(text))
			}
			kept.read(ctx, t, a)
			for _, name := range []string{"part-00", "part-01", "part-02", "archive.json"} {
				kept.see("blobs", download(ctx, t, stack.Backups, points[1].Artifact+"/"+name))
			}
			kept.evaluate(t, access == "sas", "log", "requests", "API", "table", "events", "blobs")
		})
	}
}

// tuneHSM changes the options of an HSM.
func tuneHSM(t testing.TB, hsm string, change func(*fakeazure.HSMOptions)) {
	t.Helper()
	if err := world.Sim.TuneHSM(hsm, change); err != nil {
		t.Fatal(err)
	}
}

// backupHSM makes a backup by hand, and compares its recovery point with its folder. The first backup makes queues and
// container. For any other it checks the contract of docs/design.md: at most 22 storage requests, 3 for each poll, one for
// each blob, one for each list of them, and 2 for each step message that came before its step was saved.
func (a *app) backupHSM(ctx context.Context, t *testing.T, hsm, access string, counted bool) backup.Point {
	t.Helper()
	before, earlier := spent(a)
	early := int(a.early.Load())
	polls, proofs := a.hsmPolls()
	id, err := a.backupOf(ctx, hsm, "backup"+itoa(before))
	if err != nil {
		t.Fatal(err)
	}
	status, err := a.await(ctx, id)
	if err != nil || status.Run.State != backup.Succeeded {
		t.Fatalf("%s, %v: %+v", status.Run.State, err, status.Run.Reason)
	}
	after, by := spent(a)
	for op, n := range earlier {
		by[op] -= n
	}
	p, err := a.engine.RecoveryPoint(ctx, id)
	if err != nil || p.State != backup.Live || p.Note != "" || folders(t, hsm)[p.Artifact] != 4 {
		t.Fatalf("%+v, %v; the container holds %v", p, err, folders(t, hsm))
	}
	files, err := a.engine.Files(ctx, p)
	if err != nil || len(files) != 4 {
		t.Errorf("%+v, %v", files, err)
	}
	if !counted {
		return p
	}
	morePolls, moreProofs := a.hsmPolls()
	polls, proofs = morePolls-polls, moreProofs-proofs
	lists, reads, n, early := by["blob GET list"], by["blob GET"], after-before, int(a.early.Load())-early
	figures.Report(t, "a backup of a Managed HSM by %s with %d blobs, %d polls, %d lists and %d early messages: %d requests, %d without those: %v",
		access, reads, polls, lists, early, n, n-3*polls-reads-lists-2*early, by)
	if polls < 6 || polls-proofs <= status.Run.Polls || proofs < 2 || status.Run.Polls < 2 {
		t.Errorf("%d polls, %d of them for the backup and %d for its proof: the test wants some of each", polls, status.Run.Polls, proofs)
	}
	if reads != len(files) || lists > 1+proofs {
		t.Errorf("%d reads of %d blobs, and %d lists for %d looks at the proof", reads, len(files), lists, proofs)
	}
	if most := 22 + 3*polls + reads + lists + 2*early; n > most {
		t.Errorf("a backup cost %d requests, more than %d", n, most)
	}
	return p
}

// hsmPolls returns the number of the program's polls of HSMs' operations so far, and how many of them were about
// PreFullRestore.
func (a *app) hsmPolls() (polls, proofs int) {
	for _, c := range world.Sim.Calls() {
		if c.ObjectID == a.ObjectID && strings.HasSuffix(c.Path, "/pending") {
			polls++
			if strings.HasPrefix(c.Path, "/restore/") {
				proofs++
			}
		}
	}
	return polls, proofs
}

// keeper collects everything that the program receives, sends, stores and logs, and the secrets among that.
type keeper struct {
	// repeat says that the HSM refuses a backup and repeats the SAS, as it is, in a URL and in base64.
	repeat atomic.Bool

	mu     sync.Mutex
	seen   map[string][]string
	keys   secrets
	handed int
}

func (k *keeper) see(where string, texts ...string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seen[where] = append(k.seen[where], texts...)
}

// meet records the secrets of each request and answer of the program, or else the texts.
func (k *keeper) meet(x fakeazure.Exchange) fakeazure.Decision {
	token := sasOf(x)
	switch {
	case strings.HasSuffix(x.Path, "/listKeys") && x.Phase == fakeazure.After:
		return fakeazure.Pass // the stack knows the keys
	case keyOf(x) != "":
		k.mu.Lock()
		k.handed++
		k.mu.Unlock()
		return fakeazure.Pass
	case token != "":
		sas, err := url.ParseQuery(token)
		k.mu.Lock()
		k.handed++
		k.keys = append(k.keys, token, sas.Get("sig"))
		k.mu.Unlock()
		if err != nil || !k.repeat.Load() || x.Path != "/backup" {
			return fakeazure.Pass
		}
		said, _ := json.Marshal("The token " + token + ", " + url.QueryEscape(token) + ", " +
			base64.StdEncoding.EncodeToString([]byte(token)) + ", signed " + sas.Get("sig") + ", is not to our liking")
		return fakeazure.Answer(http.StatusBadRequest, http.Header{"Content-Type": {"application/json"}},
			fmt.Appendf(nil, `{"error":{"code":"BadRequest","message":%s}}`, said))
	}
	k.see("requests", x.Path, x.Query.Encode(), fmt.Sprint(x.Header), string(x.Body), string(x.Answer))
	return fakeazure.Pass
}

// sasOf returns the SAS in a request to an HSM or a ledger.
func sasOf(x fakeazure.Exchange) string {
	var body struct {
		Token              string
		SASTokenParameters struct{ Token string } `json:"sasTokenParameters"`
		URI                string
	}
	toLedger := strings.Contains(x.Path, "/Microsoft.ConfidentialLedger/")
	if !toLedger && !strings.HasSuffix(x.Host, ".managedhsm.azure.net") || json.Unmarshal(x.Body, &body) != nil {
		return ""
	}
	_, uri, _ := strings.Cut(body.URI, "?")
	return body.Token + body.SASTokenParameters.Token + uri
}

// keyOf returns the key of the storage account in a request to API Management.
func keyOf(x fakeazure.Exchange) string {
	var body struct{ AccessKey string }
	if !strings.Contains(x.Path, "/Microsoft.ApiManagement/") || json.Unmarshal(x.Body, &body) != nil {
		return ""
	}
	return body.AccessKey
}

// read reads the app's table and queues.
func (k *keeper) read(ctx context.Context, t *testing.T, a *app) {
	t.Helper()
	for pages := tables(t, a.config.Account).NewClient("lifeboat").NewListEntitiesPager(nil); pages.More(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range page.Entities {
			k.see("table", string(row))
		}
	}
	k.see("events", a.events(ctx, t)...)
}

// evaluate looks for the secrets in all collected texts.
func (k *keeper) evaluate(t *testing.T, handed bool, places ...string) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	if (k.handed > 0) != handed {
		t.Errorf("a key or SAS was handed on %d times", k.handed)
	}
	known := slices.Concat(secrets(world.Keys()), k.keys)
	for _, where := range places {
		if len(k.seen[where]) == 0 {
			t.Errorf("nothing was seen in %s: the test looks in the wrong place", where)
		}
		if found := known.in(strings.Join(k.seen[where], "\n")); found != "" {
			t.Errorf("%s is in %s", found, where)
		}
	}
}
