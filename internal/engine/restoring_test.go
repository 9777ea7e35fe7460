package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/restore"
	"lifeboat/internal/retention"
)

const (
	standby = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rg/providers/" +
		"Microsoft.ApiManagement/service/contoso-standby"
	vault = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rg/providers/Microsoft.KeyVault/managedHSMs/contoso"
)

// fakeRestorer is the service as one that restores. A function that the test leaves nil goes well.
type fakeRestorer struct {
	*fakeProvider
	can     func(r backup.Restore) error
	may     func(token string) (backup.Operation, error)
	starts  func(r backup.Restore) (backup.Operation, error)
	told    func() (backup.Operation, error)
	trace   func() (backup.Operation, error)
	started []backup.Restore // the requests that reached the service
}

func (s *fakeRestorer) PreflightRestore(_ context.Context, r backup.Restore) error {
	if s.can == nil {
		return nil
	}
	return s.can(r)
}

func (s *fakeRestorer) PrepareRestore(ctx context.Context, _ backup.Restore, token string) (backup.Operation, error) {
	if _, ok := ctx.Deadline(); !ok {
		s.stage.t.Error("PrepareRestore has no deadline")
	}
	if s.may == nil {
		return backup.Operation{Done: true}, nil
	}
	return s.may(token)
}

func (s *fakeRestorer) BeginRestore(ctx context.Context, r backup.Restore) (backup.Operation, error) {
	if _, ok := ctx.Deadline(); !ok {
		s.stage.t.Error("BeginRestore has no deadline")
	}
	s.started = append(s.started, r)
	if s.starts == nil {
		return backup.Operation{Token: "restore token"}, nil
	}
	return s.starts(r)
}

func (s *fakeRestorer) PollRestore(_ context.Context, _ backup.Restore, token string) (backup.Operation, error) {
	if token != "restore token" {
		s.stage.t.Errorf("polled with the token %q", token)
	}
	if s.told == nil {
		return backup.Operation{Done: true}, nil
	}
	return s.told()
}

func (s *fakeRestorer) FindRestore(context.Context, backup.Restore) (backup.Operation, error) {
	if s.trace == nil {
		return backup.Operation{}, fault(backup.Unobservable, "Untraceable")
	}
	return s.trace()
}

// restorable makes a stage whose service restores, with one recovery point of the target, and returns the point's ID.
func restorable(t *testing.T) (*harness, *fakeRestorer, string) {
	t.Helper()
	s := newHarness(t)
	r := &fakeRestorer{fakeProvider: s.provider}
	for kind := range s.engine.Providers {
		s.engine.Providers[kind] = r
	}
	s.engine.Providers["microsoft.keyvault/managedhsms"] = r
	run := s.ask("backup")
	s.finish()
	s.rescueAll()
	s.provider.begun = nil
	return s, r, run.ID
}

// recreatable makes a stage as restorable does, of services that make a deleted resource again.
func recreatable(t *testing.T) (*harness, *fakeRestorer, string) {
	t.Helper()
	s, r, point := restorable(t)
	s.engine.Services = slices.Clone(s.engine.Services)
	for i := range s.engine.Services {
		s.engine.Services[i].Restore.Recreates = true
	}
	return s, r, point
}

// restoredOn checks that the point and its newest manifest say when a restore from it has succeeded, and nothing of another one.
func (s *harness) restoredOn(point string, run backup.Run) {
	s.t.Helper()
	p, err := s.engine.RecoveryPoint(s.t.Context(), point)
	if err != nil {
		s.t.Fatal(err)
	}
	noted := slices.DeleteFunc(s.manifestNames(), func(name string) bool { return !strings.Contains(name, point+".restored.") })
	switch {
	case run.State == backup.Succeeded && (p.Evidence() != backup.RestoredBefore || !p.Restored.Equal(run.Ended) || len(noted) != 1):
		s.t.Errorf("restored on %s, and the point says %s, %s; manifests %q", run.Ended, p.Restored, p.Evidence(), noted)
	case run.State != backup.Succeeded && (p.Evidence() == backup.RestoredBefore || len(noted) != 0):
		s.t.Errorf("the restore ended %s, and the point says %s; manifests %q", run.State, p.Evidence(), noted)
	}
}

// rescueAll lets timer runs come until nothing is left in the index of runs in flight.
func (s *harness) rescueAll() {
	s.t.Helper()
	for range 30 {
		s.finish()
		if s.rows("inflight") == 0 {
			return
		}
		s.now = s.now.Add(10 * time.Minute)
		_, _ = s.engine.Schedule(s.t.Context(), nil)
	}
	s.t.Errorf("%d entries are left in the index of runs in flight", s.rows("inflight"))
}

// restoring returns a plan that allows restores into the target itself and into the standby.
func restoring(safety bool) []backup.Plan {
	p := nightly()
	policy := map[bool]backup.SafetyPolicy{true: backup.SafetyRequired, false: backup.SafetyNever}[safety]
	p.Restore = backup.RestorePolicy{Into: []string{backup.Itself, standby}, ReplyTo: []string{"answers"}, Safety: policy}
	return []backup.Plan{p}
}

func order(id string) restore.Request {
	return restore.Request{
		ID: id, Target: target, Kind: backup.RestoreFull, RequestedBy: "the runbook", Reason: "a bad deployment", ReplyTo: "answers",
	}
}

// restore asks for a restore.
func (s *harness) restore(q restore.Request, plans []backup.Plan) backup.Run {
	s.t.Helper()
	run, err := s.engine.Restore(s.t.Context(), q, plans)
	if err != nil {
		s.t.Fatal(err)
	}
	return run
}

// story returns the different events about the run, in the order in which they came first.
func (s *harness) story(run string) string {
	var types []string
	for _, e := range s.storage.queue.Events() {
		word := strings.TrimPrefix(e.Type, "lifeboat.restore.")
		if strings.HasPrefix(e.ID, run) && e.ID == run+"."+word && !slices.Contains(types, word) {
			types = append(types, word)
		}
	}
	return strings.Join(types, " ")
}

// answers returns the events about a restore on the queue that the request names.
func (s *harness) answers(run string) string {
	s.t.Helper()
	var types []string
	for _, m := range s.storage.queue.Messages("answers") {
		var e struct{ ID, Type string }
		if err := json.Unmarshal(m.Body, &e); err != nil {
			s.t.Fatal(err)
		}
		word := strings.TrimPrefix(e.Type, "lifeboat.restore.")
		if e.ID == run+"."+word && !slices.Contains(types, word) {
			types = append(types, word)
		}
	}
	return strings.Join(types, " ")
}

// readers returns the readers of the recovery point.
func (s *harness) readers(point string) []string {
	s.t.Helper()
	p, err := s.engine.RecoveryPoint(s.t.Context(), point)
	if err != nil {
		s.t.Fatal(err)
	}
	return p.Readers
}

func TestRestore(t *testing.T) {
	for _, test := range []struct {
		name   string
		into   string
		safety bool
		states string
	}{
		{"into itself, with a safety backup", "", true, "running verifying starting running succeeded"},
		{"into another, without", standby, false, "running succeeded"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, service, point := restorable(t)
			q := order("restore-1")
			q.Into = test.into
			run := s.restore(q, restoring(test.safety))
			if run.State != backup.Queued || run.Target != q.Destination() {
				t.Fatalf("the run is %+v", run)
			}
			var states []string
			for !s.run(run.ID).State.Final() {
				messages := s.storage.queue.Messages("execute")
				if s.now = messages[0].Visible; len(messages) > 1 {
					t.Fatalf("%d messages", len(messages))
				}
				for _, out := range s.deliver() {
					states = append(states, string(out.To))
				}
				if held := s.rows("lock") == 1; held == s.run(run.ID).State.Final() {
					t.Errorf("the run is %s, and the lock is held: %t", s.run(run.ID).State, held)
				}
			}
			if got := strings.Join(states, " "); got != test.states {
				t.Errorf("states %s, want %s", got, test.states)
			}
			if got := s.story(run.ID); got != "accepted started succeeded" {
				t.Errorf("told: %s", got)
			}
			if got := s.answers(run.ID); got != "accepted started succeeded" {
				t.Errorf("answered: %s", got)
			}
			if len(service.started) != 1 || service.started[0].Artifact != point+".1" || service.started[0].Target != q.Destination() ||
				service.started[0].Source != target {
				t.Errorf("started %+v", service.started)
			}
			if readers := s.readers(point); len(readers) > 0 {
				t.Errorf("the recovery point is still read by %q", readers)
			}
			s.rescueAll()
			_, _ = s.engine.Schedule(t.Context(), nil) // the manifest may be a timer run's to write
			s.restoredOn(point, s.run(run.ID))
			status := s.status(run.ID)
			if !test.safety {
				if status.Point != nil || len(service.begun) > 0 {
					t.Errorf("a safety backup %+v, begun %q", status.Point, service.begun)
				}
				return
			}
			p := status.Point
			if p == nil || !p.Safety || p.Held.Until.Sub(status.Run.Restore.SafetyBackedUp).Abs() > time.Minute+engine.HoldSafety ||
				len(service.begun) != 1 || p.Artifact != run.ID+".1" {
				t.Fatalf("the safety backup is %+v, begun %q", p, service.begun)
			}
			// It is not the desired state of the target: the newest point is still the older one.
			again := order("restore-2")
			plan, err := s.engine.PreviewRestore(t.Context(), again, restoring(true))
			if err != nil || plan.Point == nil || plan.Point.ID != point {
				t.Errorf("latest is %+v, %v", plan.Point, err)
			}
			again.Point = run.ID
			if plan, err := s.engine.PreviewRestore(t.Context(), again, restoring(true)); err != nil || plan.Refusal() != nil {
				t.Errorf("by its ID: %+v, %v", plan.Refusal(), err)
			}
			review := func(p backup.Point, now time.Time) []retention.Decision {
				r := retention.NewReview(now, 0)
				r.Add(p)
				d, _ := r.Decide()
				return d
			}
			if d := review(*p, p.Held.Until.Add(-time.Hour)); len(d) > 0 && !d[0].Keep {
				t.Errorf("not held: %+v", d)
			}
			for range 2 {
				status, err = s.engine.ConfirmRestore(t.Context(), run.ID)
				if err != nil || status.Point == nil || status.Point.Held != (backup.Hold{}) {
					t.Errorf("confirmed: %+v, %v", status.Point, err)
				}
				if confirmed := backup.ManifestFolder + "/" + run.ID + ".confirmed.json"; !slices.Contains(s.manifestNames(), confirmed) ||
					s.rows("outbox-") != 0 {
					t.Errorf("%q, and %d events wait", s.manifestNames(), s.rows("outbox-"))
				}
			}
			if d := review(*status.Point, p.Expires.Add(time.Hour)); len(d) != 1 || d[0].Keep {
				t.Errorf("kept after its time, though it is the only one, and confirmed: %+v", d)
			}
		})
	}
}

