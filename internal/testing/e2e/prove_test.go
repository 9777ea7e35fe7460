package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/google/uuid"

	"lifeboat/internal/backup"
	"lifeboat/internal/services"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/stack"
)

// sandbox is a resource group of services that may be lost, with an app that backs them up, and a person.
type sandbox struct {
	*app
	group, who string
	env        []string
	services   []string
}

// newSandbox makes a group with so many API Managements, and lets each be restored into itself.
func newSandbox(t *testing.T, n int) *sandbox {
	t.Helper()
	b := &sandbox{group: "sandbox-" + uuid.NewString()[:8], who: "prover-" + uuid.NewString()}
	scope := strings.Replace(stack.Scope, "/local", "/"+b.group, 1)
	for range n {
		b.addAPIM(t, scope)
	}
	b.app = newApp(t, stack.AppConfig{Plan: b.plan(b.services...)})
	b.makeContainers(t)
	world.Sim.Assign(b.ObjectID, scope, fakeazure.APIManagementServiceOperator)
	world.Sim.Assign(world.Sim.ObjectID(b.who), scope, fakeazure.APIManagementServiceContributor)
	b.env = append(world.Environment(b.who), "LIFEBOAT_URL="+b.URL(), "LIFEBOAT_KEY="+b.Key("api"))
	return b
}

// plan lets each of the services be restored into itself. The backups have a container of the group's own.
func (b *sandbox) plan(services ...string) string {
	return strings.Replace(planOf(yearly, "20d", services...), "container: "+stack.Container, "container: "+b.group, 1) +
		"    restore: {into: [itself], safetyBackup: true}\n"
}

// makeContainers makes the containers that the check wants to see; another test may have made the container of the manifests.
func (b *sandbox) makeContainers(t *testing.T) {
	t.Helper()
	world.Sim.Assign(world.Sim.ObjectID(probe), stack.Account(stack.Backups), fakeazure.StorageBlobDataContributor)
	client, err := azblob.NewClient("https://"+stack.Backups+".blob.core.windows.net", world.Sim.Credential(probe), &azblob.ClientOptions{ClientOptions: options()})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{b.group, backup.ManifestFolder} {
		if _, err := client.CreateContainer(t.Context(), name, nil); err != nil && !bloberror.HasCode(err, bloberror.ContainerAlreadyExists) {
			t.Fatal(err)
		}
	}
}

func (b *sandbox) addAPIM(t *testing.T, scope string) {
	t.Helper()
	id := scope + "/providers/Microsoft.ApiManagement/service/s" + strings.ReplaceAll(uuid.NewString(), "-", "")[:20]
	world.Sim.Assign(world.Sim.ObjectID(id), stack.Account(stack.Backups), fakeazure.StorageBlobDataContributor)
	if err := world.Sim.AddService(fakeazure.Service{ResourceID: id, SystemAssigned: true}); err != nil {
		t.Fatal(err)
	}
	if err := world.Sim.Tune(id, func(k *fakeazure.Options) { k.Shortest = time.Minute }); err != nil {
		t.Fatal(err)
	}
	b.services = append(b.services, id)
}

// marks returns the marks of any proof in the service.
func (b *sandbox) marks(t *testing.T, target string) []string {
	t.Helper()
	marks, err := b.marker(target).Marks(t.Context(), target, "lifeboat-prove-")
	if err != nil {
		t.Fatal(err)
	}
	return marks
}

func (b *sandbox) marker(target string) backup.Marker {
	r, _ := backup.ParseResource(target)
	return services.All().Markers(world.Sim.Credential(b.who), options())[strings.ToLower(r.Type)]
}

// proofOf reads the report.
func proofOf(t *testing.T, folder, id string) (v struct {
	Proof, Version, Result string
	Services               []struct {
		Service, Name, Type, Tier     string
		Restored                      bool
		BackupSeconds, RestoreSeconds float64
	}
	Steps   []struct{ Step, Service, Result, Code, Note string }
	Answers []struct{ Service, Question, Answer string }
}, text string,
) {
	t.Helper()
	body, err := os.ReadFile(filepath.Join(folder, "prove-"+id+".json"))
	if err != nil || json.Unmarshal(body, &v) != nil {
		t.Fatalf("%v: %s", err, body)
	}
	page, err := os.ReadFile(filepath.Join(folder, "prove-"+id+".md"))
	if err != nil {
		t.Fatal(err)
	}
	return v, string(body) + string(page)
}

