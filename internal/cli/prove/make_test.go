package prove_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/cli/prove"
	"lifeboat/internal/config"
	"lifeboat/internal/services"
)

const (
	subscription = "0c0ffee0-0000-4000-8000-000000000001"
	sandbox      = "/subscriptions/" + subscription + "/resourceGroups/sandbox"
)

// factory is Azure's side of a service that a proof makes. It is called by one goroutine at a time.
type factory struct {
	*double
	services map[string]backup.Made
	kept     map[string]backup.Deleted
	// slow shows a service as Deleting for so many looks, late hides a deleted one for so many, before it is in the list, and lasting is the
	// number of looks that still show it there after the request for its purge.
	slow, late, lasting int
	purging             bool
	// The process dies at the call of this number, after its effect or before; 0 means never. calls counts them, and changes tells of some.
	dies    int
	after   bool
	stops   int // the number of the call at which the person ends the process
	calls   int
	changes []string
	// refuses has the calls that Azure refuses, and stillborn is the state in which a new service ends.
	refuses   map[string]*backup.Fault
	stillborn string
}

// call does the call, unless the process dies before, or it is refused.
func (f *factory) call(what string, effect func()) error {
	f.calls++
	if f.calls == f.stops {
		f.stop()
	}
	if f.calls == f.dies && !f.after {
		runtime.Goexit()
	}
	if fault := f.refuses[what]; fault != nil {
		return fault
	}
	effect()
	if f.calls == f.dies {
		runtime.Goexit()
	}
	return nil
}

func (f *factory) Region(context.Context, string) (string, error) {
	return "westeurope", f.call("region", func() {})
}

func (f *factory) Make(_ context.Context, id, region string, tags map[string]string) error {
	return f.call("make", func() {
		if region != "westeurope" || f.kept[id].Address != "" {
			f.t.Errorf("make %s in %s", id, region)
		}
		f.changes = append(f.changes, "make "+id)
		f.services[id] = backup.Made{ID: id, State: "Activating", Tags: tags}
	})
}

func (f *factory) Look(_ context.Context, id string) (found backup.Made, err error) {
	err = f.call("look", func() {
		found = f.services[id]
		switch found.State { // the next time
		case "Activating":
			f.turn(id, f.stillborn)
		case "Deleting":
			if f.slow--; f.slow == 0 {
				f.vanish(id)
			}
		}
	})
	return found, err
}

func (f *factory) Others(context.Context, string) (all []backup.Made, err error) {
	return slices.Collect(maps.Values(f.services)), f.call("others", func() {})
}

func (f *factory) Delete(_ context.Context, id string) error {
	return f.call("delete", func() {
		if f.services[id].State == "Deleting" {
			f.t.Error("it is deleted a second time")
		}
		f.changes = append(f.changes, "delete "+id)
		if f.slow > 0 {
			f.turn(id, "Deleting")
			return
		}
		f.vanish(id)
	})
}

// turn shows the service in another state, and vanish ends its deletion.
func (f *factory) turn(id, state string) {
	m := f.services[id]
	m.State = state
	f.services[id] = m
}

func (f *factory) vanish(id string) {
	delete(f.services, id)
	f.kept[id] = backup.Deleted{Address: "deleted " + id, Until: began.Add(48 * time.Hour)}
}

func (f *factory) Deleted(_ context.Context, id string) (kept backup.Deleted, err error) {
	err = f.call("deleted", func() {
		if f.late--; f.late < 0 {
			kept = f.kept[id]
		}
		if f.purging {
			if f.lasting--; f.lasting == 0 {
				delete(f.kept, id)
			}
		}
	})
	return kept, err
}

func (f *factory) Purge(_ context.Context, d backup.Deleted) error {
	return f.call("purge", func() {
		f.changes = append(f.changes, "purge "+d.Address)
		if f.purging = f.lasting > 0; !f.purging {
			maps.DeleteFunc(f.kept, func(_ string, one backup.Deleted) bool { return one == d })
		}
	})
}