// TestRestoreGuards: every refusal of a guard ends refused, in these words, and nothing is begun; a dry run says the same.
func TestRestoreGuards(t *testing.T) {
	refused := func(code string) *backup.Fault { return fault(backup.Refused, code) }
	for _, test := range []struct {
		name, code string
		// change changes the request, the plan, or the behaviour of the service.
		change func(s *harness, service *fakeRestorer, q *restore.Request, p *backup.Plan)
		// later tells that only the run itself finds it.
		later bool
	}{
		{"expired", "RequestExpired", func(s *harness, _ *fakeRestorer, q *restore.Request, _ *backup.Plan) { q.Expires = s.now }, false},
		{"no plan has the target", "UnknownTarget", func(_ *harness, _ *fakeRestorer, q *restore.Request, _ *backup.Plan) {
			q.Target, q.Into = standby, target
		}, false},
		{"a destination that is not listed", "DestinationNotAllowed", func(_ *harness, _ *fakeRestorer, q *restore.Request, _ *backup.Plan) {
			q.Into = standby + "2"
		}, false},
		{"a plan that says nothing of restores", "DestinationNotAllowed", func(_ *harness, _ *fakeRestorer, _ *restore.Request, p *backup.Plan) {
			p.Restore = backup.RestorePolicy{}
		}, false},
		{"approval", "ApprovalUnavailable", func(_ *harness, _ *fakeRestorer, _ *restore.Request, p *backup.Plan) {
			p.Restore.Approval = true
		}, false},
		{"answers elsewhere", "ReplyToNotAllowed", func(_ *harness, _ *fakeRestorer, q *restore.Request, _ *backup.Plan) {
			q.ReplyTo = "elsewhere"
		}, false},
		{"another type of service", "TypeMismatch", func(_ *harness, _ *fakeRestorer, q *restore.Request, p *backup.Plan) {
			q.Into, p.Restore.Into = vault, []string{vault}
		}, false},
		{"one key of no HSM", "KindNotSupported", func(_ *harness, _ *fakeRestorer, q *restore.Request, _ *backup.Plan) {
			q.Kind, q.Key = backup.RestoreKey, "rsa1"
		}, false},
		{"a safety backup of what must be gone", "SafetyBackupUnavailable", func(_ *harness, _ *fakeRestorer, q *restore.Request, p *backup.Plan) {
			q.Target = strings.Replace(target, "Microsoft.ApiManagement/service", "Microsoft.ConfidentialLedger/managedCCFs", 1)
			p.Targets, p.Restore.Safety = []string{q.Target}, backup.SafetyRequired
		}, false},
		{"an unknown recovery point", "RecoveryPointNotFound", func(_ *harness, _ *fakeRestorer, q *restore.Request, _ *backup.Plan) {
			q.Point = "0123456789abcdef-0123456789-0123456789ab"
		}, false},
		{"none before", "NoRecoveryPoint", func(_ *harness, _ *fakeRestorer, q *restore.Request, _ *backup.Plan) {
			q.Before = begin
		}, false},
		{"beyond the horizon", "BeyondHorizon", func(s *harness, _ *fakeRestorer, _ *restore.Request, _ *backup.Plan) {
			s.now = s.now.Add(30 * 24 * time.Hour)
		}, false},
		{"expired and deleted", "RecoveryPointExpired", func(s *harness, _ *fakeRestorer, q *restore.Request, _ *backup.Plan) {
			q.Point = s.storage.queue.Events()[0].ID[:40]
			s.change(q.Point, func(p *backup.Point) { p.State, p.Deleted = backup.Expired, s.now })
		}, false},
		{"being deleted", "RecoveryPointDeleting", func(s *harness, _ *fakeRestorer, q *restore.Request, _ *backup.Plan) {
			q.Point = s.storage.queue.Events()[0].ID[:40]
			s.change(q.Point, func(p *backup.Point) { p.State = backup.Deleting })
		}, false},
		{"an artifact that is gone", "ArtifactMissing", func(_ *harness, service *fakeRestorer, _ *restore.Request, _ *backup.Plan) {
			service.hash = func(backup.Attempt, backup.Hashing) (backup.Verification, error) {
				return backup.Verification{}, refused("ArtifactMissing")
			}
		}, true},
		{"an artifact that was changed", "ArtifactChanged", func(s *harness, service *fakeRestorer, _ *restore.Request, _ *backup.Plan) {
			service.hash = func(backup.Attempt, backup.Hashing) (backup.Verification, error) {
				return backup.Verification{Done: true, Size: 7, SHA256: "dead", Modified: s.now}, nil
			}
		}, true},
		{"another SKU", "SkuMismatch", func(_ *harness, service *fakeRestorer, _ *restore.Request, _ *backup.Plan) {
			service.can = func(backup.Restore) error { return refused("SkuMismatch") }
		}, true},
		{"no provider", "RestoreNotSupported", func(s *harness, service *fakeRestorer, _ *restore.Request, _ *backup.Plan) {
			s.engine.Providers["microsoft.apimanagement/service"] = service.fakeProvider
		}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, service, _ := restorable(t)
			q, plans := order("restore-1"), restoring(false)
			test.change(s, service, &q, &plans[0])
			preview, err := s.engine.PreviewRestore(t.Context(), q, plans)
			if why := preview.Refusal(); err != nil || why == nil || why.Code != test.code || why.Message == "" {
				t.Errorf("the plan says %+v, %v; want %s", why, err, test.code)
			}
			run := s.restore(q, plans)
			if run.State.Final() == test.later {
				t.Errorf("the run is %s at once", run.State)
			}
			s.rescueAll()
			run = s.run(run.ID)
			code := test.code
			if test.code == "RestoreNotSupported" {
				code = "NoProvider"
			}
			if run.Reason.Code != code || !run.State.Final() || run.State == backup.Succeeded || run.Unpublished {
				t.Errorf("the run is %s: %+v", run.State, run.Reason)
			}
			if !strings.HasSuffix(s.story(run.ID), string(run.State)) {
				t.Errorf("told: %s", s.story(run.ID))
			}
			answers := "" // also about a refusal before it is known which plan allows the restore
			if test.code != "UnknownTarget" && slices.Contains(plans[0].Restore.ReplyTo, q.ReplyTo) {
				answers = s.story(run.ID)
			}
			if got := s.answers(run.ID); got != answers {
				t.Errorf("answered: %q, want %q", got, answers)
			}
			if len(service.started)+len(service.begun) > 0 {
				t.Errorf("begun %q, restored %+v", service.begun, service.started)
			}
		})
	}
}

