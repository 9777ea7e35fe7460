package ledger_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/service"
	"github.com/google/uuid"

	"lifeboat/internal/api"
	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
	"lifeboat/internal/cli/ledger"
	"lifeboat/internal/cli/usage"
	shares "lifeboat/internal/services/ledger"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/fakeazure/ccfwriter"
)

const (
	group   = "/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/prod/providers/"
	account = group + "Microsoft.Storage/storageAccounts/contosobackups"
	target  = group + "Microsoft.ConfidentialLedger/managedCCFs/contoso"
	share   = "contoso-1772323200000"
	pointID = "0c650536f8140ca3-8225509599-2a3b62b53ddb"
	host    = "contosobackups.file.core.windows.net"
)

// world is Azure's side with one storage account, the app, and a person who may read the shares.
type world struct {
	*fakeazure.Sim
	t   *testing.T
	key string
	// points are the recovery points of the app, and manifests the blobs of the account, by their names.
	points    map[string]api.RecoveryPoint
	manifests map[string]any
	// change may change an answer of Azure before the command sees it, and sent has the requests with their answers' statuses.
	change func(*http.Request, *http.Response) (*http.Response, error)
	mu     sync.Mutex
	sent   []string
	// ranges are the requested parts of files, and waits the waits before a request was made again.
	ranges []string
	waits  []time.Duration
	app    *httptest.Server
	// ctx is the context of the commands.
	ctx context.Context
	// partTime is the longest time for a part of a file; 0: the usual one.
	partTime time.Duration
	// signIn makes the credential of the person.
	signIn func() azcore.TokenCredential
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, ctx: t.Context(), key: base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("k"), 64)), points: map[string]api.RecoveryPoint{}, manifests: map[string]any{},
		change: func(_ *http.Request, a *http.Response) (*http.Response, error) { return a, nil },
	}
	var err error
	w.Sim, err = fakeazure.Start(fakeazure.Config{Dir: filepath.Join(t.TempDir(), "sim"), Seed: 1})
	w.must(err)
	t.Cleanup(func() { w.must(w.Close()) })
	w.must(w.Storage(fakeazure.StorageAccount{Name: "contosobackups", ResourceID: account, Key: w.key, PageSize: 2}))
	w.Assign(w.ObjectID("person"), account, fakeazure.StorageFileDataPrivilegedReader)
	w.signIn = func() azcore.TokenCredential { return w.Credential("person") }
	w.app = httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" || r.Header.Get("X-Functions-Key") != "key" {
			t.Errorf("the app got %v", r.Header)
		}
		point, ok := w.points[strings.TrimPrefix(r.URL.Path, "/api/recovery-points/")]
		if !ok {
			answer.WriteHeader(http.StatusNotFound)
			fmt.Fprint(answer, `{"error":{"code":"RecoveryPointNotFound","message":"there is none"}}`)
			return
		}
		w.must(json.NewEncoder(answer).Encode(point))
	}))
	t.Cleanup(w.app.Close)
	return w
}

func (w *world) must(err error) {
	if err != nil {
		w.t.Helper()
		w.t.Error(err)
	}
}

// service is a client of the account's owner.
func (w *world) service() *service.Client {
	w.t.Helper()
	credential, err := service.NewSharedKeyCredential("contosobackups", w.key)
	w.must(err)
	client, err := service.NewClientWithSharedKeyCredential("https://"+host, credential, &service.ClientOptions{
		ClientOptions: azcore.ClientOptions{Transport: w.Client()},
	})
	w.must(err)
	return client
}