// outside returns the requests of the person that may change something, and those of the app for a backup or a restore, that are not
// below the services.
func (b *sandbox) outside(allowed ...string) (wrong []string) {
	for _, c := range world.Sim.Calls() {
		path := strings.ToLower(c.Path)
		mine := c.ObjectID == world.Sim.ObjectID(b.who) ||
			c.ObjectID == b.ObjectID && (strings.HasSuffix(path, "/backup") || strings.HasSuffix(path, "/restore"))
		if !mine || c.Method == http.MethodGet {
			continue
		}
		inside := false
		for _, id := range allowed {
			name := id[strings.LastIndex(id, "/")+1:]
			inside = inside || strings.HasPrefix(path, strings.ToLower(id)+"/") || strings.HasPrefix(c.Host, strings.ToLower(name)+".managedhsm.")
		}
		if !inside {
			wrong = append(wrong, c.Method+" "+c.Host+c.Path)
		}
	}
	return wrong
}

// TestProve: a person proves with an API Management and a Managed HSM of one group that a backup brings them back. The report has no
// names. A service outside of the group, or that the check refuses, stays as it is.
func TestProve(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	b := newSandbox(t, 3)
	hsm := strings.Replace(stack.Scope, "/local", "/"+b.group, 1) + "/providers/Microsoft.KeyVault/managedHSMs/h" + strings.ReplaceAll(uuid.NewString(), "-", "")[:20]
	identity := hsm[strings.LastIndex(hsm, "/")+1:] + "-backups"
	world.Sim.Assign(world.Sim.ObjectID(identity), stack.Account(stack.Backups), fakeazure.StorageBlobDataContributor)
	world.Sim.Assign(world.Sim.ObjectID(b.who), hsm, fakeazure.Reader)
	if err := world.Sim.AddHSM(fakeazure.HSM{ResourceID: hsm, Identity: identity, Keys: []string{"rsa1"}}); err != nil {
		t.Fatal(err)
	}
	for who, roles := range map[string][]fakeazure.HSMRole{
		b.ObjectID:                {fakeazure.ManagedHSMBackup, fakeazure.ManagedHSMRestore},
		world.Sim.ObjectID(b.who): {fakeazure.ManagedHSMCryptoUser, fakeazure.ManagedHSMCryptoOfficer},
	} {
		if err := world.Sim.AssignHSM(hsm, who, roles...); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.edit(b.plan(append(b.services[:2:2], hsm)...) + "  - name: closed\n    schedule: \"" + yearly + "\"\n    keep: {within: 1d}\n    targets: [" + b.services[2] + "]\n"); err != nil {
		t.Fatal(err)
	}
	if err := world.Sim.Tune(b.services[0], func(k *fakeazure.Options) { k.Trace, k.Shortest = fakeazure.TraceVisible, 8*time.Minute }); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	prove := func(want int, words string, args ...string) string {
		t.Helper()
		code, out, errs := commandIn(ctx, t, b.env, b.Key("api"), append([]string{"prove", "--to", folder}, args...)...)
		if code != want || !strings.Contains(out+errs, words) {
			t.Fatalf("prove %v: %d\n%s%s\nwant %d and %q", args, code, out, errs, want, words)
		}
		return out + errs
	}
	name := func(id string) string { return id[strings.LastIndex(id, "/")+1:] }

	// Nothing is done without a yes, outside of the group, or where the plan lets nothing be restored.
	prove(2, "there is no terminal to ask at: say --yes "+b.group, "-g", b.group, "--service", b.services[0])
	prove(2, "is in the group local, and not in "+b.group, "-g", b.group, "--yes", b.group, "--service", stack.Service("other"))
	prove(2, `--yes names the group "local"`, "-g", b.group, "--yes", "local", "--service", b.services[0])
	prove(1, "no plan lets "+b.services[2]+" be restored into itself", "-g", b.group, "--yes", b.group, "--service", b.services[2])
	prove(1, "no plan of the app has the target", "-g", b.group, "--yes", b.group, "--service", b.services[0]+"x")
	prove(2, "prove cannot damage one", "-g", b.group, "--yes", b.group, "--service", strings.Replace(stack.Ledger("x"), "/local/", "/"+b.group+"/", 1))
	if wrong := b.outside(); len(wrong) > 0 {
		t.Fatalf("refused, and it sent %q", wrong)
	}

	// The whole, with what an earlier proof left.
	if err := b.marker(b.services[0]).Mark(ctx, b.services[0], "lifeboat-prove-old"); err != nil {
		t.Fatal(err)
	}
	out := prove(0, "proved: the report is ", "-g", strings.ToUpper(b.group), "--yes", b.group, "--id", "one", "--service", b.services[0], "--service", hsm)
	t.Log(out)
	v, said := proofOf(t, folder, "one")
	if v.Result != "proved" || len(v.Services) != 2 || v.Version != stack.Version {
		t.Errorf("%+v", v)
	}
	for _, s := range v.Services {
		if !s.Restored || s.BackupSeconds <= 0 || s.RestoreSeconds <= 0 || s.Name != "" {
			t.Errorf("%+v", s)
		}
	}
	var steps []string
	for _, s := range v.Steps {
		steps = append(steps, s.Step)
		if s.Result != "ok" {
			t.Errorf("%+v", s)
		}
	}
	if got := strings.Join(steps, " "); got != "tidy tidy check backup dry-run damage restore look backup dry-run damage restore look clean up clean up" {
		t.Errorf("steps %s", got)
	}
	for _, secret := range []string{b.group, name(b.services[0]), name(hsm), "0c0ffee0-", "contoso", b.URL(), b.Key("api")} {
		if strings.Contains(strings.ToLower(said), strings.ToLower(secret)) {
			t.Errorf("the report names %s:\n%s", secret, said)
		}
	}
	answers := map[string]string{}
	for _, a := range v.Answers {
		answers[a.Question] = a.Answer
	}
	if got := answers["Does a running backup show in `provisioningState`, or refuse a second one?"]; !strings.HasPrefix(got, "provisioningState Updating (") {
		t.Errorf("a running backup: %q", got)
	}
	if got := answers["With which codes does a backup fail?"]; got != "not seen" {
		t.Errorf("codes: %q", got)
	}
	for _, id := range []string{b.services[0], hsm} {
		if marks := b.marks(t, id); len(marks) > 0 {
			t.Errorf("%s has %v", id, marks)
		}
	}
	if wrong := b.outside(b.services[0], hsm); len(wrong) > 0 {
		t.Errorf("it changed %q", wrong)
	}
	for _, id := range []string{b.services[0], hsm} { // and it sees such requests
		if seen := strings.Join(b.outside(id), " "); !strings.Contains(seen, "/backup") || !strings.Contains(seen, "/restore") {
			t.Errorf("beside those for %s there were only %q", id, seen)
		}
	}

	// With names.
	if err := world.Sim.Inject(b.services[1], fakeazure.Fault{
		Kind: fakeazure.FailOperation, Status: http.StatusBadRequest, Code: "InvalidParameters", Message: "Azure's own words",
	}); err != nil {
		t.Fatal(err)
	}
	// A backup that fails: no damage.
	prove(1, "Azure's own words", "-g", b.group, "--yes", b.group, "--id", "two", "--service", b.services[1], "--names")
	v, said = proofOf(t, folder, "two")
	if last := v.Steps[len(v.Steps)-1]; v.Result != "failed" || last.Step != "backup" || last.Code != "InvalidParameters" || !strings.Contains(said, b.services[1]) {
		t.Errorf("%+v", v)
	}
	// The check refuses: no backup.
	before := len(world.Sim.BackupRequests())
	world.Sim.Unassign(b.ObjectID, strings.Replace(stack.Scope, "/local", "/"+b.group, 1))
	prove(1, "check all: the app lacks ", "-g", b.group, "--yes", b.group, "--id", "three", "--service", b.services[1])
	if v, _ = proofOf(t, folder, "three"); v.Result != "failed" || v.Steps[len(v.Steps)-1].Step != "check" {
		t.Errorf("%+v", v)
	}
	for _, r := range world.Sim.BackupRequests()[before:] {
		if strings.EqualFold(r.Service, b.services[1]) {
			t.Errorf("it was backed up: %+v", r)
		}
	}
	for _, c := range world.Sim.Calls() {
		if c.Method != http.MethodGet && c.ObjectID == world.Sim.ObjectID(b.who) && strings.Contains(c.Path, name(b.services[1])) {
			t.Errorf("it was changed: %s %s", c.Method, c.Path)
		}
	}
}

// TestProveIsStopped: a proof that is killed, or stopped by the person, at any step goes on with the same backup and the same restore
// when it is run again with its ID, and leaves no mark.
func TestProveIsStopped(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	type stop struct {
		at     string // in the output
		signal syscall.Signal
	}
	var stops []stop
	for _, at := range []string{"tidy ", "check ", "backup ", "backup running", "dry-run ", "damage ", "damage ok", "restore ", "restore running", "look ", "clean up "} {
		for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGINT} {
			stops = append(stops, stop{at, signal})
		}
	}
	b := newSandbox(t, len(stops)+3)
	folder := t.TempDir()
	args := func(i int) []string {
		return []string{"prove", "-g", b.group, "--yes", b.group, "--to", folder, "--id", "p" + string(rune('a'+i)), "--service", b.services[i]}
	}
	var group sync.WaitGroup
	gate := make(chan struct{}, 6)
	for i, s := range stops {
		group.Add(1)
		gate <- struct{}{}
		go func() {
			defer func() { <-gate; group.Done() }()
			out := stopped(ctx, t, b.env, s.at, s.signal, args(i)...)
			code, again, errs := commandIn(ctx, t, b.env, b.Key("api"), args(i)...)
			if code != 0 {
				t.Errorf("%s at %q:\n%s\nand again, %d:\n%s%s", s.signal, s.at, out, code, again, errs)
				return
			}
			if marks := b.marks(t, b.services[i]); len(marks) > 0 {
				t.Errorf("%s at %q left %v:\n%s", s.signal, s.at, marks, again)
			}
			backups, restores := 0, 0
			for _, r := range world.Sim.BackupRequests() {
				if strings.EqualFold(r.Service, b.services[i]) {
					backups++
				}
			}
			for _, r := range world.Sim.RestoreRequests() {
				if strings.EqualFold(r.Service, b.services[i]) {
					restores++
				}
			}
			if backups != 2 || restores != 1 { // the backup, and the safety backup of the restore
				t.Errorf("%s at %q: %d backups, %d restores", s.signal, s.at, backups, restores)
			}
			if v, _ := proofOf(t, folder, "p"+string(rune('a'+i))); v.Result != "proved" || !v.Services[0].Restored {
				t.Errorf("%s at %q: %+v", s.signal, s.at, v)
			}
		}()
	}
	group.Wait()

	// Killed at its own requests: before the mark is made, and after, when the answer is lost; and after a mark of another proof is removed.
	for i, at := range []struct {
		phase  fakeazure.Phase
		method string
	}{{fakeazure.Before, http.MethodPut}, {fakeazure.After, http.MethodPut}, {fakeazure.After, http.MethodDelete}} {
		target := b.services[len(stops)+i]
		if at.method == http.MethodDelete { // it is sent only for a mark that is left
			if err := b.marker(target).Mark(ctx, target, "lifeboat-prove-older"); err != nil {
				t.Fatal(err)
			}
		}
		process, done := make(chan *os.Process, 1), atomic.Bool{}
		who := world.Sim.ObjectID(b.who)
		hooks.Store(who, func(e fakeazure.Exchange) fakeazure.Decision {
			if e.Phase != at.phase || e.Method != at.method || !strings.Contains(e.Path, "/apis/lifeboat-prove-") || done.Swap(true) {
				return fakeazure.Pass
			}
			_ = (<-process).Kill()
			return fakeazure.Drop
		})
		c := exec.CommandContext(ctx, world.Binary, "prove", "-g", b.group, "--yes", b.group, "--to", folder, "--id", "h", "--service", target)
		c.Env = b.env
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		process <- c.Process
		err := c.Wait()
		hooks.Delete(who)
		if !done.Load() {
			t.Fatalf("%+v: it was not killed: %v", at, err)
		}
		id := "h" // with another ID it also removes what the killed one left
		if i == 1 {
			id = "other"
		}
		if code, out, errs := commandIn(ctx, t, b.env, b.Key("api"), "prove", "-g", b.group, "--yes", b.group, "--to", folder, "--id", id, "--service", target); code != 0 ||
			i == 1 != strings.Contains(out, "1 mark of earlier proofs removed") {
			t.Errorf("%+v: %d\n%s%s", at, code, out, errs)
		}
		if marks := b.marks(t, target); len(marks) > 0 {
			t.Errorf("%+v: left %v", at, marks)
		}
	}
	if wrong := b.outside(b.services...); len(wrong) > 0 {
		t.Errorf("it changed %q", wrong)
	}
}

// stopped runs the program until its output has the words, sends it the signal, and returns the output.
func stopped(ctx context.Context, t *testing.T, env []string, at string, signal syscall.Signal, args ...string) string {
	c := exec.CommandContext(ctx, world.Binary, args...)
	c.Env = env
	out, err := c.StdoutPipe()
	if err != nil {
		t.Error(err)
		return ""
	}
	var errs strings.Builder
	c.Stderr = &errs
	if err := c.Start(); err != nil {
		t.Error(err)
		return ""
	}
	var all strings.Builder
	step, sent := "", false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		line := lines.Text()
		all.WriteString(line + "\n")
		fields := strings.Fields(line)
		if !strings.HasPrefix(line, " ") {
			step = fields[0]
		}
		// "damage ok" is the end of a step, and "restore running" a state within one.
		words := []string{line, step + " " + fields[len(fields)-1]}
		if strings.Contains(line, " ok: ") {
			words = []string{step + " ok"}
		}
		for _, w := range words {
			if !sent && strings.Contains(w, at) {
				sent = true
				_ = c.Process.Signal(signal)
			}
		}
	}
	_ = c.Wait()
	if !sent {
		t.Errorf("no %q in\n%s%s", at, &all, &errs)
	}
	return all.String() + errs.String()
}