// change changes the row of a recovery point, as another writer would.
func (s *harness) change(id string, f func(*backup.Point)) {
	s.t.Helper()
	p, err := s.engine.RecoveryPoint(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	f(&p)
	s.put(p)
}

// TestRestoreWarns: a suspect recovery point is not the latest, and is restored by its ID with a warning in the plan.
func TestRestoreWarns(t *testing.T) {
	s, _, point := restorable(t)
	s.change(point, func(p *backup.Point) {
		p.State, p.Suspicion = backup.Suspect, backup.Reason{Code: "SizeSuspect", Message: "small"}
	})
	q := order("restore-1")
	p, err := s.engine.PreviewRestore(t.Context(), q, restoring(false))
	if err != nil || p.Refusal() == nil || p.Refusal().Code != "NoRecoveryPoint" {
		t.Errorf("latest: %+v, %v", p.Refusal(), err)
	}
	q.Point = point
	p, err = s.engine.PreviewRestore(t.Context(), q, restoring(false))
	warned := slices.ContainsFunc(p.Guards, func(g restore.Guard) bool {
		return g.Outcome == restore.Warned && g.Reason.Code == "SizeSuspect"
	})
	if err != nil || p.Refusal() != nil || !warned {
		t.Errorf("by its ID: %+v, %v", p.Guards, err)
	}
	if run := s.restore(q, restoring(false)); run.State != backup.Queued {
		t.Errorf("the run is %s: %+v", run.State, run.Reason)
	}
}

// TestRestoreOfWhatStorageKeeps: a recovery point past its time, which storage keeps, is restored like any other. If a restore
// comes while cleanup tries the deletion again, it waits for that, and begins, or is refused if the point is gone.
func TestRestoreOfWhatStorageKeeps(t *testing.T) {
	for _, test := range []struct {
		name        string
		during, end backup.PointState
		state       backup.State
		code        string
	}{
		{"kept", backup.Live, backup.Live, backup.Succeeded, ""},
		{"kept, after another try", backup.Deleting, backup.Live, backup.Succeeded, ""},
		{"gone, after another try", backup.Deleting, backup.Expired, backup.StateRefused, "RecoveryPointExpired"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, service, point := restorable(t)
			s.change(point, func(p *backup.Point) {
				p.State = test.during
				p.KeptByStorage = backup.KeptByStorage{Again: s.now.Add(time.Hour), Reason: backup.Reason{Code: "LeaseIdMissing"}}
			})
			q := order("restore-1")
			q.Point = point
			run := s.restore(q, restoring(false))
			for range 3 {
				s.step()
			}
			if waits := s.run(run.ID); test.during == backup.Deleting &&
				(waits.State != backup.Waiting || waits.Reason.Code != "RecoveryPointDeleting" || len(service.started) != 0) {
				t.Fatalf("it is %s: %+v", waits.State, waits.Reason)
			}
			if test.during == backup.Deleting {
				s.change(point, func(p *backup.Point) { p.State = test.end })
			}
			s.finish()
			if end := s.run(run.ID); end.State != test.state || end.Reason.Code != test.code ||
				len(service.started) != map[bool]int{true: 1}[test.state == backup.Succeeded] {
				t.Errorf("%s %+v, %d requests", end.State, end.Reason, len(service.started))
			}
		})
	}
}

// TestRestorePreviewOf: every service says which things are overwritten, by which calls, and whether it is backed up before.
func TestRestorePreviewOf(t *testing.T) {
	s, _, _ := restorable(t)
	for kind, want := range map[string]struct{ safety, always bool }{
		"Microsoft.ApiManagement/service":          {safety: true},
		"Microsoft.KeyVault/managedHSMs":           {safety: true, always: true},
		"Microsoft.ConfidentialLedger/managedCCFs": {},
		"Microsoft.ConfidentialLedger/ledgers":     {},
	} {
		for _, wanted := range []bool{true, false} {
			plans, q := restoring(wanted), order("restore-1")
			q.Target = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rg/providers/" + kind + "/contoso"
			plans[0].Targets, plans[0].Settings.Blocks = []string{q.Target}, `{"ccf":{"apiVersion":"2025-06-10-preview"}}`
			p, err := s.engine.PreviewRestore(t.Context(), q, plans)
			if err != nil || p.Safety != (want.always || wanted && want.safety) {
				t.Errorf("%s, safetyBackup %t: %t, %v", kind, wanted, p.Safety, err)
			}
			if why := p.Refusal(); wanted && strings.HasSuffix(kind, "managedCCFs") {
				if why == nil || why.Code != "SafetyBackupUnavailable" {
					t.Errorf("a safety backup of what must be gone: %+v", why)
				}
				continue
			}
			if len(p.Overwrites) == 0 || len(p.Calls) == 0 ||
				!strings.HasSuffix(p.Calls[len(p.Calls)-1], "/restore") {
				t.Errorf("%s overwrites %q by %q", kind, p.Overwrites, p.Calls)
			}
		}
	}
}

// TestRestorePreviewHash: it changes with the effect of the restore, and with nothing else.
func TestRestorePreviewHash(t *testing.T) {
	s, service, point := restorable(t)
	base := order("restore-1")
	hash := func(q restore.Request, safety bool) string {
		t.Helper()
		p, err := s.engine.PreviewRestore(t.Context(), q, restoring(safety))
		if err != nil || len(p.Hash) != 64 {
			t.Fatal(p, err)
		}
		return p.Hash
	}
	first := hash(base, false)
	same := base
	same.ID, same.Reason, same.Point, same.Expires = "restore-2", "another", point, s.now.Add(time.Hour)
	s.now = s.now.Add(time.Minute)
	service.can = func(backup.Restore) error { return fault(backup.Refused, "SkuMismatch") }
	if hash(same, false) != first {
		t.Error("the hash changes although what would be done does not")
	}
	other := base
	other.Into = standby
	hashes := []string{first, hash(base, true), hash(other, false)}
	slices.Sort(hashes)
	if len(slices.Compact(hashes)) != 3 {
		t.Error("the hash does not change although what would be done does")
	}
}

// TestRestorePreviewRegion: the preview of a restore names the region in which a ledger is recreated, also if plan.yaml says it.
func TestRestorePreviewRegion(t *testing.T) {
	s, _, _ := restorable(t)
	for kind, of := range map[string]string{
		"Microsoft.ConfidentialLedger/managedCCFs": "westeurope", "Microsoft.ConfidentialLedger/ledgers": "westeurope",
		"Microsoft.ApiManagement/service": "",
	} {
		q, plans := order("restore-1"), restoring(false)
		q.Target = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rg/providers/" + kind + "/contoso"
		plans[0].Targets, plans[0].Settings.Blocks = []string{q.Target}, `{"ccf":{"restoreRegion":"westeurope"}}`
		hashes := map[string]string{}
		for asked, want := range map[string]string{"": of, "westeurope": "westeurope", "northeurope": "northeurope"} {
			q.Region = asked
			p, err := s.engine.PreviewRestore(t.Context(), q, plans)
			if err != nil || p.Region != want {
				t.Errorf("%s, asked for %q: in %q, want %q, %v", kind, asked, p.Region, want, err)
			}
			if why := p.Refusal(); of == "" && asked != "" && (why == nil || why.Code != "RegionNotSupported") {
				t.Errorf("%s in %s: %+v", kind, asked, why)
			}
			hashes[p.Hash] = want
		}
		regions := 3
		if of != "" {
			regions = 2
		}
		if len(hashes) != regions {
			t.Errorf("%s: the hashes of %v", kind, hashes)
		}
	}
}

// TestRestoreOnce: the same request ten times, two of them after its end, is one restore. Another under its ID is refused.
func TestRestoreOnce(t *testing.T) {
	s, service, _ := restorable(t)
	plans := restoring(true)
	run := s.restore(order("restore-1"), plans)
	for range 7 {
		if again := s.restore(order("restore-1"), plans); again.ID != run.ID {
			t.Errorf("another run %s", again.ID)
		}
		s.step()
	}
	s.finish()
	for range 2 {
		if again := s.restore(order("restore-1"), nil); again.ID != run.ID || again.State != backup.Succeeded {
			t.Errorf("after its end: %s, %s", again.ID, again.State)
		}
	}
	s.rescueAll()
	if len(service.started) != 1 {
		t.Errorf("restored %d times", len(service.started))
	}
	other := order("restore-1")
	other.Into = standby
	if _, err := s.engine.Restore(t.Context(), other, plans); !errors.Is(err, engine.ErrRequestReused) {
		t.Errorf("another request under the ID: %v", err)
	}
	dry := order("restore-1")
	dry.DryRun = true
	if again := s.restore(dry, plans); again.ID != run.ID {
		t.Error("a dry run is another request")
	}
}

