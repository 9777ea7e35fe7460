package engine_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"lifeboat/internal/backup"
	"lifeboat/internal/health"
	"lifeboat/internal/request"
)

// contained returns a plan of the target and the standby, each with a container of its own: the standby's name has large letters.
func contained() backup.Plan {
	p := nightly()
	p.Targets = []string{target, capital}
	p.Settings.Storage.Container = "apim-{name}"
	return p
}

const capital = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rg/providers/" +
	"Microsoft.ApiManagement/service/Contoso-Standby"

// ownContainer returns the container that the plan of contained gives the service.
func ownContainer(id string) string {
	return map[string]string{target: "apim-contoso", capital: "apim-contoso-standby", standby: "apim-contoso-standby"}[id]
}

// noTemplate checks that no manifest and no row has the template in place of a container. The row of a request is for all targets.
func (s *harness) noTemplate() {
	s.t.Helper()
	for _, row := range s.storage.catalog.Rows() {
		if strings.Contains(string(row.Body), backup.TargetName) && row.Key != backup.RequestKey(strings.TrimPrefix(row.Partition, "request-")) {
			s.t.Errorf("the row %v has the template: %s", row.Key, row.Body)
		}
	}
	lost, err := (&s.manifests).List(s.t.Context(), backup.Storage{Account: account, Container: "apim-{name}"}, "")
	if err != nil || len(lost) > 0 {
		s.t.Errorf("manifests in the template: %q, %v", lost, err)
	}
}

// TestEachTargetHasItsContainer: a run, however it is made, goes into the target's container with all that it leaves.
func TestEachTargetHasItsContainer(t *testing.T) {
	for name, ask := range map[string]func(*harness, backup.Plan) []string{
		"by schedule": func(s *harness, p backup.Plan) []string {
			s.runSchedule(p)
			s.now = begin.Add(day)
			return s.runSchedule(p).Created
		},
		"by a request": func(s *harness, p backup.Plan) (ids []string) {
			for _, r := range s.askAll("request", p).Runs {
				ids = append(ids, r.ID)
			}
			return ids
		},
		"by a request whose repeat comes with another plan": func(s *harness, p backup.Plan) (ids []string) {
			s.storage.failAt = s.storage.calls + 4 // after the claim, among the rows of the runs
			if _, _, err := s.engine.Backup(s.t.Context(), request.Backup{ID: "request", Plan: p.Name}, []backup.Plan{p}); err == nil {
				s.t.Error("nothing failed")
			}
			edited := nightly()
			edited.Targets = p.Targets
			for _, r := range s.askAll("request", edited).Runs {
				ids = append(ids, r.ID)
			}
			return ids
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newHarness(t)
			seen := map[string]bool{}
			at := func(a backup.Attempt) {
				seen[a.Target] = true
				if a.Storage.Container != ownContainer(a.Target) {
					t.Errorf("%s in %s", a.Target, a.Storage.Container)
				}
			}
			s.provider.ready = func(a backup.Attempt) error { at(a); return nil }
			s.provider.begin = func(a backup.Attempt) (backup.Operation, error) { at(a); return backup.Operation{Token: "token"}, nil }
			s.provider.hash = func(a backup.Attempt, _ backup.Hashing) (backup.Verification, error) {
				at(a)
				return backup.Verification{Done: true, Hashing: backup.Hashing{ETag: "etag"}, Size: 7, SHA256: "beef", Modified: s.now}, nil
			}
			ids := ask(s, contained())
			s.finish()
			if len(ids) != 2 || len(seen) != 2 {
				t.Fatalf("runs %q, targets %v", ids, seen)
			}
			for _, id := range ids {
				run := s.ended(id, backup.Succeeded, "")
				p := s.status(id).Point
				if run.Settings.Storage.Container != ownContainer(run.Target) || p == nil || p.Storage != run.Settings.Storage {
					t.Errorf("the run has %+v, the point %+v", run.Settings, p)
				}
				manifests, err := (&s.manifests).List(t.Context(), run.Settings.Storage, backup.ManifestFolder+"/")
				if want := []string{backup.ManifestFolder + "/" + id + ".made.json"}; err != nil || !slices.Equal(manifests, want) {
					t.Errorf("the manifests beside it are %q, %v", manifests, err)
				}
			}
			s.noTemplate()
		})
	}
}