// put writes files into a new share.
func (w *world) put(name string, files []ccfwriter.File) {
	w.t.Helper()
	to := w.service()
	_, err := to.CreateShare(w.t.Context(), name, nil)
	w.must(err)
	made := map[string]bool{".": true}
	for _, f := range files {
		if in := path.Dir(f.Name); !made[in] {
			made[in] = true
			_, err := to.NewShareClient(name).NewDirectoryClient(in).Create(w.t.Context(), nil)
			w.must(err)
		}
		file := to.NewShareClient(name).NewRootDirectoryClient().NewFileClient(f.Name)
		_, err := file.Create(w.t.Context(), int64(len(f.Content)), nil)
		w.must(err)
		at := int64(0)
		for part := range slices.Chunk(f.Content, 4<<20) {
			_, err = file.UploadRange(w.t.Context(), at, streaming.NopCloser(bytes.NewReader(part)), nil)
			w.must(err)
			at += int64(len(part))
		}
	}
}

// record makes the app know the ledger as the recovery point, as it was when it was verified.
func (w *world) record(id, in string, l *ccfwriter.Ledger) {
	w.t.Helper()
	files := slices.SortedFunc(slices.Values(l.Files()), func(a, b ccfwriter.File) int { return strings.Compare(a.Name, b.Name) })
	list := sha256.New()
	var hashed []backup.File
	for _, f := range files {
		sum := sha256.Sum256(f.Content)
		fmt.Fprintf(list, "%x  %s\n", sum, f.Name)
		hashed = append(hashed, backup.File{Name: f.Name, Size: int64(len(f.Content)), SHA256: fmt.Sprintf("%x", sum)})
	}
	w.points[id] = api.RecoveryPoint{ID: id, Target: target, Point: api.Point{
		State: backup.Live, Account: "contosobackups", Share: &api.FileShare{Account: account, Name: in}, SHA256: fmt.Sprintf("%x", list.Sum(nil)),
		Facts: []backup.Fact{
			{Name: "lastTransaction", Value: l.LastID()},
			{Name: "lastSignedTransaction", Value: l.SignedID()},
			{Name: "root", Value: l.Root()},
			{Name: "serviceKeySha256", Value: l.Service()},
		},
	}}
	w.manifests[id+".made.json"] = map[string]any{"manifest": 1, "files": hashed}
}

// blob answers for the blobs of the account, which the simulator leaves to Azurite.
func (w *world) blob(r *http.Request) *http.Response {
	answer := httptest.NewRecorder()
	content, ok := w.manifests[strings.TrimPrefix(r.URL.Path, "/lifeboat-manifests/")]
	if !ok {
		answer.Header().Set("X-Ms-Error-Code", "BlobNotFound")
		answer.WriteHeader(http.StatusNotFound)
	} else {
		w.must(json.NewEncoder(answer).Encode(content))
	}
	return answer.Result()
}