// TestRestoreLost: a restore whose answer was lost is never begun twice, unless the service shows that nothing was begun.
func TestRestoreLost(t *testing.T) {
	underWay, done := backup.Operation{Token: "restore token"}, backup.Operation{Done: true}
	for _, test := range []struct {
		name   string
		found  backup.Operation
		err    error
		state  backup.State
		code   string
		starts int
	}{
		{"nothing tells", backup.Operation{}, fault(backup.Unobservable, "Untraceable"), backup.Unknown, "StartLost", 1},
		{"it is done", done, nil, backup.Succeeded, "", 1},
		{"it is under way", underWay, nil, backup.Succeeded, "", 1},
		{"nothing was begun", backup.Operation{}, nil, backup.Unknown, "StartLost", 3},
		{"it failed", backup.Operation{}, fault(backup.Refused, "RestoreFailed"), backup.Failed, "RestoreFailed", 1},
		{"it cannot be looked for", backup.Operation{}, fault(backup.Retryable, "Unreachable"), backup.Unknown, "StartLost", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, service, _ := recreatable(t)
			service.starts = func(backup.Restore) (backup.Operation, error) {
				return backup.Operation{}, fault(backup.Ambiguous, "ConnectionReset")
			}
			service.trace = func() (backup.Operation, error) { return test.found, test.err }
			run := s.restore(order("restore-1"), restoring(false))
			s.finish()
			s.rescueAll()
			run = s.run(run.ID)
			if run.State != test.state || run.Reason.Code != test.code || len(service.started) != test.starts || s.rows("lock") != 0 {
				t.Errorf("%s after %d starts: %+v", run.State, len(service.started), run.Reason)
			}
			if ended := run.Ended.Sub(run.LostStarts[0].From); ended < s.engine.Timings.Lease {
				t.Errorf("it ended %s after the start was meant: the request may still have been on its way", ended)
			}
		})
	}
}

// TestRestoreInPlaceLost: a service that is restored in place is never asked whether it was, nor restored again. The run ends
// once the request can no longer arrive, and says how a person finds out.
func TestRestoreInPlaceLost(t *testing.T) {
	s, service, _ := restorable(t)
	service.starts = func(backup.Restore) (backup.Operation, error) {
		return backup.Operation{}, fault(backup.Ambiguous, "ConnectionReset")
	}
	service.trace = func() (backup.Operation, error) {
		t.Error("the service was asked")
		return backup.Operation{Done: true}, nil
	}
	run := s.restore(order("restore-1"), restoring(false))
	s.finish()
	s.rescueAll()
	run = s.run(run.ID)
	if run.State != backup.Unknown || run.Reason.Code != "StartLost" || len(service.started) != 1 || s.rows("lock") != 0 {
		t.Errorf("%s after %d starts: %+v", run.State, len(service.started), run.Reason)
	}
	if want := "See in the activity log of " + target + " whether there was a restore"; !strings.Contains(run.Reason.Hint, want) {
		t.Errorf("the hint %q does not say %q", run.Reason.Hint, want)
	}
	if ended := run.Ended.Sub(run.LostStarts[0].From); ended < s.engine.Timings.Lease {
		t.Errorf("it ended %s after the start was meant: the request may still have been on its way", ended)
	}
}

// TestRestoreLostAndTurnedAway: a service that shows nothing of a lost start at first may be busy with it, or show it later. The
// run never ends then with a state that says that nothing was restored.
func TestRestoreLostAndTurnedAway(t *testing.T) {
	for _, test := range []struct {
		name  string
		again error // the answer to the second request
		looks error // the answer of the service's check then
		state backup.State
	}{
		{"busy with it", fault(backup.Retryable, "Conflict"), nil, backup.Succeeded},
		{"refused", fault(backup.Refused, "OriginalExists"), nil, backup.Succeeded},
		{"refused before", nil, fault(backup.Refused, "OriginalExists"), backup.Succeeded},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, service, _ := recreatable(t)
			service.starts = func(backup.Restore) (backup.Operation, error) {
				if len(service.started) == 1 {
					return backup.Operation{}, fault(backup.Ambiguous, "ConnectionReset")
				}
				return backup.Operation{}, test.again
			}
			service.may = func(string) (backup.Operation, error) {
				if len(service.started) > 0 && test.looks != nil {
					return backup.Operation{}, test.looks
				}
				return backup.Operation{Done: true}, nil
			}
			service.trace = func() (backup.Operation, error) {
				return backup.Operation{Done: s.now.Sub(begin) > time.Hour}, nil
			}
			run := s.restore(order("restore-1"), restoring(false))
			s.finish()
			s.rescueAll()
			if run = s.run(run.ID); run.State != test.state || s.rows("lock") != 0 {
				t.Errorf("%s (%+v), %d locks", run.State, run.Reason, s.rows("lock"))
			}
		})
	}
}

// TestALostRestoreIsNotBegunAgainLate: a restore whose answer was lost, and of which nothing shows, is begun again only while its request
// is good.
func TestALostRestoreIsNotBegunAgainLate(t *testing.T) {
	for _, test := range []struct {
		name   string
		good   time.Duration
		starts int
		state  backup.State
	}{
		{"good for long enough", 3 * time.Hour, 2, backup.Succeeded},
		{"expired meanwhile", 30 * time.Minute, 1, backup.Unknown},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, service, _ := recreatable(t)
			service.starts = func(backup.Restore) (backup.Operation, error) {
				if len(service.started) == 1 {
					return backup.Operation{}, fault(backup.Ambiguous, "ConnectionReset")
				}
				return backup.Operation{Token: "restore token"}, nil
			}
			service.trace = func() (backup.Operation, error) { return backup.Operation{}, nil }
			q := order("restore-1")
			q.Expires = s.now.Add(test.good)
			run := s.restore(q, restoring(false))
			s.finish()
			s.rescueAll()
			if run = s.run(run.ID); run.State != test.state || len(service.started) != test.starts || s.rows("lock") != 0 {
				t.Errorf("%s after %d starts: %+v", run.State, len(service.started), run.Reason)
			}
			if test.state == backup.Unknown && !strings.Contains(run.Reason.Message, "it is not sent again: the request was good until ") {
				t.Errorf("%+v", run.Reason)
			}
		})
	}
}

// TestRestoreSeenLate: a restore whose answer was lost is seen late, before or after a further start that is rejected because of
// it.
func TestRestoreSeenLate(t *testing.T) {
	for name, test := range map[string]struct {
		// looks show nothing; second is the answer to a further start after the retry window.
		looks  int
		second error
		starts int
	}{
		"within the retry window":         {2, nil, 1},
		"a further start finds it busy":   {30, fault(backup.Retryable, "Conflict"), 2},
		"a further start finds it made":   {30, fault(backup.Refused, "OriginalExists"), 2},
		"a further start is lost as well": {30, fault(backup.Ambiguous, "ConnectionReset"), 2},
	} {
		t.Run(name, func(t *testing.T) {
			s, service, _ := recreatable(t)
			service.starts = func(backup.Restore) (backup.Operation, error) {
				if len(service.started) == 1 {
					return backup.Operation{}, fault(backup.Ambiguous, "ConnectionReset")
				}
				return backup.Operation{}, test.second
			}
			looks := 0
			service.trace = func() (backup.Operation, error) {
				looks++
				return backup.Operation{Done: looks > test.looks || len(service.started) > 1}, nil
			}
			run := s.restore(order("restore-1"), restoring(false))
			s.finish()
			s.rescueAll()
			if run = s.run(run.ID); run.State != backup.Succeeded || len(service.started) != test.starts || s.rows("lock") != 0 {
				t.Errorf("%s after %d starts and %d looks: %+v", run.State, len(service.started), looks, run.Reason)
			}
			if first, timeout := s.run(run.ID).LostStarts[0].From, s.engine.Timings.RetryWindow; test.starts > 1 && run.Ended.Sub(first) < timeout {
				t.Errorf("a further start came before the retry window of %s was over", timeout)
			}
		})
	}
}

// TestRestoreOfWhom: two restores of a ledger lose their answers, one after the other, and then it is there. It is unknown which
// of them made it, unless the first one is long past.
func TestRestoreOfWhom(t *testing.T) {
	for _, test := range []struct {
		later time.Duration
		found backup.Operation
		state backup.State
		// busy tells that it is found only after a further start was rejected.
		busy bool
	}{
		{0, backup.Operation{Done: true}, backup.Unknown, false},
		{0, backup.Operation{Token: "restore token"}, backup.Unknown, false},
		{0, backup.Operation{Done: true}, backup.Unknown, true},
		{47 * time.Hour, backup.Operation{Done: true}, backup.Unknown, false},
		{49 * time.Hour, backup.Operation{Done: true}, backup.Succeeded, false},
	} {
		t.Run(fmt.Sprintf("%+v", test), func(t *testing.T) {
			s, service, _ := recreatable(t)
			service.starts = func(backup.Restore) (backup.Operation, error) {
				return backup.Operation{}, fault(backup.Ambiguous, "ConnectionReset")
			}
			service.trace = func() (backup.Operation, error) { return backup.Operation{}, nil }
			first := s.restore(order("restore-1"), restoring(false))
			s.finish()
			s.rescueAll()
			if first = s.run(first.ID); first.State != backup.Unknown {
				t.Fatalf("the first one ended %s: %+v", first.State, first.Reason)
			}
			s.now = first.Ended.Add(test.later)
			before := len(service.started)
			service.starts = func(backup.Restore) (backup.Operation, error) {
				if len(service.started) > before+1 {
					return backup.Operation{}, fault(backup.Retryable, "Conflict")
				}
				return backup.Operation{}, fault(backup.Ambiguous, "ConnectionReset")
			}
			service.trace = func() (backup.Operation, error) {
				if test.busy && len(service.started) < before+3 {
					return backup.Operation{}, nil
				}
				return test.found, nil
			}
			second := s.restore(order("restore-2"), restoring(false))
			s.finish()
			s.rescueAll()
			second = s.run(second.ID)
			if second.State != test.state || strings.Contains(second.Reason.Message, first.ID) != (test.state == backup.Unknown) {
				t.Errorf("it ended %s: %+v", second.State, second.Reason)
			}
			if s.rows("lock") != 0 || s.story(second.ID) != "accepted started "+string(test.state) && test.found.Token != "" {
				t.Errorf("%d locks; told: %s", s.rows("lock"), s.story(second.ID))
			}
		})
	}
}