// ownOf returns the service of the proof.
func ownOf(proof string) string {
	return sandbox + "/providers/Microsoft.ApiManagement/service/lifeboat-prove-" + backup.Digest(strings.ToLower(sandbox)+" "+proof, 20)
}

// newFactory makes a group with a service of a person's own, one that has only the tag of a proof, and one of another proof.
func newFactory(t *testing.T) *factory {
	f := &factory{
		double: &double{t: t, target: ownOf("x")}, services: map[string]backup.Made{}, kept: map[string]backup.Deleted{}, stillborn: "Succeeded",
	}
	f.add(service, nil)
	f.add(sandbox+"/providers/Microsoft.ApiManagement/service/tagged", map[string]string{"lifeboat-prove": "x"})
	f.add(ownOf("other"), map[string]string{"Lifeboat-Prove": "other"})
	f.kept[service+"-gone"] = backup.Deleted{Address: "of another"}
	return f
}

func (f *factory) add(id string, tags map[string]string) {
	f.services[id] = backup.Made{ID: id, State: "Succeeded", Tags: tags}
}

// run runs the command until its end, or until the process dies. The clock is a minute later each time.
func (f *factory) run(folder string, args ...string) (said string, err error) {
	f.t.Helper()
	server := httptest.NewServer(http.HandlerFunc(f.serve))
	defer server.Close()
	var out strings.Builder
	now := began
	c := prove.Command(prove.Shell{
		Getenv: func(name string) string {
			return map[string]string{"LIFEBOAT_URL": server.URL, "LIFEBOAT_KEY": "k", "AZURE_SUBSCRIPTION_ID": subscription}[name]
		},
		Stdout: &out, Stderr: &out, RequestID: "a", Services: services.All().Known(), Asks: func() bool { return false },
		Sleep: func(ctx context.Context, _ time.Duration) bool { return ctx.Err() == nil },
		Now: func() time.Time {
			now = now.Add(time.Minute)
			return now
		},
		Markers: func(func(string) string) (map[string]backup.Marker, error) {
			return map[string]backup.Marker{"microsoft.apimanagement/service": f}, nil
		},
		Makers: func(func(string) string) (map[string]backup.Maker, error) {
			return map[string]backup.Maker{"microsoft.apimanagement/service": f}, nil
		},
	})
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetArgs(append([]string{"-g", "sandbox", "--to", folder}, args...))
	ctx, cancel := context.WithTimeout(f.t.Context(), 60*time.Second) // a proof that goes on would ask again and again
	defer cancel()
	f.stop = cancel
	err = errKilled
	done := make(chan struct{})
	go func() { // the process
		defer close(done)
		err = c.ExecuteContext(ctx)
	}()
	<-done
	return out.String(), err
}

var errKilled = errors.New("killed")

// proves runs the proof x of a service that it makes.
func (f *factory) proves(folder string) (said string, err error) {
	f.t.Helper()
	return f.run(folder, "--make-apim", "--id", "x", "--yes", "sandbox")
}

// leaves compares what is left of the proof x, and sees that all else is as it was.
func (f *factory) leaves(changes ...string) {
	f.t.Helper()
	if _, there := f.services[ownOf("x")]; there || len(f.services) != 3 {
		f.t.Errorf("there are %v", f.services)
	}
	if len(f.kept) != 1 {
		f.t.Errorf("Azure keeps %v", f.kept)
	}
	if got := strings.ReplaceAll(strings.Join(f.changes, ", "), ownOf("x"), "it"); got != strings.Join(changes, ", ") {
		f.t.Errorf("changes: %s; want %q", got, changes)
	}
}