// Do sends a request of the command to Azure.
func (w *world) Do(r *http.Request) (*http.Response, error) {
	if r.Host == "contosobackups.blob.core.windows.net" {
		return w.blob(r), nil
	}
	answer, err := w.Client().Do(r)
	if err == nil {
		answer, err = w.change(r, answer)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	status := "cut"
	if err == nil {
		status = fmt.Sprint(answer.StatusCode)
	}
	w.sent = append(w.sent, status+" "+r.Host+r.URL.Path)
	if part := part(r); part != "" {
		w.ranges = append(w.ranges, part)
	}
	return answer, err
}

// part names the part of a file that is requested; "" for another request.
func part(r *http.Request) string {
	for _, name := range []string{"x-ms-range", "Range"} {
		if values := r.Header[name]; len(values) > 0 {
			return r.URL.Path + " " + values[0]
		}
	}
	return ""
}

// run runs the command for the person.
func (w *world) run(args ...string) (out, errs string, err error) {
	w.t.Helper()
	w.sent, w.ranges, w.waits = nil, nil, nil
	var stdout, stderr bytes.Buffer
	now := time.Unix(0, 0)
	c := ledger.Command(ledger.Shell{
		Getenv: func(name string) string {
			return map[string]string{"LIFEBOAT_URL": w.app.URL, "LIFEBOAT_KEY": "key"}[name]
		},
		Stdout: &stdout, Stderr: &stderr, Width: func() int { return 0 }, Watched: func() bool { return true },
		Now: func() time.Time { now = now.Add(time.Second); return now },
		Shares: func(func(string) string) (shares.Reader, error) {
			options := azure.Options("v1", uuid.NewString)
			options.Transport = w
			reader := shares.NewReader(w.signIn(), options, func(ctx context.Context, d time.Duration) bool {
				w.waits = append(w.waits, d)
				return ctx.Err() == nil
			})
			if w.partTime > 0 {
				reader.PartTime = w.partTime
			}
			return reader, nil
		},
	})
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetArgs(args)
	c.SetContext(w.ctx)
	err = c.Execute()
	return stdout.String(), stderr.String(), err
}

// history is a ledger with governance, a snapshot, several files and an end without signature.
func history(seed uint64, until int) *ccfwriter.Ledger {
	l := ccfwriter.New(ccfwriter.V6, seed)
	l.Propose(l.Join("ann"), "set_user")
	for i := 5; i <= until; i++ {
		if i%7 == 0 {
			l.Close()
		} else {
			l.Transact(i%2, ccfwriter.Write{Table: "public:records", Key: fmt.Sprint(i), Value: []byte("value")})
		}
	}
	return l
}

// TestAShareIsReadLikeAFolder compares what each command says of the same files in a share and in a folder.
func TestAShareIsReadLikeAFolder(t *testing.T) {
	w := newWorld(t)
	short, long := history(1, 23), history(1, 30)
	w.put(share, long.Files())
	w.put("contoso-1772323100000", short.Files())
	w.record(pointID, share, long)
	w.record("earlier", "contoso-1772323100000", short)
	folder, earlier := written(t, long.Files(), whole), written(t, short.Files(), whole)
	for _, args := range [][]string{
		{"verify", pointID},
		{"verify", pointID, "--every-signature"},
		{"verify", pointID, "-o", "json"},
		{"log", pointID},
		{"log", pointID, "-o", "json"},
		{"log", pointID, "--summary"},
		{"log", pointID, "--from", "8", "--to", "2.10"},
		{"show", pointID, "2.11"},
		{"show", pointID, "11", "-o", "json"},
		{"show", pointID, "30"},
		{"show", pointID, "99"},
		{"governance", pointID},
		{"governance", pointID, "-o", "json"},
		{"diff", "earlier", pointID},
		{"diff", pointID, "earlier", "-o", "json"},
		{"diff", pointID, pointID},
	} {
		out, errs, err := w.run(args...)
		if !strings.Contains(errs, " MB/s") || !strings.HasSuffix(errs, "\r\x1b[K") || len(w.waits) > 0 {
			t.Errorf("%q: %q, waits %v", args, errs, w.waits)
		}
		local := slices.Clone(args)
		for i, a := range local {
			local[i] = map[string]string{pointID: folder, "earlier": earlier}[a]
			if local[i] == "" {
				local[i] = a
			}
		}
		want, _, wantErr := run(t, false, local...)
		there, here := unplaced(out, fmt.Sprint(err)), unplaced(want, fmt.Sprint(wantErr), folder, earlier)
		if there != here {
			t.Errorf("%q: from the share\n%s\nfrom the folder\n%s", args, there, here)
		}
	}
	for _, s := range w.sent {
		if s != "200 "+host+strings.TrimPrefix(s, "200 "+host) && !strings.HasPrefix(s, "206 "+host+"/"+share+"/") {
			t.Error(s)
		}
	}
}

// unplaced leaves out where a copy is.
func unplaced(out, err string, folders ...string) string {
	for _, f := range append(folders, pointID, "earlier") {
		out, err = strings.ReplaceAll(out, f+"/", ""), strings.ReplaceAll(err, f, "COPY")
		out = strings.ReplaceAll(out, f, "COPY")
	}
	var lines []string
	for line := range strings.Lines(out) {
		if !slices.ContainsFunc([]string{"read from ", "compared ", "  mkdir copy", "  az storage file "}, func(start string) bool { return strings.HasPrefix(line, start) }) {
			lines = append(lines, line)
		}
	}
	text := strings.Join(lines, "")
	var document map[string]any
	if json.Unmarshal([]byte(text), &document) == nil {
		delete(document, "recoveryPoint")
		if official, ok := document["officialReader"].(map[string]any); ok {
			delete(official, "download")
		}
		content, _ := json.Marshal(document)
		text = string(content)
	}
	return text + "\n" + err
}

// TestThePlaceOfARecoveryPoint: the report names the share, and the commands that download it for the official reader.
func TestThePlaceOfARecoveryPoint(t *testing.T) {
	w := newWorld(t)
	l := history(1, 30)
	w.put(share, l.Files())
	w.record(pointID, share, l)
	out, _, err := w.run("verify", pointID)
	for _, want := range []string{
		"read from     the share " + share + " of the storage account contosobackups\ncompared      it is as it was when the backup was verified\n",
		"\n  mkdir copy && cd copy\n  az storage file download-batch -d ./ -s " + share + " --account-name contosobackups --auth-mode login --backup-intent\n  pip install ",
		"\n  read_ledger.py --quiet --uncommitted ledger\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if err != nil {
		t.Error(err)
	}
	out, _, _ = w.run("verify", pointID, "-o", "json")
	var r struct {
		RecoveryPoint  map[string]string
		OfficialReader struct{ Download []string }
	}
	w.must(json.Unmarshal([]byte(out), &r))
	if fmt.Sprint(r.RecoveryPoint) != fmt.Sprint(map[string]string{"id": pointID, "storageAccount": "contosobackups", "fileShare": share}) || len(r.OfficialReader.Download) != 2 {
		t.Error(out)
	}
}

// TestACopyThatDiffersFromItsRecoveryPoint: what no verifier can know of the files alone is an error of the recovery point.
func TestACopyThatDiffersFromItsRecoveryPoint(t *testing.T) {
	w := newWorld(t)
	l := history(1, 28)
	bit := func(name string, at int) []ccfwriter.File {
		files := slices.Clone(l.Files())
		for i, f := range files {
			if f.Name == name {
				files[i].Content = slices.Clone(f.Content)
				files[i].Content[(at+len(f.Content))%len(f.Content)] ^= 1
			}
		}
		return files
	}
	last := l.Files()[len(l.Files())-1]
	without := func(name string) []ccfwriter.File {
		return slices.DeleteFunc(slices.Clone(l.Files()), func(f ccfwriter.File) bool { return f.Name == name })
	}
	for i, c := range []struct {
		name   string
		files  []ccfwriter.File
		silent bool // a folder with these files is proven
		want   []string
	}{
		{"a bit of a value", bit("ledger/ledger_8-14.committed", 200), false, []string{"error TransactionDamaged ", "error FileDiffers ledger/ledger_8-14.committed: its SHA-256 is "}},
		{"an older copy", history(1, 21).Files(), true, []string{
			"error FactDiffers the last transaction is 2.21, and the recovery point has 2.28", "the last signed transaction is 2.21, and ", "the root is ",
			"error FileDiffers " + last.Name + ": it was there when the backup was verified, and is missing",
		}},
		{"another ledger", history(2, 28).Files(), true, []string{"the service, by the SHA-256 of its key, is ", "error FileDiffers ledger/ledger_1-7.committed: its SHA-256 is "}},
		{"one more file", append(slices.Clone(l.Files()), ccfwriter.File{Name: "ledger/readme", Content: []byte("read me")}), true, []string{
			"error FileDiffers ledger/readme: it was not there when the backup was verified",
		}},
		{"a file less", without("ledger/ledger_15-21.committed"), false, []string{"error Gap ", "error FileDiffers ledger/ledger_15-21.committed: it was there when"}},
		{"the same files", l.Files(), true, nil},
	} {
		id, in := fmt.Sprint("point-", i), fmt.Sprintf("contoso-177232320000%d", i)
		w.put(in, c.files)
		w.record(id, in, l)
		_, _, alone := run(t, false, "verify", written(t, c.files, whole))
		if (alone == nil) != c.silent {
			t.Errorf("%s: the folder: %v", c.name, alone)
		}
		out, _, err := w.run("verify", id)
		out = strings.Join(strings.Fields(out), " ")
		if (err == nil) != (c.want == nil) || strings.Contains(out, "compared ") != (c.want == nil) {
			t.Errorf("%s: %v\n%s", c.name, err, out)
		}
		for _, want := range c.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s: %q is not in\n%s", c.name, want, out)
			}
		}
		for _, args := range [][]string{{"log", id}, {"show", id, "2.3"}, {"governance", id}, {"diff", id, id}} {
			if _, _, err := w.run(args...); (err == nil) != (c.want == nil) || err != nil && !strings.Contains(err.Error(), "lifeboat ledger verify "+id) {
				t.Errorf("%s: %q: %v", c.name, args, err)
			}
		}
		delete(w.manifests, id+".made.json")
		out, _, err = w.run("verify", id)
		out = strings.Join(strings.Fields(out), " ")
		if c.want != nil && (err == nil || !strings.Contains(out, "error FileDiffers the SHA-256 of the list of its files is ") || !strings.Contains(out, "cannot be read: BlobNotFound: ")) {
			t.Errorf("%s, without a manifest: %v\n%s", c.name, err, out)
		}
		p := w.points[id]
		p.SHA256, p.Facts = "", nil // nothing is known
		w.points[id] = p
		if _, _, err = w.run("verify", id); (err == nil) != c.silent {
			t.Errorf("%s, of which nothing is known: %v", c.name, err)
		}
	}
}

