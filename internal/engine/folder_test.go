package engine_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
)

// TestTheServiceLooksItself: a preparation that takes its time is followed by its token, one call a step message, and the run
// keeps its permit meanwhile.
func TestTheServiceLooksItself(t *testing.T) {
	s := newHarness(t)
	s.engine.Concurrency = 1
	var tokens []string
	s.provider.prepare = func(token string) (backup.Operation, error) {
		tokens = append(tokens, token)
		if s.rows("permit-") != 1 {
			t.Errorf("%d permits are held", s.rows("permit-"))
		}
		switch token {
		case "":
			return backup.Operation{Token: "a", RetryAfter: 10 * time.Second}, nil
		case "a":
			return backup.Operation{Token: "b"}, nil
		}
		return backup.Operation{Done: true}, nil
	}
	run := s.ask("looks")
	s.deliver()
	if r := s.run(run.ID); r.State != backup.Queued || r.Reason.Code != "Preparing" || r.Due.Sub(s.now) != 10*time.Second {
		t.Errorf("after the first call: %s, %+v, due in %s", r.State, r.Reason, r.Due.Sub(s.now))
	}
	s.finish()
	s.ended(run.ID, backup.Succeeded, "")
	if !slices.Equal(tokens, []string{"", "a", "b"}) || s.provider.looks != 1 || len(s.provider.begun) != 1 {
		t.Errorf("tokens %q, %d looks, begun %q", tokens, s.provider.looks, s.provider.begun)
	}
	s.gateIsOpen()
}

// TestALostLookStartsAfresh: if the service tells no more about its check, it is asked anew.
func TestALostLookStartsAfresh(t *testing.T) {
	s := newHarness(t)
	var tokens []string
	s.provider.prepare = func(token string) (backup.Operation, error) {
		tokens = append(tokens, token)
		switch {
		case len(tokens) == 2:
			return backup.Operation{}, &backup.Fault{Kind: backup.Unobservable, Code: "NotFound", Message: "no such job"}
		case len(tokens) < 4:
			return backup.Operation{Token: "a"}, nil
		}
		return backup.Operation{Done: true}, nil
	}
	run := s.ask("looks")
	s.finish()
	s.ended(run.ID, backup.Succeeded, "")
	if !slices.Equal(tokens, []string{"", "a", "", "a"}) || s.provider.looks != 2 {
		t.Errorf("tokens %q, %d looks", tokens, s.provider.looks)
	}
}

// TestTheServiceNamesTheArtifact: the artifact is verified and kept under the name that the service gave, with the list of its
// files, and the tier.
func TestTheServiceNamesTheArtifact(t *testing.T) {
	s := newHarness(t)
	files := []backup.File{{Name: "a", Size: 3, ETag: "1", SHA256: "aa"}, {Name: "b", Size: 4, ETag: "2", SHA256: "bb"}}
	s.provider.poll = func(backup.Attempt) (backup.Operation, error) {
		return backup.Operation{Done: true, Artifact: "mhsm-contoso-2026011502300012", SKU: "Developer"}, nil
	}
	calls := 0
	s.provider.hash = func(a backup.Attempt, h backup.Hashing) (backup.Verification, error) {
		if a.Artifact != "mhsm-contoso-2026011502300012" {
			t.Errorf("hash %q", a.Artifact)
		}
		if want := min(calls, 1); len(h.State) != want {
			t.Errorf("call %d continues %v", calls, h)
		}
		return backup.Verification{
			Done: true, Hashing: backup.Hashing{ETag: "list", State: []byte{1}}, Size: 7, SHA256: "beef", Modified: s.now, Files: files,
		}, nil
	}
	s.provider.prove = func(token string) (backup.Operation, error) {
		switch calls++; {
		case calls == 1 && token == "":
			return backup.Operation{Token: "look", RetryAfter: 5 * time.Second}, nil
		case calls == 2 && token == "look":
			return backup.Operation{}, fault(backup.Retryable, "Busy")
		case calls == 3 && token == "look":
			return backup.Operation{Done: true}, nil
		}
		t.Errorf("question %d with the token %q", calls, token)
		return backup.Operation{Done: true}, nil
	}
	run := s.ask("named")
	for calls == 0 {
		s.step()
	}
	if r := s.run(run.ID); r.Due.Sub(s.now) != 5*time.Second {
		t.Errorf("verified again in %s", r.Due.Sub(s.now))
	}
	s.finish()
	s.ended(run.ID, backup.Succeeded, "")
	p, err := s.engine.RecoveryPoint(t.Context(), run.ID)
	if calls != 3 {
		t.Errorf("asked %d times", calls)
	}
	if err != nil || p.Artifact != "mhsm-contoso-2026011502300012" || p.State != backup.Live || p.SKU != "Developer" {
		t.Errorf("%+v, %v", p, err)
	}
	if got, err := s.engine.Files(t.Context(), p); err != nil || !reflect.DeepEqual(got, files) {
		t.Errorf("the files are %+v, %v", got, err)
	}
}