// TestRestoreUnseenForAWhile: a restore whose answer was lost is begun again only after looks that showed nothing of it for as
// long as the retry window. Looks that could not be made do not count.
func TestRestoreUnseenForAWhile(t *testing.T) {
	s, service, _ := recreatable(t)
	service.starts = func(backup.Restore) (backup.Operation, error) {
		return backup.Operation{}, fault(backup.Ambiguous, "ConnectionReset")
	}
	unseen, asked := 50*time.Minute, s.now
	service.trace = func() (backup.Operation, error) {
		switch passed := s.now.Sub(asked); {
		case passed < unseen:
			return backup.Operation{}, fault(backup.Retryable, "Unreachable")
		case passed < unseen+30*time.Minute:
			return backup.Operation{}, nil
		}
		return backup.Operation{Done: true}, nil
	}
	run := s.restore(order("restore-1"), restoring(false))
	s.finish()
	s.rescueAll()
	if run = s.run(run.ID); run.State != backup.Succeeded || len(service.started) != 1 {
		t.Errorf("%s after %d starts: %+v", run.State, len(service.started), run.Reason)
	}
}

// TestRestoreOfLedgers: they are restored under their own name, and not backed up before, since the original was deleted.
func TestRestoreOfLedgers(t *testing.T) {
	s, _, _ := restorable(t)
	for _, kind := range []string{"managedCCFs", "ledgers"} {
		id := strings.Replace(vault, "Microsoft.KeyVault/managedHSMs", "Microsoft.ConfidentialLedger/"+kind, 1)
		plans := restoring(false)
		plans[0].Targets, plans[0].Restore.Into = []string{id}, []string{backup.Itself, id + "-2"}
		plans[0].Settings.Blocks = `{"ccf":{"apiVersion":"2025-06-10-preview"}}`
		for into, code := range map[string]string{"": "NoRecoveryPoint", id + "-2": "NameDiffers"} {
			q := order("restore-1")
			q.Target, q.Into = id, into
			p, err := s.engine.PreviewRestore(t.Context(), q, plans)
			if err != nil || p.Refusal() == nil || p.Refusal().Code != code || p.Safety {
				t.Errorf("%s into %q: %v, %+v", id, into, err, p)
			}
			if into == "" && (len(p.Overwrites) != 1 || !slices.Equal(p.Calls, []string{"POST " + id + "/restore"})) {
				t.Errorf("%s: %q, %q", id, p.Overwrites, p.Calls)
			}
		}
	}
}

// TestRestoreAnswersRefusals: any refusal goes to the queue that a plan of the target allows.
func TestRestoreAnswersRefusals(t *testing.T) {
	s, _, _ := restorable(t)
	q := order("restore-1")
	q.Expires = s.now.Add(-time.Hour)
	if run := s.restore(q, restoring(false)); run.Reason.Code != "RequestExpired" || run.Restore.ReplyTo != "answers" {
		t.Errorf("%+v, answered to %q", run.Reason, run.Restore.ReplyTo)
	}
	q = order("restore-2")
	q.Into = standby + "-2"
	if run := s.restore(q, restoring(false)); run.Reason.Code != "DestinationNotAllowed" || run.Restore.ReplyTo != "answers" {
		t.Errorf("%+v, answered to %q", run.Reason, run.Restore.ReplyTo)
	}
	q = order("restore-3")
	q.ReplyTo = "elsewhere"
	if run := s.restore(q, restoring(false)); run.Reason.Code != "ReplyToNotAllowed" || run.Restore.ReplyTo != "" {
		t.Errorf("%+v, answered to %q", run.Reason, run.Restore.ReplyTo)
	}
}

// TestRestoreOfSeveralPlans: if several plans allow a restore, the other demands of each of them hold.
func TestRestoreOfSeveralPlans(t *testing.T) {
	s, _, _ := restorable(t)
	first := restoring(false)[0]
	safe, agreed, unrelated := first, first, first
	safe.Name, safe.Restore.Safety = "safe", backup.SafetyRequired
	agreed.Name, agreed.Restore.Approval = "agreed", true
	unrelated.Name, unrelated.Restore = "unrelated", backup.RestorePolicy{Into: []string{standby}, Approval: true, Safety: backup.SafetyRequired}
	p, err := s.engine.PreviewRestore(t.Context(), order("restore-1"), []backup.Plan{first, safe, unrelated})
	if err != nil || p.Refusal() != nil || !p.Safety || p.Plan != first.Name {
		t.Errorf("%v, %+v", err, p)
	}
	p, err = s.engine.PreviewRestore(t.Context(), order("restore-1"), []backup.Plan{first, agreed})
	if why := p.Refusal(); err != nil || why == nil || why.Code != "ApprovalUnavailable" || !strings.Contains(why.Message, "the plan agreed ") {
		t.Errorf("%v, %+v", err, why)
	}
}

// TestRestoreBack: the safety backup of a destination that is no target of a plan can be restored into it, and into nothing else.
func TestRestoreBack(t *testing.T) {
	s, service, _ := restorable(t)
	q := order("restore-1")
	q.Into = standby
	safety := s.restore(q, restoring(true)).ID
	s.finish()
	back := order("back")
	back.Target, back.Point = standby, safety
	elsewhere := back
	elsewhere.ID, elsewhere.Into = "elsewhere", standby+"-2"
	plans := restoring(true)
	plans[0].Restore.Into = append(plans[0].Restore.Into, elsewhere.Into)
	if run := s.restore(elsewhere, plans); run.Reason.Code != "UnknownTarget" {
		t.Errorf("elsewhere: %s, %+v", run.State, run.Reason)
	}
	latest := back
	latest.ID, latest.Point = "latest", ""
	if run := s.restore(latest, plans); run.Reason.Code != "UnknownTarget" {
		t.Errorf("the latest: %s, %+v", run.State, run.Reason)
	}
	run := s.restore(back, plans)
	s.finish()
	if run = s.run(run.ID); run.State != backup.Succeeded || len(service.started) != 2 || run.Restore.ReplyTo != "answers" {
		t.Errorf("%s, %+v, %d restores", run.State, run.Reason, len(service.started))
	}
	// A plan that has it decides alone.
	plans = append(plans, backup.Plan{Name: "its own", Targets: []string{standby}})
	back.ID = "back again"
	if run := s.restore(back, plans); run.Reason.Code != "DestinationNotAllowed" {
		t.Errorf("against its own plan: %s, %+v", run.State, run.Reason)
	}
}

// TestRestoreOfWhatHasLeft: once a target has left plan.yaml, its recovery points are restored only where a plan names it in
// restore.from, and the destination by its resource ID: production's backup gets into no other service by "itself".
func TestRestoreOfWhatHasLeft(t *testing.T) {
	s, service, point := restorable(t)
	test := nightly()
	test.Name, test.Targets = "test", []string{standby}
	test.Restore = backup.RestorePolicy{Into: []string{backup.Itself}, ReplyTo: []string{"answers"}}
	from := func(from string, into ...string) backup.Plan {
		p := test
		p.Restore.From, p.Restore.Into = []string{from}, into
		return p
	}
	its := nightly()
	its.Restore.Into = []string{target}
	for _, c := range []struct {
		name, into string // into is the destination; "" for the target itself
		plans      []backup.Plan
		code       string
	}{
		{"a plan of another service", standby, []backup.Plan{test}, "UnknownTarget"},
		{"into itself, by no plan's word", "", []backup.Plan{test}, "UnknownTarget"},
		{"into another plan's itself", standby, []backup.Plan{from(target, backup.Itself)}, "DestinationNotAllowed"},
		{"itself is not what has left", "", []backup.Plan{from(target, backup.Itself, standby)}, "DestinationNotAllowed"},
		{"another one has left", standby, []backup.Plan{from(target+"-2", standby)}, "UnknownTarget"},
		{"it is back in a plan, which decides alone", standby, []backup.Plan{its, from(target, standby)}, "DestinationNotAllowed"},
		{"named, into a service that is named", standby, []backup.Plan{test, from(strings.ToUpper(target), standby)}, ""},
		{"named, into where it was", "", []backup.Plan{from(target, backup.Itself, target)}, ""},
	} {
		for _, which := range []string{"", point} {
			q := order(c.name + which)
			q.Point, q.Into = which, c.into
			if c.code == "UnknownTarget" {
				q.ReplyTo = ""
			}
			preview, err := s.engine.PreviewRestore(t.Context(), q, c.plans)
			if why := preview.Refusal(); err != nil || (why == nil) != (c.code == "") || why != nil && (why.Code != c.code || why.Hint == "") {
				t.Errorf("%s: the dry run says %+v, %v; want %s", c.name, why, err, c.code)
			}
			run := s.restore(q, c.plans)
			s.finish()
			run = s.run(run.ID)
			want := backup.StateRefused
			if c.code == "" {
				want = backup.Succeeded
			}
			if run.State != want || run.Reason.Code != c.code {
				t.Errorf("%s: %s, %+v; want %s", c.name, run.State, run.Reason, c.code)
			}
		}
	}
	if len(service.started) != 4 {
		t.Errorf("%d restores, want 4", len(service.started))
	}
}