// TestAShareThatCannotBeRead: each error says what the person can do.
func TestAShareThatCannotBeRead(t *testing.T) {
	refused := func(status int, code string) func(*http.Request, *http.Response) (*http.Response, error) {
		return func(_ *http.Request, a *http.Response) (*http.Response, error) {
			a.StatusCode, a.Header, a.Body = status, http.Header{"X-Ms-Error-Code": {code}}, http.NoBody
			return a, nil
		}
	}
	for name, c := range map[string]struct {
		world func(w *world)
		want  []string
		waits int
	}{
		"without the role": {func(w *world) { w.Unassign(w.ObjectID("person"), account) }, []string{
			"AuthorizationPermissionMismatch: read the share " + share + " of the storage account contosobackups: ", "You need the role Storage File Data Privileged Reader on the account",
			`az role assignment create --assignee %s --role "Storage File Data Privileged Reader"`, `--scope "$(az storage account show -n contosobackups --query id -o tsv)"`,
		}, 0},
		"behind a firewall":  {func(w *world) { w.change = refused(403, "AuthorizationFailure") }, []string{"its firewall does not admit this machine", "az storage account network-rule add --account-name contosobackups --ip"}, 0},
		"of another tenant":  {func(w *world) { w.change = refused(401, "InvalidAuthenticationInfo") }, []string{"az login --tenant TENANT"}, 0},
		"that is gone":       {func(w *world) { _, err := w.service().DeleteShare(w.t.Context(), share, nil); w.must(err) }, []string{"ShareGone: the share " + share + " of the storage account contosobackups does not exist any more", "show deleted shares"}, 0},
		"without a sign-in":  {func(w *world) { w.signIn = func() azcore.TokenCredential { return nobody{} } }, []string{"NoIdentityToken: ", "Sign in with az login"}, 0},
		"while Azure is ill": {func(w *world) { w.change = refused(503, "ServerBusy") }, []string{"ServerBusy: ", "run the command again later"}, 4},
		"out of reach": {func(w *world) {
			w.change = func(*http.Request, *http.Response) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }
		}, []string{"Unreachable: ", "this machine reaches it"}, 4},
		"that the app deleted": {func(w *world) {
			w.point(func(p *api.RecoveryPoint) { p.State, p.Deleted = backup.Expired, time.Unix(0, 0) })
		}, []string{"is gone: its share was deleted at 1970-01-01T00:00:00Z"}, 0},
		"of another service":         {func(w *world) { w.point(func(p *api.RecoveryPoint) { p.Share = nil }) }, []string{"the app names no file share of it"}, 0},
		"that is no share's name":    {func(w *world) { w.point(func(p *api.RecoveryPoint) { p.Share.Name = "../contoso-1" }) }, []string{"is not the name of a share with a backup of " + target}, 0},
		"at a host of somebody else": {func(w *world) { w.point(func(p *api.RecoveryPoint) { p.Share.Zone = "evil.example/" }) }, []string{"is no host of a storage account"}, 0},
		"of no account":              {func(w *world) { w.point(func(p *api.RecoveryPoint) { p.Share.Account = "evil.example" }) }, []string{"is no host of a storage account"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			l := history(1, 14)
			w.put(share, l.Files())
			w.record(pointID, share, l)
			c.world(w)
			out, _, err := w.run("verify", pointID)
			if err == nil || out != "" || len(w.waits) != c.waits {
				t.Fatalf("%v %v\n%s", err, w.waits, out)
			}
			for _, want := range c.want {
				if want = strings.ReplaceAll(want, "%s", w.ObjectID("person")); !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in\n%v", want, err)
				}
			}
			if c.waits > 0 && fmt.Sprint(w.waits) != "[1s 2s 4s 8s]" {
				t.Error(w.waits)
			}
		})
	}
}