// TestAProofMakesItsOwnService: the first run ends with the plan for the service, the next one proves with that, and deletes it. A proof
// that is over makes nothing any more.
func TestAProofMakesItsOwnService(t *testing.T) {
	t.Parallel()
	f, folder := newFactory(t), t.TempDir()
	f.unplanned, f.late = true, 2
	asked := " --subscription " + subscription + " --to " + folder + "\n"
	said, err := f.proves(folder)
	if err == nil || !strings.Contains(err.Error(), "not proved yet") || len(f.runs) > 0 {
		t.Fatalf("%v\n%s", err, said)
	}
	for _, words := range []string{
		"of the proof other is in the group too, and costs about 0.07 US$ an hour: lifeboat prove -g sandbox --clean-up --id other" + asked,
		"Activating", `lifeboat plan roles plan.yaml --principal "$LIFEBOAT_PRINCIPAL_ID" -o az >roles.sh`, "lifeboat prove -g sandbox --make-apim --id x" + asked,
		ownOf("x") + " stays, and costs about 0.07 US$ an hour. Go on with --make-apim --id x, or delete it: lifeboat prove -g sandbox --clean-up --id x" + asked,
	} {
		if !strings.Contains(said, words) {
			t.Errorf("%q is not in\n%s", words, said)
		}
	}
	entry := regexp.MustCompile(`(?s)\n( +- name: .*itself]}\n)`).FindStringSubmatch(said)
	if entry == nil {
		t.Fatal(said)
	}
	plans, _, err := config.NewReader(services.All().Known()).Parse("plan.yaml", []byte("version: 1\ndefaults:\n  storage: {account: /subscriptions/"+subscription+
		"/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/backups, container: backups}\nplans:\n"+entry[1]))
	if err != nil || len(plans) != 1 || !slices.Equal(plans[0].Targets, []string{ownOf("x")}) {
		t.Errorf("the plan: %v %+v", err, plans)
	}

	f.unplanned = false
	if said, err = f.proves(folder); err != nil || !strings.Contains(said, "deleted and purged") || !strings.Contains(said, "out of plan.yaml again") {
		t.Errorf("%v\n%s", err, said)
	}
	f.leaves("make it", "delete it", "purge deleted it")
	f.has(1, "", "")
	report, _ := os.ReadFile(filepath.Join(folder, "prove-x.json"))
	if !strings.Contains(string(report), `"result": "proved"`) || !strings.Contains(string(report), `"made": "gone"`) || strings.Contains(string(report), "sandbox") ||
		strings.Contains(string(report), ownOf("x")[strings.LastIndex(ownOf("x"), "-")+1:]) {
		t.Error(string(report))
	}
	if said, err = f.proves(folder); err == nil || !strings.Contains(err.Error(), "the proof x is over") {
		t.Errorf("%v\n%s", err, said)
	}
	f.leaves("make it", "delete it", "purge deleted it")
}

// TestTheEndOfAProofIsTheEndOfItsService: it stays while a person may go on with the proof.
func TestTheEndOfAProofIsTheEndOfItsService(t *testing.T) {
	t.Parallel()
	for how, stays := range map[string]bool{"is refused": false, "fails": false, "leaves the mark": false, "goes on": true, "does not arrive": true, "is garbled": true} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			f, folder := newFactory(t), t.TempDir()
			f.restore = how
			said, err := f.proves(folder)
			if err == nil {
				t.Fatal(said)
			}
			if !stays {
				f.leaves("make it", "delete it", "purge deleted it")
				return
			}
			if _, there := f.services[ownOf("x")]; !there || !strings.Contains(said, "stays, and costs") {
				t.Errorf("%v\n%s", err, said)
			}
		})
	}
}

// TestARoleWithoutEffectYetCostsNoService: the backup fails as long as Azure does not know a new role everywhere. The service stays, and the
// next run goes on with it.
func TestARoleWithoutEffectYetCostsNoService(t *testing.T) {
	t.Parallel()
	f, folder := newFactory(t), t.TempDir()
	f.failures = 2
	for range 2 {
		said, err := f.proves(folder)
		if _, there := f.services[ownOf("x")]; err == nil || !there || !strings.Contains(said, "stays, and costs") {
			t.Errorf("%v\n%s", err, said)
		}
	}
	if said, err := f.proves(folder); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
	f.leaves("make it", "delete it", "purge deleted it")
}