// TestAnEditToContainersChangesNoRun: a run that is under way ends in the container in which it began, and its recovery point is
// deleted there.
func TestAnEditToContainersChangesNoRun(t *testing.T) {
	s := newHarness(t)
	old := nightly()
	old.Targets = contained().Targets
	under := s.askAll("before", old).Runs
	s.step()
	edited := contained()
	s.runSchedule(edited)
	deleted := map[string]string{}
	s.provider.delete = func(a backup.Attempt, _ bool) error { deleted[a.Run] = a.Storage.Container; return nil }
	s.now = s.now.Add(day)
	s.finish()
	after := s.askAll("after", edited).Runs
	s.finish()
	for i, id := range edited.Targets {
		for run, want := range map[string]string{under[i].ID: "lifeboat", after[i].ID: ownContainer(id)} {
			if r := s.ended(run, backup.Succeeded, ""); r.Settings.Storage.Container != want || s.status(run).Point.Storage.Container != want {
				t.Errorf("%s of %s in %+v, want %s", run, id, r.Settings.Storage, want)
			}
		}
	}
	s.now = s.now.Add(31 * day)
	s.cleanup()
	s.finish()
	for i := range edited.Targets {
		if got := deleted[under[i].ID]; got != "lifeboat" {
			t.Errorf("the older backup of %s was deleted in %q", edited.Targets[i], got)
		}
		if got, gone := deleted[after[i].ID]; gone {
			t.Errorf("the newest backup of %s was deleted in %q", edited.Targets[i], got)
		}
	}
	s.noTemplate()
}

// TestRestoresKnowTheirContainers: a backup of before the edit is restored out of the old container, and each destination, target of
// the plan or not, is backed up into its own.
func TestRestoresKnowTheirContainers(t *testing.T) {
	for _, into := range []string{"", standby} {
		s, service, point := restorable(t) // into the container of nightly
		plans := restoring(true)
		plans[0].Settings.Storage.Container = "apim-{name}"
		q := order("restore")
		q.Into = into
		secured := ""
		s.provider.begin = func(a backup.Attempt) (backup.Operation, error) {
			secured = a.Storage.Container
			return backup.Operation{Token: "token"}, nil
		}
		run := s.restore(q, plans)
		s.finish()
		own := ownContainer(q.Destination())
		if s.run(run.ID).State != backup.Succeeded || secured != own || s.run(run.ID).Settings.Storage.Container != own || s.status(run.ID).Point.Storage.Container != own {
			t.Errorf("the safety backup went into %q, want %s; %+v", secured, own, s.run(run.ID).Settings)
		}
		if len(service.started) != 1 || service.started[0].Storage.Container != "lifeboat" || service.started[0].Artifact != point+".1" {
			t.Errorf("restored %+v", service.started)
		}
	}
}

// TestLooksKnowTheContainers: the check of a plan, and the search for artifacts that the catalog does not know, are each target's own.
func TestLooksKnowTheContainers(t *testing.T) {
	s := newHarness(t)
	var looked []string
	s.provider.ready = func(a backup.Attempt) error { looked = append(looked, a.Storage.Container); return nil }
	for _, id := range contained().Targets {
		if err := s.engine.Preflight(t.Context(), contained(), id); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"apim-contoso", "apim-contoso-standby"}; !slices.Equal(looked, want) {
		t.Errorf("looked at %q, want %q", looked, want)
	}
	lists := &listing{fakeProvider: s.provider, in: map[string]string{}}
	s.engine.Providers["microsoft.apimanagement/service"] = lists
	old := backup.NewRunID(capital, begin.Add(-day), "another catalog")
	if err := s.manifests.Write(t.Context(), backup.Storage{Account: account, Container: "apim-contoso-standby"},
		backup.ManifestFolder+"/"+old+".made.json", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	s.runSchedule(contained())
	if len(lists.in) != 2 || lists.in[target] != "apim-contoso" || lists.in[capital] != "apim-contoso-standby" {
		t.Errorf("searched %v", lists.in)
	}
	in := backup.Storage{Account: account, Container: "apim-contoso-standby"}
	row, _, err := s.storage.catalog.Get(t.Context(), backup.IncompleteKey(capital, in))
	if found, _ := backup.Decode[health.Incomplete](row); err != nil || found.Storage != in || found.Manifests != 1 || s.rows(backup.IncompletePrefix) != 1 {
		t.Errorf("found %+v, %v", found, err)
	}
}

// listing notes where it was asked to list artifacts.
type listing struct {
	*fakeProvider
	mu sync.Mutex // the searches are made together
	in map[string]string
}

func (l *listing) Artifacts(_ context.Context, target string, in backup.Storage) ([]backup.Artifact, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.in[target] = in.Container
	return nil, nil
}