// point changes the recovery point that the app knows.
func (w *world) point(change func(*api.RecoveryPoint)) {
	p := w.points[pointID]
	change(&p)
	w.points[pointID] = p
}

// nobody has no sign-in.
type nobody struct{}

func (nobody) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{}, errors.New("nobody is signed in")
}

// cut is a body that breaks off.
type cut struct{ io.Reader }

func (c cut) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (cut) Close() error { return nil }

// TestAPartThatBreaksOffIsReadAgain: each third answer breaks off or is refused, and the same part is asked for once more, and no other.
func TestAPartThatBreaksOffIsReadAgain(t *testing.T) {
	w := newWorld(t)
	l := history(1, 30)
	for range 3 {
		l.Transact(6 << 20)
	}
	l.Close()
	w.put(share, l.Files())
	w.record(pointID, share, l)
	want, _, err := w.run("verify", pointID)
	w.must(err)
	parts := w.ranges
	n, failing := 0, map[string]bool{}
	w.change = func(r *http.Request, a *http.Response) (*http.Response, error) {
		part := part(r)
		if part == "" {
			return a, nil
		}
		if n++; n%3 > 0 {
			return a, nil
		}
		failing[part] = true
		switch n % 2 {
		case 0:
			a.Body = cut{io.LimitReader(a.Body, a.ContentLength/2)}
		default:
			a.StatusCode, a.Header, a.Body = http.StatusInternalServerError, http.Header{"X-Ms-Error-Code": {"InternalError"}}, http.NoBody
		}
		return a, nil
	}
	out, _, err := w.run("verify", pointID)
	if err != nil || out != want || len(failing) < 2 || len(w.waits) != len(failing) {
		t.Errorf("%v, %d failures, waits %v\n%s", err, len(failing), w.waits, out)
	}
	for i, part := range w.ranges {
		if failing[part] && w.ranges[min(i+1, len(w.ranges)-1)] != part && !slices.Contains(w.ranges[:i], part) {
			t.Errorf("%s is not asked for again: %q", part, w.ranges[i:])
		}
	}
	if len(w.ranges) != len(parts)+len(failing) {
		t.Errorf("%d parts, and %d without failures", len(w.ranges), len(parts))
	}
}