// TestAzureTakesItsTime: it shows the service until its deletion ends, or nothing of it for half an hour. The rest shows for a while amid its purge.
// The proof sends each request once.
func TestAzureTakesItsTime(t *testing.T) {
	t.Parallel()
	for _, one := range []factory{{slow: 3}, {late: 20}, {lasting: 3}, {slow: 3, late: 20, lasting: 3}} {
		f := newFactory(t)
		f.slow, f.late, f.lasting = one.slow, one.late, one.lasting
		if said, err := f.proves(t.TempDir()); err != nil || !strings.Contains(said, "deleted and purged") {
			t.Errorf("%v\n%s", err, said)
		}
		f.leaves("make it", "delete it", "purge deleted it")
	}
}

// TestAFailedRestoreIsEvidence: it ends while the proof is stopped, and leaves the service as Failed. That is no failure to make it: the next
// run tells of the restore.
func TestAFailedRestoreIsEvidence(t *testing.T) {
	t.Parallel()
	f, folder := newFactory(t), t.TempDir()
	f.restore = "goes on"
	if said, err := f.proves(folder); err == nil || !strings.Contains(said, "stays, and costs") {
		t.Fatalf("%v\n%s", err, said)
	}
	f.end("Failed")
	f.turn(ownOf("x"), "Failed")
	if said, err := f.proves(folder); err == nil || !strings.Contains(err.Error(), "the restore run-2 ended failed") {
		t.Errorf("%v\n%s", err, said)
	}
	f.leaves("make it", "delete it", "purge deleted it")
	f.has(1, "", markX)
}

// call is a call of a proof that makes its service, by its number. Azure shows a service as Deleting for so many looks.
type call struct{ at, slow int }

func (k call) factory(t *testing.T) *factory {
	f := newFactory(t)
	f.slow, f.late = k.slow, 1
	return f
}

// calls returns each call of a proof that nothing stops, in both readings of a deletion.
func calls(t *testing.T) (all []call) {
	t.Helper()
	for _, slow := range []int{0, 2} {
		f := call{slow: slow}.factory(t)
		if said, err := f.proves(t.TempDir()); err != nil || f.calls < 10 {
			t.Fatalf("%d calls: %v\n%s", f.calls, err, said)
		}
		for at := range f.calls {
			all = append(all, call{at + 1, slow})
		}
	}
	return all
}

// TestAProofThatDiesLeavesNoService: the process dies before or after each of its calls about the service. The next run goes on, and in the
// end nothing is left of it, and of others all.
func TestAProofThatDiesLeavesNoService(t *testing.T) {
	t.Parallel()
	for _, k := range calls(t) {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%+v %t", k, after), func(t *testing.T) {
				t.Parallel()
				f, folder := k.factory(t), t.TempDir()
				f.dies, f.after = k.at, after
				if said, err := f.proves(folder); !errors.Is(err, errKilled) {
					t.Fatalf("%v\n%s", err, said)
				}
				said, err := f.proves(folder)
				if err != nil || !strings.Contains(said, "out of plan.yaml again") {
					t.Fatalf("%v\n%s", err, said)
				}
				if len(f.kept) != 1 || len(f.services) != 3 || slices.Contains(f.changes, "delete "+service) {
					t.Errorf("%v, %v, %v\n%s", f.services, f.kept, f.changes, said)
				}
				f.has(1, "", "")
			})
		}
	}
}