// TestRestoreWaitsUntilItExpires: if the request is good for longer than a day, so is the wait for the destination, and for a
// permit; without looking all the time.
func TestRestoreWaitsUntilItExpires(t *testing.T) {
	for _, test := range []struct {
		name  string
		busy  func(s *harness, service *fakeRestorer, free func() bool)
		hours int
		state backup.State
	}{
		{"to be restored into", func(_ *harness, service *fakeRestorer, free func() bool) {
			service.can = func(backup.Restore) error {
				if free() {
					return nil
				}
				return fault(backup.Retryable, "Conflict")
			}
		}, 30, backup.Succeeded},
		{"to be backed up", func(_ *harness, service *fakeRestorer, free func() bool) {
			service.begin = func(backup.Attempt) (backup.Operation, error) {
				if free() {
					return backup.Operation{Token: "token"}, nil
				}
				return backup.Operation{}, fault(backup.Retryable, "Conflict")
			}
		}, 30, backup.Succeeded},
		{"to be backed up, for too long", func(_ *harness, service *fakeRestorer, _ func() bool) {
			service.begin = func(backup.Attempt) (backup.Operation, error) {
				return backup.Operation{}, fault(backup.Retryable, "Conflict")
			}
		}, 48, backup.StateRefused},
		{"for a permit", func(s *harness, _ *fakeRestorer, _ func() bool) {
			s.engine.Concurrency = 1
			key := backup.Key{Partition: "schedule", Row: "permit-all.0000"}
			_, err := s.engine.Catalog.Apply(s.t.Context(), backup.Write{Op: backup.Insert, Key: key, Body: []byte(`{"Run":"another"}`)})
			if err != nil {
				s.t.Fatal(err)
			}
		}, 48, backup.StateRefused},
	} {
		for _, safety := range []bool{true, false} {
			if !safety && !strings.Contains(test.name, "permit") {
				continue
			}
			s, service, _ := restorable(t)
			asked, steps := s.now, 0
			test.busy(s, service, func() bool { return s.now.Sub(asked) > time.Duration(test.hours)*time.Hour })
			q := order("restore-1")
			q.Expires = asked.Add(48 * time.Hour)
			id := s.restore(q, restoring(safety)).ID
			for s.step() {
				if steps++; steps > 600 {
					t.Fatalf("%s: it is looked at all the time: %d times by %s", test.name, steps, s.now.Sub(asked))
				}
			}
			run := s.run(id)
			if took := run.Ended.Sub(asked).Hours(); run.State != test.state || took < float64(test.hours) || took > float64(test.hours)+2 {
				t.Errorf("%s: after %.1f hours it is %s: %+v", test.name, took, run.State, run.Reason)
			}
			if story := s.story(id); !strings.HasPrefix(story, "accepted waiting ") {
				t.Errorf("%s: told %s", test.name, story)
			}
		}
	}
}

// TestRestoreTooOldBySafety: the safety backup takes so long that the service restores the backup no more.
func TestRestoreTooOldBySafety(t *testing.T) {
	s, service, point := restorable(t)
	s.change(point, func(p *backup.Point) { p.Created = s.now.Add(10*time.Minute - 30*24*time.Hour) })
	asked := s.now
	service.poll = func(backup.Attempt) (backup.Operation, error) {
		return backup.Operation{Token: "token", Done: s.now.Sub(asked) > 20*time.Minute}, nil
	}
	run := s.restore(order("restore-1"), restoring(true))
	s.finish()
	s.rescueAll()
	if run = s.run(run.ID); run.State != backup.StateRefused || run.Reason.Code != "BeyondHorizon" || len(service.started) > 0 {
		t.Errorf("%s (%+v), %d begun", run.State, run.Reason, len(service.started))
	}
}

// TestAcceptSafetyBackup: if a person accepts the safety backup of a restore under way, nothing changes.
func TestAcceptSafetyBackup(t *testing.T) {
	s, service, point := restorable(t)
	service.told = func() (backup.Operation, error) { return backup.Operation{Token: "restore token"}, nil }
	run := s.restore(order("restore-1"), restoring(true))
	for s.run(run.ID).Restore.SafetyBackedUp.IsZero() {
		s.step()
	}
	s.storage.silent, s.storage.fatal = true, true // so that the event that it has started stays unpublished
	s.step()
	s.storage.silent, s.storage.fatal = false, false
	if now := s.run(run.ID); now.State != backup.Running || !now.Unpublished {
		t.Fatalf("it is %s, and unpublished: %t", now.State, now.Unpublished)
	}
	if _, err := s.engine.Accept(t.Context(), run.ID, "a person", ""); err != nil {
		t.Error(err)
	}
	if got := s.readers(point); !slices.Contains(got, run.ID) {
		t.Errorf("%s is %s, and the recovery point is read by %q", run.ID, s.run(run.ID).State, got)
	}
}