// silent is a body that never comes, until its request is given up.
type silent struct{ context.Context }

func (s silent) Read([]byte) (int, error) {
	<-s.Done()
	return 0, s.Err()
}

func (silent) Close() error { return nil }

// TestAPartThatNeverComes: it is given up after its time, and asked for again; the person can stop the command meanwhile.
func TestAPartThatNeverComes(t *testing.T) {
	w := newWorld(t)
	l := history(1, 14)
	w.put(share, l.Files())
	w.record(pointID, share, l)
	w.partTime = 500 * time.Millisecond
	limited, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	w.ctx = limited
	asked := 0
	w.change = func(r *http.Request, a *http.Response) (*http.Response, error) {
		if part(r) != "" {
			if asked++; asked == 2 {
				a.Body = silent{r.Context()}
			}
		}
		return a, nil
	}
	if out, _, err := w.run("verify", pointID); err != nil || len(w.waits) == 0 || !strings.Contains(out, "\ncompared ") {
		t.Errorf("%v %v\n%s", err, w.waits, out)
	}
	w.partTime, asked = 0, 0
	ctx, stop := context.WithCancel(t.Context())
	w.ctx = ctx
	w.change = func(r *http.Request, a *http.Response) (*http.Response, error) {
		if part(r) != "" {
			a.Body = silent{r.Context()}
			stop()
		}
		return a, nil
	}
	out, _, err := w.run("verify", pointID)
	if exit, ok := errors.AsType[usage.Exit](err); !ok || exit.Code != 130 || exit.Text != pointID+": stopped: nothing was proven\n" || len(w.waits) > 0 || out != "" {
		t.Errorf("%v %v\n%s", err, w.waits, out)
	}
}