// TestAStoppedProofSaysWhatIsLeft: a person who ends it at any call knows what may still cost, and goes on with the next run.
func TestAStoppedProofSaysWhatIsLeft(t *testing.T) {
	t.Parallel()
	for _, k := range calls(t) {
		t.Run(fmt.Sprintf("%+v", k), func(t *testing.T) {
			t.Parallel()
			f, folder := k.factory(t), t.TempDir()
			f.stops = k.at
			said, err := f.proves(folder)
			_, there := f.services[ownOf("x")]
			if left := there || len(f.kept) > 1; left && (err == nil || !strings.Contains(said, "lifeboat prove -g sandbox --clean-up --id x")) {
				t.Errorf("%v\n%s\n%v %v", err, said, f.services, f.kept)
			}
			if there && !strings.Contains(said, " stays, and costs ") && !strings.Contains(said, " may still be there, and costs ") {
				t.Errorf("%v\n%s\n%v", err, said, f.services)
			}
			if err != nil {
				if said, err := f.proves(folder); err != nil {
					t.Errorf("%v\n%s", err, said)
				}
			}
			if len(f.kept) != 1 || len(f.services) != 3 {
				t.Errorf("%v %v", f.services, f.kept)
			}
		})
	}
}

// TestCleanUp: a killed proof is cleaned up by its ID, and nothing else, whatever its state.
func TestCleanUp(t *testing.T) {
	t.Parallel()
	for _, k := range calls(t) {
		t.Run(fmt.Sprintf("%+v", k), func(t *testing.T) {
			t.Parallel()
			f, folder := k.factory(t), t.TempDir()
			f.dies, f.after = k.at, true
			if said, err := f.proves(folder); !errors.Is(err, errKilled) {
				t.Fatalf("%v\n%s", err, said)
			}
			was := fmt.Sprint(f.services)
			for _, one := range [][2]string{{"--clean-up", "lifeboat prove -g sandbox --clean-up --id other"}, {"--clean-up --id x", "no terminal to ask at"}} {
				if said, err := f.run(folder, strings.Fields(one[0])...); err == nil || !strings.Contains(said+err.Error(), one[1]) || fmt.Sprint(f.services) != was {
					t.Errorf("%s: %v\n%s", one[0], err, said)
				}
			}
			_, left := f.services[ownOf("x")]
			for range 2 {
				said, err := f.run(folder, "--clean-up", "--id", "x", "--yes", "sandbox")
				if err != nil || left && !strings.Contains(said, "out of plan.yaml again") {
					t.Errorf("%v\n%s", err, said)
				}
				report, err := os.ReadFile(filepath.Join(folder, "prove-x.json"))
				if left && (err != nil || !strings.Contains(string(report), `"service": "service 1"`)) {
					t.Errorf("%v\n%s", err, report)
				}
				left = false
			}
			if _, there := f.services[ownOf("x")]; there || len(f.services) != 3 || len(f.kept) != 1 {
				t.Errorf("%v, %v", f.services, f.kept)
			}
		})
	}
}

