package engine_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/stop"
)

// forgets asks for all pages, and returns the points that go and the ones that stay.
func (s *harness) forgets(f engine.Forgetting) (goes, stays []string, err error) {
	s.t.Helper()
	for {
		page, err := s.engine.Forget(s.t.Context(), f)
		if err != nil {
			return goes, stays, err
		}
		for _, p := range page.Points {
			if p.Stays == nil {
				goes = append(goes, p.Point.ID)
			} else {
				stays = append(stays, p.Point.ID)
			}
		}
		if f.After = page.Next; f.After == "" {
			return goes, stays, nil
		}
	}
}

func forgetting(id string, planned bool) engine.Forgetting {
	return engine.Forgetting{Target: target, Deletion: deletionOf(id, "the service is retired"), Planned: planned}
}

// forgotten is the ID of the event about the request.
func forgotten(id string) string { return backup.Partition(target) + ".forgotten." + backup.HoldID(id) }

// TestForget: a person forgets a target in pages, and a preview says the same before. A held point, one that a restore reads, and in a plan
// the newest good one stay.
func TestForget(t *testing.T) {
	for _, planned := range []bool{false, true} {
		s := newThinning(t, backup.Counts{Last: 200})
		for range 60 {
			s.night(1000)
		}
		s.night(10) // suspect: it is not the newest good one
		held, read, newest := s.ids[7], s.ids[30], s.ids[59]
		s.change(held, func(p *backup.Point) { p.Holds = []backup.PersonHold{{ID: "a", By: "me", Reason: "a case"}} })
		reader := backup.Run{ID: backup.NewRunID(target+"-two", begin, "reader"), State: backup.Running, Target: target + "-two", Restore: &backup.Restoring{}}
		if _, err := s.storage.catalog.Apply(t.Context(), backup.Write{Op: backup.Put, Key: reader.Key(), Body: backup.Encode(reader)}); err != nil {
			t.Fatal(err)
		}
		s.change(read, func(p *backup.Point) { p.Readers = []string{reader.ID} })
		want := []string{read, held}
		if planned {
			want = []string{newest, read, held}
		}
		f := forgetting("one", planned)
		f.Preview = true
		writes := s.storage.writes
		goes, stays, err := s.forgets(f)
		if err != nil || !slices.Equal(stays, want) || len(goes) != 61-len(want) || s.storage.writes != writes {
			t.Fatalf("a preview: %d go, %q stay, %v", len(goes), stays, err)
		}
		f.Preview = false
		did, left, err := s.forgets(f)
		if err != nil || !slices.Equal(did, goes) || !slices.Equal(left, want) {
			t.Errorf("%d went, %q stay, %v", len(did), left, err)
		}
		n, data := s.told(forgotten("one"))
		if n != 1 || data["count"] != float64(len(goes)) || data["stay"] != float64(len(want)) || data["requestReason"] != "the service is retired" {
			t.Errorf("told %d times: %v", n, data)
		}
		s.now = s.now.Add(20 * day)
		s.cleanup()
		for _, id := range s.ids {
			if stays := slices.Contains(want, id); (s.state(id) == backup.Expired) == stays {
				t.Errorf("%s is %s", id, s.state(id))
			}
		}
	}
}

// TestForgetAmidDeaths: a person forgets a target, the process dies at each request, before it or behind it, and the person says it again.
// All points are soft-deleted once, and events tell of it.
func TestForgetAmidDeaths(t *testing.T) {
	for _, made := range []bool{false, true} {
		for k := 1; ; k++ {
			s := newThinning(t, backup.Counts{Last: 200})
			s.plan.Settings.SoftDelete = week
			for range 3 {
				s.night(1000)
			}
			s.storage.calls, s.storage.failAt, s.storage.made = 0, k, made
			_, _, _ = s.forgets(forgetting("one", true))
			s.storage.failAt = 0
			if s.storage.calls < k {
				if k < 10 {
					t.Errorf("only %d calls", k)
				}
				break
			}
			if _, _, err := s.forgets(forgetting("one", true)); err != nil {
				t.Fatal(err)
			}
			s.timerUntilSettled()
			if got := s.called(s.ids...); got != "softDeleted softDeleted live" {
				t.Errorf("call %d fails: they are %s", k, got)
			}
			for _, id := range s.ids[:2] {
				if n, _ := s.told(id + ".softdeleted." + backup.HoldID("one")); n < 1 {
					t.Errorf("call %d fails, and nobody is told of %s", k, id)
				}
			}
			if n, data := s.told(forgotten("one")); n < 1 || data["count"] != 2.0 || data["stay"] != 1.0 {
				t.Errorf("call %d fails: told %d times: %v", k, n, data)
			}
			s.now = s.now.Add(week + day)
			s.cleanup()
			if got := s.called(s.ids...); got != "expired expired live" {
				t.Errorf("call %d fails: in the end they are %s", k, got)
			}
		}
	}
}

// TestForgetRefuses: nothing is deleted without a reason, while the app is stopped, or behind a point of another target. A late repeat
// takes back no undo.
func TestForgetRefuses(t *testing.T) {
	s := newThinning(t, backup.Counts{Last: 200})
	s.plan.Settings.SoftDelete = week
	for range 3 {
		s.night(1000)
	}
	f := forgetting("one", false)
	f.Deletion.Reason = ""
	if _, _, err := s.forgets(f); err == nil || !strings.Contains(err.Error(), "needs a reason") {
		t.Errorf("without a reason: %v", err)
	}
	f = forgetting("one", false)
	f.After = backup.NewRunID(target+"-two", begin, "another")
	if _, _, err := s.forgets(f); !errors.Is(err, backup.ErrNotFound) {
		t.Errorf("behind a point of another target: %v", err)
	}
	s.stop(true)
	if _, _, err := s.forgets(forgetting("one", false)); stop.Reason(err) == "" {
		t.Errorf("while it is stopped: %v", err)
	}
	if got := s.called(s.ids...); got != "live live live" {
		t.Errorf("they are %s", got)
	}
	s.resume()
	if goes, _, err := s.forgets(forgetting("one", false)); len(goes) != 3 || err != nil {
		t.Fatalf("%q go, %v", goes, err)
	}
	if err := s.undelete(s.ids[1], backup.PersonHold{ID: "u", By: "me", Reason: "a case", Until: s.now.Add(day)}); err != nil {
		t.Fatal(err)
	}
	s.now = s.now.Add(2 * day)
	goes, stays, err := s.forgets(forgetting("one", false))
	if len(goes) != 2 || len(stays) != 1 || stays[0] != s.ids[1] || err != nil {
		t.Errorf("again: %q go, %q stay, %v", goes, stays, err)
	}
}