// TestRestoreEnds: the answers of the service while it restores, or before.
func TestRestoreEnds(t *testing.T) {
	for _, test := range []struct {
		name   string
		safety bool
		script func(s *harness, service *fakeRestorer)
		state  backup.State
		code   string
		story  string
	}{
		{"Azure refuses the start", false, func(_ *harness, service *fakeRestorer) {
			service.starts = func(backup.Restore) (backup.Operation, error) {
				return backup.Operation{}, fault(backup.Refused, "RestoreFailed")
			}
		}, backup.Failed, "RestoreFailed", "accepted failed"},
		{"Azure fails the restore", false, func(_ *harness, service *fakeRestorer) {
			service.told = func() (backup.Operation, error) { return backup.Operation{}, fault(backup.Refused, "RestoreFailed") }
		}, backup.Failed, "RestoreFailed", "accepted started failed"},
		{"our role is gone for a while", false, func(s *harness, service *fakeRestorer) {
			service.told = func() (backup.Operation, error) {
				if s.now.Sub(begin) < 30*time.Minute {
					return backup.Operation{}, fault(backup.Unobservable, "Forbidden")
				}
				return backup.Operation{Done: true}, nil
			}
		}, backup.Succeeded, "", "accepted started succeeded"},
		{"our role is gone for good", false, func(_ *harness, service *fakeRestorer) {
			service.told = func() (backup.Operation, error) { return backup.Operation{}, fault(backup.Unobservable, "Forbidden") }
		}, backup.Unknown, "Forbidden", "accepted started unknown"},
		{"the data plane is down for hours", false, func(s *harness, service *fakeRestorer) {
			service.told = func() (backup.Operation, error) {
				if s.now.Sub(begin) < 8*time.Hour {
					return backup.Operation{}, fault(backup.Retryable, "Unreachable")
				}
				return backup.Operation{Done: true}, nil
			}
		}, backup.Succeeded, "", "accepted started succeeded"},
		{"our role is gone for a moment, and then the data plane is down for hours", false, func(s *harness, service *fakeRestorer) {
			polls := 0
			service.told = func() (backup.Operation, error) {
				if polls++; polls == 1 {
					return backup.Operation{}, fault(backup.Unobservable, "Forbidden")
				}
				if s.now.Sub(begin) < 8*time.Hour {
					return backup.Operation{}, fault(backup.Retryable, "Unreachable")
				}
				return backup.Operation{Done: true}, nil
			}
		}, backup.Succeeded, "", "accepted started succeeded"},
		{"it never ends", false, func(_ *harness, service *fakeRestorer) {
			service.told = func() (backup.Operation, error) { return backup.Operation{Token: "restore token"}, nil }
		}, backup.Unknown, "OperationTooLong", "accepted started unknown"},
		{"the safety backup fails", true, func(_ *harness, service *fakeRestorer) {
			service.poll = func(backup.Attempt) (backup.Operation, error) {
				return backup.Operation{}, fault(backup.Refused, "BackupFailed")
			}
		}, backup.Failed, "SafetyBackupFailed", "accepted failed"},
		{"the safety backup is lost", true, func(_ *harness, service *fakeRestorer) {
			service.begin = func(backup.Attempt) (backup.Operation, error) {
				return backup.Operation{}, fault(backup.Ambiguous, "ConnectionReset")
			}
		}, backup.Failed, "SafetyBackupFailed", "accepted failed"},
		{"the destination cannot be backed up", true, func(_ *harness, service *fakeRestorer) {
			service.ready = func(backup.Attempt) error { return fault(backup.Refused, "NoIdentity") }
		}, backup.StateRefused, "NoIdentity", "accepted refused"},
		{"the service itself says no", true, func(_ *harness, service *fakeRestorer) {
			service.may = func(string) (backup.Operation, error) {
				return backup.Operation{}, fault(backup.Refused, "InvalidBackup")
			}
		}, backup.StateRefused, "InvalidBackup", "accepted refused"},
		{"the service looks, within half an hour of the safety backup", true, func(s *harness, service *fakeRestorer) {
			service.may = func(token string) (backup.Operation, error) {
				switch {
				case s.now.Sub(begin) > 30*time.Minute:
					return backup.Operation{}, fault(backup.Refused, "NoFreshBackup")
				case token == "":
					return backup.Operation{Token: "look"}, nil
				}
				return backup.Operation{Done: true}, nil
			}
		}, backup.Succeeded, "", "accepted started succeeded"},
		{"busy for a while, before the safety backup", true, func(s *harness, service *fakeRestorer) {
			service.begin = func(backup.Attempt) (backup.Operation, error) {
				if s.now.Sub(begin) < time.Hour {
					return backup.Operation{}, fault(backup.Retryable, "Conflict")
				}
				return backup.Operation{Token: "token"}, nil
			}
		}, backup.Succeeded, "", "accepted waiting started succeeded"},
		{"busy for a while, after it", true, func(s *harness, service *fakeRestorer) {
			service.starts = func(backup.Restore) (backup.Operation, error) {
				if s.now.Sub(begin) < time.Hour {
					return backup.Operation{}, fault(backup.Throttled, "TooManyRequests")
				}
				return backup.Operation{Token: "restore token"}, nil
			}
		}, backup.Succeeded, "", "accepted started succeeded"},
		{"busy for ever, after it", true, func(_ *harness, service *fakeRestorer) {
			service.starts = func(backup.Restore) (backup.Operation, error) {
				return backup.Operation{}, fault(backup.Retryable, "Conflict")
			}
		}, backup.Failed, "WaitedTooLong", "accepted failed"},
		{"busy until the request expires", false, func(_ *harness, service *fakeRestorer) {
			service.can = func(backup.Restore) error { return fault(backup.Retryable, "Updating") }
		}, backup.StateRefused, "RequestExpired", "accepted waiting refused"},
		{"with a warning", false, func(_ *harness, service *fakeRestorer) {
			service.told = func() (backup.Operation, error) {
				return backup.Operation{Done: true, Warning: "could not overwrite: 1"}, nil
			}
		}, backup.Succeeded, "", "accepted started succeeded"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, service, point := restorable(t)
			test.script(s, service)
			run := s.restore(order("restore-1"), restoring(test.safety))
			s.finish()
			s.rescueAll()
			run = s.run(run.ID)
			if run.State != test.state || run.Reason.Code != test.code {
				t.Errorf("it ended %s: %+v", run.State, run.Reason)
			}
			if got := s.story(run.ID); got != test.story {
				t.Errorf("told: %s, want %s", got, test.story)
			}
			if s.rows("lock") != 0 || len(s.readers(point)) != 0 || run.Unpublished || len(s.storage.queue.Messages("execute")) != 0 {
				t.Errorf("loose ends: %d locks, readers %q, %+v", s.rows("lock"), s.readers(point), run)
			}
		})
	}
}

// TestRestoreSecuresAfterALook: if the service itself checks before a backup, and takes its time, the restore asks it for its
// progress, and does not read its artifact anew each time.
func TestRestoreSecuresAfterALook(t *testing.T) {
	s, service, point := restorable(t)
	var since time.Time
	service.prepare = func(token string) (backup.Operation, error) {
		if token == "" {
			since = s.now
		}
		return backup.Operation{Token: "look", Done: token == "look" && s.now.Sub(since) >= 3*time.Minute}, nil
	}
	reads := 0
	service.hash = func(a backup.Attempt, _ backup.Hashing) (backup.Verification, error) {
		if a.Run == point {
			reads++
		}
		return backup.Verification{Done: true, Hashing: backup.Hashing{ETag: "etag"}, Size: 7, SHA256: "beef", Modified: s.now}, nil
	}
	asked, begun := s.now, time.Time{}
	service.begin = func(backup.Attempt) (backup.Operation, error) {
		begun = s.now
		return backup.Operation{Token: "token"}, nil
	}
	run := s.restore(order("restore-1"), restoring(true))
	s.finish()
	if now := s.run(run.ID); now.State != backup.Succeeded || reads != 1 || begun.Sub(asked) > 4*time.Minute {
		t.Errorf("it is %s; the artifact was read %d times, and the safety backup begun after %s", now.State, reads, begun.Sub(asked))
	}
}

// TestRestoreKeepsTheLockAfterALostSafetyBackup: the safety backup of a lost start may be found late, after a further attempt was
// rejected. No other run may have changed the destination in between.
func TestRestoreKeepsTheLockAfterALostSafetyBackup(t *testing.T) {
	for _, never := range []bool{false, true} {
		s, service, point := restorable(t)
		tried, turnedAway := 0, time.Time{}
		service.begin = func(a backup.Attempt) (backup.Operation, error) {
			if tried++; tried == 1 {
				return backup.Operation{}, fault(backup.Ambiguous, "ConnectionReset")
			}
			if turnedAway.IsZero() {
				turnedAway = s.now
			}
			return backup.Operation{}, fault(backup.Retryable, "Conflict")
		}
		service.find = func(a backup.Attempt) (string, error) {
			if !never && !turnedAway.IsZero() && s.now.Sub(turnedAway) > 20*time.Minute {
				return a.Run + ".1", nil
			}
			return "", nil
		}
		run := s.restore(order("restore-1"), restoring(true))
		for !s.run(run.ID).State.Final() && s.step() {
			if now := s.run(run.ID); !now.State.Final() && s.rows("lock") != 1 {
				t.Fatalf("it is %s, and the lock is free: %+v", now.State, now.Reason)
			}
		}
		s.rescueAll()
		run = s.run(run.ID)
		state, code := backup.Succeeded, ""
		if never {
			state, code = backup.Failed, "SafetyBackupFailed"
		}
		if run.State != state || run.Reason.Code != code || len(s.readers(point)) > 0 || (len(service.started) == 0) != never {
			t.Errorf("it ended %s: %+v", run.State, run.Reason)
		}
	}
}

// TestRestoreExpires: a restore begins within the time limit of its request, and not after, also if its safety backup was
// rejected until then; it does not end before, however long the limit is.
func TestRestoreExpires(t *testing.T) {
	for _, test := range []struct {
		name       string
		good, busy time.Duration
		state      backup.State
		story      string
	}{
		{"too late", time.Hour, 3 * time.Hour, backup.StateRefused, "accepted waiting refused"},
		{"in time, after two days", 3 * day, 2 * day, backup.Succeeded, "accepted waiting started succeeded"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, service, _ := restorable(t)
			free := s.now.Add(test.busy)
			service.begin = func(backup.Attempt) (backup.Operation, error) {
				if s.now.Before(free) {
					return backup.Operation{}, fault(backup.Retryable, "Conflict")
				}
				return backup.Operation{Token: "token"}, nil
			}
			q := order("restore-1")
			q.Expires = s.now.Add(test.good)
			run := s.restore(q, restoring(true))
			s.finish()
			s.rescueAll()
			run = s.run(run.ID)
			if run.State != test.state || s.story(run.ID) != test.story || (len(service.started) == 1) != (test.state == backup.Succeeded) {
				t.Errorf("it ended %s: %+v; told: %s; started %+v", run.State, run.Reason, s.story(run.ID), service.started)
			}
		})
	}
}

// TestRestoreInTheWaitQueueForDays: a restore that finds no permit asks for one when there is room or its time is over, and not
// in between.
func TestRestoreInTheWaitQueueForDays(t *testing.T) {
	for _, safety := range []bool{false, true} {
		s, service, _ := restorable(t)
		s.engine.Concurrency = 1
		_, err := s.storage.catalog.Apply(t.Context(), backup.Write{
			Op: backup.Insert, Key: backup.Key{Partition: "schedule", Row: "permit-all.0000"}, Body: []byte(`{"Run": "another"}`),
		})
		if err != nil {
			t.Fatal(err)
		}
		q := order("restore-1")
		q.Expires = s.now.Add(3 * day)
		run := s.restore(q, restoring(safety))
		steps := 0
		for s.step() && steps < 10 {
			steps++
		}
		run = s.run(run.ID)
		if run.State != backup.StateRefused || run.Reason.Code != "RequestExpired" || run.Ended.Before(q.Expires) || steps != 2 {
			t.Errorf("after %d steps it is %s: %+v", steps, run.State, run.Reason)
		}
		if len(service.started) > 0 {
			t.Error("it was begun")
		}
	}
}