// TestNoServiceIsKnownByItsNameAlone: one of the name without the tag of the proof stays. So does a deleted one, unless the report shows
// that this proof has deleted it.
func TestNoServiceIsKnownByItsNameAlone(t *testing.T) {
	t.Parallel()
	for _, tags := range []map[string]string{nil, {"lifeboat-prove": "y"}, {"lifeboat": "x"}} {
		f := newFactory(t)
		f.add(ownOf("x"), tags)
		for _, args := range []string{"--make-apim", "--clean-up"} {
			said, err := f.run(t.TempDir(), args, "--id", "x", "--yes", "sandbox")
			if err == nil || !strings.Contains(err.Error(), "so this proof did not make it") || len(f.changes) > 0 {
				t.Errorf("%v: %v\n%s%v", tags, err, said, f.changes)
			}
		}
	}
	f := newFactory(t)
	f.kept[ownOf("x")] = backup.Deleted{Address: "deleted by somebody", Until: began}
	said, err := f.run(t.TempDir(), "--clean-up", "--id", "x", "--yes", "sandbox")
	if err != nil || !strings.Contains(said, "Azure keeps a deleted one of its name until 2026-03-28T12:00:00Z, and then purges it: deleted by somebody") || len(f.changes) > 0 {
		t.Errorf("%v\n%s%v", err, said, f.changes)
	}
	folder := t.TempDir() // with the report of a proof of this ID in another group
	other := `{"proof": "x", "made": "deleting", "key": "` + backup.Digest("other", 20) + `", "result": "proved"}`
	if err := os.WriteFile(filepath.Join(folder, "prove-x.json"), []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	if said, err = f.run(folder, "--clean-up", "--id", "x", "--yes", "sandbox"); err == nil || len(f.changes) > 0 {
		t.Errorf("%v\n%s%v", err, said, f.changes)
	}
	f.refuses = map[string]*backup.Fault{"make": {Kind: backup.Retryable, Code: "ServiceAlreadyExistsInSoftDeletedState", Message: "m"}}
	if said, err = f.proves(t.TempDir()); err == nil || !strings.Contains(err.Error(), "say another --id") || strings.Contains(said, "costs about 0.07 US$ an hour. Go on") {
		t.Errorf("%v\n%s", err, said)
	}
}

// TestTheReportOfAnotherProofStays: it alone shows that a killed proof may purge its service. A proof of the same ID in another group, or
// with a service that a person names, does not replace it.
func TestTheReportOfAnotherProofStays(t *testing.T) {
	t.Parallel()
	f, folder := newFactory(t), t.TempDir()
	f.refuses = map[string]*backup.Fault{"deleted": {Kind: backup.Retryable, Code: "NoIdentityToken", Message: "m"}}
	if said, err := f.proves(folder); err == nil {
		t.Fatal(said)
	}
	was, asked := f.calls, len(f.runs)
	for _, args := range []string{"-g other --make-apim --yes other", "-g other --clean-up --yes other", "--yes sandbox --service " + service} {
		said, err := f.run(folder, append(strings.Fields(args), "--id", "x")...)
		if err == nil || !strings.Contains(err.Error(), "say another --id or --to") || f.calls != was || len(f.runs) != asked {
			t.Errorf("%s: %v\n%s", args, err, said)
		}
	}
	f.refuses = nil
	if said, err := f.proves(folder); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
	f.leaves("make it", "delete it", "purge deleted it")
}

// TestWhatAzureRefuses: nothing is left when Azure cannot make the service. Without the right to purge the proof ends well, and says so.
func TestWhatAzureRefuses(t *testing.T) {
	t.Parallel()
	no := &backup.Fault{Kind: backup.Refused, Code: "AuthorizationFailed", Message: "m"}
	f := newFactory(t)
	f.refuses = map[string]*backup.Fault{"make": no}
	if said, err := f.proves(t.TempDir()); err == nil || !strings.Contains(err.Error(), "m") || strings.Contains(said, "stays") {
		t.Errorf("%v\n%s", err, said)
	}
	f.leaves()
	f = newFactory(t)
	f.refuses = map[string]*backup.Fault{"look": no}
	if said, err := f.proves(t.TempDir()); err == nil || !strings.Contains(said, ownOf("x")+" may be there from an earlier run, and costs ") {
		t.Errorf("%v\n%s", err, said)
	}
	f.refuses = map[string]*backup.Fault{"make": {Kind: backup.Retryable, Code: "ServiceLocked", Message: "m", Said: "m"}}
	if said, err := f.proves(t.TempDir()); err == nil || !strings.Contains(said, "refused for now: ServiceLocked") || strings.Contains(said, "no answer") {
		t.Errorf("%v\n%s", err, said)
	}
	f.refuses["make"].Said = ""
	if said, err := f.proves(t.TempDir()); err == nil || !strings.Contains(said, "no answer: ServiceLocked") {
		t.Errorf("%v\n%s", err, said)
	}
	f = newFactory(t)
	f.stillborn = "Failed"
	if said, err := f.proves(t.TempDir()); err == nil || !strings.Contains(err.Error(), "could not make the API Management") {
		t.Errorf("%v\n%s", err, said)
	}
	f.leaves("make it", "delete it", "purge deleted it")
	locked := &backup.Fault{Kind: backup.Refused, Code: "ScopeLocked", Message: "m", Hint: "See az lock list."}
	for call, words := range map[string]string{"deleted": "it cannot be seen here whether Azure keeps it", "purge": "Azure keeps it until 2026-03-30T12:00:00Z"} {
		f := newFactory(t)
		f.refuses = map[string]*backup.Fault{call: locked}
		folder := t.TempDir()
		said, err := f.proves(folder)
		report, _ := os.ReadFile(filepath.Join(folder, "prove-x.json"))
		if err != nil || !strings.Contains(said, words) || !strings.Contains(said, locked.Hint) || !strings.Contains(string(report), ": ScopeLocked\"") ||
			strings.Contains(string(report), locked.Hint) {
			t.Errorf("%v\n%s%s", err, said, report)
		}
		if got := strings.ReplaceAll(strings.Join(f.changes, ", "), ownOf("x"), "it"); got != "make it, delete it" {
			t.Errorf("%s: %s", call, got)
		}
		if said, err := f.proves(folder); err == nil || !strings.Contains(err.Error(), "the proof x is over") {
			t.Errorf("%v\n%s", err, said)
		}
	}
}

// TestNothingIsMadeWithoutTheName: the person sees the price, and types the name of the group.
func TestNothingIsMadeWithoutTheName(t *testing.T) {
	t.Parallel()
	for args, words := range map[string]string{
		"--make-apim":                                "an API Management would be made, which costs about 0.07 US$ an hour",
		"--make-apim --yes other":                    `--yes names the group "other"`,
		"--make-apim --clean-up":                     "exclude each other",
		"--make-apim --service " + service:           "--service is not for a proof that makes its own",
		"--make-apim --subscription x --yes sandbox": "--subscription ID is missing",
		"--clean-up --subscription x":                "--subscription ID is missing",
		"--make-apim --id x- --yes sandbox":          "no dash first or last",
	} {
		f := newFactory(t)
		if said, err := f.run(t.TempDir(), strings.Fields(args)...); err == nil || !strings.Contains(err.Error(), words) || f.calls > 0 {
			t.Errorf("%s: %v\n%s", args, err, said)
		}
	}
}

// TestTheCommandForCleanUp: it finds the service of another subscription than the environment has, from any folder. No answer about the
// group is no answer about the service.
func TestTheCommandForCleanUp(t *testing.T) {
	t.Parallel()
	const elsewhere = "0c0ffee0-0000-4000-8000-000000000002"
	own := func(group string) string {
		scope := "/subscriptions/" + elsewhere + "/resourceGroups/" + group
		return scope + "/providers/Microsoft.ApiManagement/service/lifeboat-prove-" + backup.Digest(strings.ToLower(scope)+" x", 20)
	}
	f, folder := newFactory(t), filepath.Join(t.TempDir(), "Ann's reports")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	f.unplanned = true
	said, err := f.run(folder, "-g", "sand(box)", "--make-apim", "--id", "x", "--yes", "sand(box)", "--subscription", elsewhere)
	want := "or delete it: lifeboat prove -g 'sand(box)' --clean-up --id x --subscription " + elsewhere + " --to '" + strings.ReplaceAll(folder, "'", `'\''`) + "'\n"
	if _, made := f.services[own("sand(box)")]; err == nil || !made || !strings.Contains(said, want) {
		t.Errorf("%v\n%s\nwant %s", err, said, want)
	}
	f.refuses = map[string]*backup.Fault{"region": {Kind: backup.Refused, Gone: true, Code: "ResourceGroupNotFound", Message: "m"}}
	if said, err = f.run(folder, "-g", "sand(box)", "--clean-up", "--id", "x", "--yes", "sand(box)"); err == nil || !strings.Contains(err.Error(), "ResourceGroupNotFound") {
		t.Errorf("%v\n%s", err, said)
	}
}