// TestAShareThatChanges: a file that is written while it is read ends the command.
func TestAShareThatChanges(t *testing.T) {
	w := newWorld(t)
	l := history(1, 30)
	w.put(share, l.Files())
	w.record(pointID, share, l)
	w.change = func(r *http.Request, a *http.Response) (*http.Response, error) {
		if part(r) != "" {
			a.Header.Set("Etag", `"another"`)
		}
		return a, nil
	}
	if out, _, err := w.run("verify", pointID); err == nil || !strings.Contains(err.Error(), "ShareChanged: ") || out != "" || len(w.waits) > 0 {
		t.Errorf("%v %v\n%s", err, w.waits, out)
	}
}

// TestWhatIsNoCopy: a name is a folder if there is one, and else a recovery point.
func TestWhatIsNoCopy(t *testing.T) {
	w := newWorld(t)
	l := history(1, 14)
	w.put(share, l.Files())
	w.record(pointID, share, l)
	t.Chdir(t.TempDir())
	if _, _, err := w.run("verify", "unknown"); err == nil || err.Error() != "unknown is neither a folder here nor a recovery point of the app: lifeboat points TARGET lists its recovery points" {
		t.Error(err)
	}
	w.must(os.Mkdir(pointID, 0o755))
	if _, _, err := w.run("verify", pointID); err == nil || err.Error() != pointID+" is not proven: 1 error\n" || len(w.sent) > 0 {
		t.Error(err, w.sent)
	}
	w.must(os.Remove(pointID))
	w.must(os.WriteFile(pointID, nil, 0o644))
	if _, _, err := w.run("verify", pointID); err == nil || !strings.Contains(err.Error(), "is no folder") || len(w.sent) > 0 {
		t.Error(err, w.sent)
	}
	w.must(os.Remove(pointID))
	if _, _, err := run(t, false, "verify", pointID); err == nil || !strings.Contains(err.Error(), "no such file or directory: name the folder of a copy, or a recovery point of an app: set LIFEBOAT_URL") {
		t.Error(err)
	}
	if _, _, err := w.run("verify", pointID); err != nil {
		t.Error(err)
	}
	w.app.Config.Handler = http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) { answer.WriteHeader(http.StatusUnauthorized) })
	if _, _, err := w.run("verify", pointID); err == nil || !strings.Contains(err.Error(), pointID+" is no folder here, and whether it is a recovery point is unknown: GET ") || !strings.Contains(err.Error(), "LIFEBOAT_KEY is not a key") {
		t.Error(err)
	}
}