// TestRestoreWaitsForItsTarget: another run has the destination.
func TestRestoreWaitsForItsTarget(t *testing.T) {
	s, service, _ := restorable(t)
	service.poll = func(backup.Attempt) (backup.Operation, error) {
		if s.now.Sub(begin) < time.Hour {
			return backup.Operation{Token: "token"}, nil
		}
		return backup.Operation{Done: true}, nil
	}
	s.ask("backup-2")
	s.deliver()
	run := s.restore(order("restore-1"), restoring(false))
	s.deliver()
	if now := s.run(run.ID); now.State != backup.Waiting || now.Reason.Code != "TargetBusy" || len(service.started) > 0 {
		t.Errorf("the restore is %s: %+v", now.State, now.Reason)
	}
	s.finish()
	s.rescueAll()
	if now := s.run(run.ID); now.State != backup.Succeeded || s.story(run.ID) != "accepted waiting started succeeded" {
		t.Errorf("the restore is %s: %s", now.State, s.story(run.ID))
	}
}

// TestCancelRestore: while it waits, and not after.
func TestCancelRestore(t *testing.T) {
	s, service, point := restorable(t)
	service.can = func(backup.Restore) error { return fault(backup.Retryable, "Updating") }
	run := s.restore(order("restore-1"), restoring(false))
	s.deliver()
	for range 2 {
		if now, err := s.engine.CancelRestore(t.Context(), run.ID, "a person"); err != nil || now.State != backup.Canceled {
			t.Fatalf("canceled: %s, %v", now.State, err)
		}
	}
	service.can = nil
	s.finish()
	s.rescueAll()
	if len(service.started) > 0 || s.story(run.ID) != "accepted waiting canceled" || len(s.readers(point)) > 0 {
		t.Errorf("restored %+v, told %s", service.started, s.story(run.ID))
	}
	two := s.restore(order("restore-2"), restoring(false))
	s.deliver()
	if now, err := s.engine.CancelRestore(t.Context(), two.ID, "a person"); !errors.Is(err, engine.ErrNotWaiting) || now.State != backup.Running {
		t.Errorf("under way: %s, %v", now.State, err)
	}
	if _, err := s.engine.ConfirmRestore(t.Context(), two.ID); !errors.Is(err, engine.ErrNotEnded) {
		t.Errorf("confirmed under way: %v", err)
	}
	for _, id := range []string{point, "0123456789abcdef-0123456789-0123456789ab"} {
		if _, err := s.engine.CancelRestore(t.Context(), id, "a person"); !errors.Is(err, backup.ErrNotFound) {
			t.Errorf("%s: %v", id, err)
		}
		if _, err := s.engine.ConfirmRestore(t.Context(), id); !errors.Is(err, backup.ErrNotFound) {
			t.Errorf("%s: %v", id, err)
		}
	}
}

// TestRestoreSurvives lets every call to storage fail, made or not, and the process die before each and after each, and before
// and after the request that starts the restore. Messages, repeats of the request and the rescuer bring it to its end: succeeded,
// or unknown if the truth cannot be known, and never begun twice.
func TestRestoreSurvives(t *testing.T) {
	for _, how := range []string{"fails", "is made and fails", "dies before", "dies after"} {
		unknown := 0
		for k := 1; ; k++ {
			s, service, point := restorable(t)
			blobs := map[string]bool{}
			service.begin = func(a backup.Attempt) (backup.Operation, error) {
				blobs[a.Artifact] = true
				return backup.Operation{Token: "token"}, nil
			}
			service.find = func(a backup.Attempt) (string, error) {
				if blobs[a.Run+".1"] {
					return a.Run + ".1", nil
				}
				return "", nil
			}
			s.storage.calls = 0
			switch how {
			case "fails", "is made and fails":
				s.storage.failAt, s.storage.made = k, how == "is made and fails"
			case "dies before":
				s.storage.before = func(call int) {
					if call == k {
						panic(dead{})
					}
				}
			case "dies after":
				s.storage.failAt, s.storage.made, s.storage.fatal = k, true, true
			}
			plans := restoring(true)
			ask := func() (run backup.Run, err error) {
				defer func() {
					if p := recover(); p != nil {
						err = errBroken
					}
				}()
				return s.engine.Restore(t.Context(), order("restore-1"), plans)
			}
			run, err := ask()
			if err != nil {
				s.now = s.now.Add(redelivery)
				if run, err = ask(); err != nil {
					t.Fatalf("call %d %s: asked again: %v", k, how, err)
				}
			}
			for range 12 {
				s.finish()
				s.now = s.now.Add(10 * time.Minute)
				s.dies(func() { _, _ = s.engine.Schedule(t.Context(), nil) })
			}
			if s.storage.calls < k {
				if unknown == 0 {
					t.Errorf("%s: no death came between the intent and the answer", how)
				}
				break
			}
			run = s.run(run.ID)
			if run.State == backup.Unknown {
				unknown++
			}
			if run.State != backup.Succeeded && run.State != backup.Unknown || len(service.started) > 1 || len(service.begun) != 1 ||
				run.State == backup.Succeeded && len(service.started) != 1 {
				t.Errorf("call %d %s: %s (%+v), %d backups, %d restores begun", k, how, run.State, run.Reason, len(service.begun),
					len(service.started))
			}
			if s.rows("lock") != 0 || run.Unpublished || s.rows("inflight") != 0 || s.rows("point-") != 2 {
				t.Errorf("call %d %s: %d locks, unpublished %t, %d in flight, %d points", k, how, s.rows("lock"), run.Unpublished, s.rows("inflight"),
					s.rows("point-"))
			}
			s.restoredOn(point, run)
			want := "accepted started " + string(run.State)
			if run.State == backup.Unknown {
				want = "accepted " + string(run.State)
			}
			if got := s.story(run.ID); got != want {
				t.Errorf("call %d %s: told %s", k, how, got)
			}
			for _, reader := range s.readers(point) {
				if reader != run.ID {
					t.Errorf("call %d %s: read by %s", k, how, reader)
				}
			}
		}
	}
}

// due makes the index of due points say that the recovery point is due.
func (s *harness) due(point string) {
	s.t.Helper()
	for _, row := range s.storage.catalog.Rows() {
		if row.Partition == "due" && strings.HasSuffix(row.Row, point) {
			row.Row = s.now.UTC().Format("20060102T150405Z") + "-" + point
			if _, err := s.storage.catalog.Apply(s.t.Context(), backup.Write{Op: backup.Put, Key: row.Key, Body: row.Body}); err != nil {
				s.t.Fatal(err)
			}
		}
	}
}

// TestDeletionAndRestoreRace lets cleanup and a restore of the same recovery point meet a thousand times, at every call of both:
// exactly one of them gets it.
func TestDeletionAndRestoreRace(t *testing.T) {
	t.Parallel()
	dice := rand.New(rand.NewPCG(1, 2))
	deleted, restored := 0, 0
	for range 1000 {
		s, service, point := restorable(t)
		s.now = s.now.Add(time.Hour)
		s.ask("newer")
		s.finish()
		s.rescueAll()
		s.change(point, func(p *backup.Point) { p.Expires = s.now })
		s.due(point)
		q := order("restore-1")
		q.Point = point
		run := s.restore(q, restoring(false))
		clean := func() { _, _ = s.engine.Cleanup(t.Context()) }
		execute := func() { s.deliver() }
		first, second := clean, execute
		if dice.IntN(2) == 0 {
			first, second = execute, clean
		}
		// The second comes between two calls of the first, or after them.
		at, n := 1+dice.IntN(12), 0
		s.storage.before = func(int) {
			if n++; n == at {
				s.storage.before = nil
				second()
			}
		}
		first()
		if s.storage.before != nil {
			s.storage.before = nil
			second()
		}
		s.finish()
		s.rescueAll()
		clean()
		gone := slices.Contains(service.deleted, point+".1")
		got := s.run(run.ID).State == backup.Succeeded
		if begun := len(service.started) == 1; begun != got {
			t.Fatalf("begun: %t, but the restore is %s", begun, s.run(run.ID).State)
		}
		p, err := s.engine.RecoveryPoint(t.Context(), point)
		if err != nil {
			t.Fatal(err)
		}
		if got && gone && p.Deleted.Before(s.run(run.ID).Ended) || !got && !gone {
			t.Fatalf("restored: %t (%+v), deleted: %t at %s", got, s.run(run.ID).Reason, gone, p.Deleted)
		}
		if got {
			restored++
		} else {
			deleted++
		}
	}
	if restored < 100 || deleted < 100 {
		t.Errorf("restored %d times, deleted %d times: they hardly meet", restored, deleted)
	}
}