// TestLostStartsAreKnownByTheirTimes: a look gets the times in which each lost request can have been sent. If it can never be
// known which artifact is the run's, the run ends unknown.
func TestLostStartsAreKnownByTheirTimes(t *testing.T) {
	s := newHarness(t)
	s.provider.begin = func(backup.Attempt) (backup.Operation, error) { return backup.Operation{}, errBroken }
	var windows [][]backup.Window
	s.provider.find = func(a backup.Attempt) (string, error) {
		windows = append(windows, a.Lost)
		if len(a.Lost) == 2 {
			return "", &backup.Fault{Kind: backup.Refused, Code: "Ambiguous", Message: "two folders"}
		}
		return "", nil
	}
	run := s.ask("lost")
	s.finish()
	s.ended(run.ID, backup.Unknown, "Ambiguous")
	last := windows[len(windows)-1]
	if len(last) != 2 || len(s.provider.begun) != 2 {
		t.Fatalf("%d starts, windows %v", len(s.provider.begun), last)
	}
	for i, w := range last {
		if length := w.To.Sub(w.From); length != engine.DefaultTimings().Lease+time.Second {
			t.Errorf("window %d lasts %s", i, length)
		}
	}
	if !last[0].From.Equal(begin) || last[1].From.Sub(last[0].From) < engine.DefaultTimings().RetryWindow {
		t.Errorf("windows %v", last)
	}
}

// TestAnOperationThatIsNoLongerToldOfIsKnownByItsTime: a look for it gets the time of its sending, and the time for which an
// artifact must have settled. If a verification could not check something, the recovery point says so.
func TestAnOperationThatIsNoLongerToldOfIsKnownByItsTime(t *testing.T) {
	s := newHarness(t)
	s.provider.poll = func(backup.Attempt) (backup.Operation, error) {
		return backup.Operation{}, &backup.Fault{Kind: backup.Unobservable, Code: "AccessDenied", Message: "no role"}
	}
	var looked backup.Attempt
	s.provider.find = func(a backup.Attempt) (string, error) {
		looked = a
		return "mhsm-contoso-2026011502300012", nil
	}
	s.provider.hash = func(_ backup.Attempt, h backup.Hashing) (backup.Verification, error) {
		return backup.Verification{Done: true, Hashing: h, Size: 7, SHA256: "beef", Modified: s.now, Note: "no snapshot"}, nil
	}
	s.provider.prove = func(string) (backup.Operation, error) {
		return backup.Operation{Done: true, Warning: "by hash only"}, nil
	}
	run := s.ask("untold")
	s.finish()
	s.ended(run.ID, backup.Succeeded, "")
	r := s.run(run.ID)
	if len(looked.Lost) != 1 || !looked.Lost[0].From.Equal(r.Intent) || !looked.Lost[0].To.Equal(r.Accepted) ||
		looked.QuietPeriod != 2*time.Minute {
		t.Errorf("looked for %+v", looked)
	}
	if p, err := s.engine.RecoveryPoint(t.Context(), run.ID); err != nil || p.Note != "no snapshot by hash only" {
		t.Errorf("%+v, %v", p, err)
	}
}

// TestBlocksTravelAsTheyAre: a plan may have targets of both kinds.
func TestBlocksTravelAsTheyAre(t *testing.T) {
	s := newHarness(t)
	hsm := strings.Replace(target, "Microsoft.ApiManagement/service", "Microsoft.KeyVault/managedHSMs", 1)
	s.engine.Providers["microsoft.keyvault/managedhsms"] = s.provider
	seen := map[string]string{}
	s.provider.ready = func(a backup.Attempt) error {
		seen[a.Target] = string(a.Blocks)
		return nil
	}
	plan := backup.Plan{Settings: backup.Settings{Blocks: `{"hsm":{"access":"sas"},"identity":"accessKey"}`}}
	for _, id := range []string{target, hsm} {
		if err := s.engine.Preflight(t.Context(), plan, id); err != nil {
			t.Fatal(err)
		}
	}
	if all := string(plan.Settings.Blocks); seen[target] != all || seen[hsm] != all {
		t.Errorf("seen %v", seen)
	}
	if service, ok := known.Of(hsm); !ok || service.Restorable != 0 || len(service.NotIncluded) == 0 {
		t.Errorf("%+v, %v", service, ok)
	}
}
