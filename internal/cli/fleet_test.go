package cli_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/rs/zerolog"

	"lifeboat/handler"
	"lifeboat/internal/backup"
	"lifeboat/internal/cli"
	"lifeboat/internal/config"
	"lifeboat/internal/engine"
	"lifeboat/internal/health"
	"lifeboat/internal/plans"
	"lifeboat/internal/request"
	"lifeboat/internal/services"
	"lifeboat/internal/testing/memory"
	"lifeboat/internal/tzdata"
)

// The fleet has 17 targets of all services, some of which are called alike.
const (
	apimType   = "Microsoft.ApiManagement/service"
	hsmType    = "Microsoft.KeyVault/managedHSMs"
	ccfType    = "Microsoft.ConfidentialLedger/managedCCFs"
	ledgerType = "Microsoft.ConfidentialLedger/ledgers"
)

func resource(subscription int, group, kind, name string) string {
	return fmt.Sprintf("/subscriptions/%s-0000-4000-8000-%012d/resourceGroups/%s/providers/%s/%s",
		[]string{1: "0c0ffee0", 2: "1dea5000"}[subscription], subscription, group, kind, name)
}

var fleetTargets = []struct{ plan, id string }{
	{"nightly", resource(1, "prod", apimType, "contoso-eu")},
	{"nightly", resource(1, "prod", apimType, "contoso-us")},
	{"nightly", resource(1, "prod", apimType, "contoso-asia-southeast-production-1")},
	{"nightly", resource(1, "prod", apimType, "contoso-asia-southeast-production-2")},
	{"nightly", resource(1, "prod", apimType, "payments")},
	{"nightly", resource(1, "dev", apimType, "payments")},
	{"nightly", resource(1, "prod", apimType, "partners")},
	{"nightly", resource(2, "prod", apimType, "partners")},
	{"keys", resource(1, "prod", hsmType, "contoso-hsm")},
	{"keys", resource(1, "prod", hsmType, "contoso-hsm-standby")},
	{"keys", resource(1, "security", hsmType, "vault")},
	{"networks", resource(1, "prod", ccfType, "contoso-ccf")},
	{"networks", resource(1, "security", ccfType, "vault")},
	{"networks", resource(1, "dev", ccfType, "members")},
	{"ledgers", resource(1, "prod", ledgerType, "contoso-ledger")},
	{"ledgers", resource(1, "prod", ledgerType, "audit")},
	{"weekly", resource(1, "dev", apimType, "audit")},
}

// standby is a service that only restores go into.
var standby = resource(1, "prod", apimType, "contoso-standby")

// fleetPlan is plan.yaml of the fleet.
func fleetPlan() string {
	var b strings.Builder
	b.WriteString("version: 1\ndefaults:\n  timeZone: Europe/Zurich\n  storage: {account: " + account + ", container: lifeboat}\nplans:\n")
	last := ""
	for _, t := range fleetTargets {
		if t.plan != last {
			fmt.Fprintf(&b, "  - name: %s\n    schedule: \"30 2 * * *\"\n    keep: {within: 30d}\n", t.plan)
			switch t.plan {
			case "nightly":
				b.WriteString("    restore: {into: [itself, " + standby + "], safetyBackup: true}\n")
			case "keys":
				b.WriteString("    hsm: {access: sas, securityDomain: {every: 180d}}\n    restore: {into: [itself]}\n")
			}
			b.WriteString("    targets:\n")
			last = t.plan
		}
		fmt.Fprintf(&b, "      - %s\n", t.id)
	}
	return b.String()
}

// settled is a service that lets everything pass.
type settled struct{ restorable }

// artifactSize is the size of every artifact of the fleet, in bytes.
const artifactSize = 20 << 20

// artifactHash is the SHA-256 of every artifact of the fleet.
var artifactHash = strings.Repeat("c0ffee00", 8)

func (settled) Hash(context.Context, backup.Attempt, backup.Hashing) (backup.Verification, error) {
	return backup.Verification{Done: true, Size: artifactSize, SHA256: artifactHash}, nil
}

func (settled) Preflight(context.Context, backup.Attempt) error { return nil }

func (settled) PreflightRestore(context.Context, backup.Restore) error { return nil }

// These are runs of the fleet; the examples in the help name them.
var (
	eu         = fleetTargets[0].id
	goodRun    = backup.NewRunID(eu, fleetNow.Add(-10*time.Hour), "nightly")
	failedRun  = backup.NewRunID(eu, fleetNow.Add(-34*time.Hour), "nightly")
	suspectRun = backup.NewRunID(eu, fleetNow.Add(-58*time.Hour), "nightly")
	queued     = backup.NewRunID(eu, fleetNow.Add(-time.Minute), "request incident-1")
	restored   = backup.NewRunID(eu, fleetNow.Add(-3*time.Hour), "request incident-2")
	olderRun   = backup.NewRunID(eu, fleetNow.Add(-82*time.Hour), "nightly")
	softRun    = backup.NewRunID(fleetTargets[1].id, fleetNow.Add(-82*time.Hour), "nightly")
	heldBy     = "fe05bcdcdc49"
	batchID    = backup.Digest("batch-1", 32)
	fleetNow   = now
)

// stock is the storage of the fleet before anybody changes it. It is filled once: each test has a copy.
type stock struct {
	catalog *memory.Catalog
	queue   *memory.Queue
	plans   []backup.Plan
	ids     int // used so far
	err     error
}

func fleetClock() time.Time { return fleetNow }

func (s *stock) put(key backup.Key, body []byte) {
	_, err := s.catalog.Apply(context.Background(), backup.Write{Op: backup.Insert, Key: key, Body: body})
	s.err = cmp.Or(s.err, err)
}

// fleetStock has the backups of each target, daily, with some failures, and two restores that were asked for.
var fleetStock = sync.OnceValue(func() *stock {
	s := &stock{catalog: memory.NewCatalog(fleetClock), queue: memory.NewQueue(fleetClock)}
	all, _, err := reader.Parse("plan.yaml", []byte(fleetPlan()))
	if s.err = err; err != nil {
		return s
	}
	s.plans = all
	settings := map[string]backup.Settings{}
	for _, p := range all {
		settings[p.Name] = p.Settings
	}
	for i, target := range fleetTargets {
		for day := range 4 {
			begin := fleetNow.Add(-10*time.Hour - time.Duration(day)*24*time.Hour)
			run := backup.Run{
				ID: backup.NewRunID(target.id, begin, "nightly"), State: backup.Succeeded, Target: target.id, Plan: target.plan,
				ScheduledTime: begin.Truncate(time.Hour).Add(-30 * time.Minute), Settings: settings[target.plan],
				Created: begin, Updated: begin.Add(25 * time.Minute), Ended: begin.Add(25 * time.Minute),
			}
			run.Attempt, run.Polls = 1, 12
			point := backup.Point{
				ID: run.ID, State: backup.Live, Target: target.id, Plan: target.plan, Storage: run.Settings.Storage, Artifact: run.ID + ".1",
				Size: artifactSize, SHA256: artifactHash, Created: run.Ended, Expires: run.Ended.Add(30 * 24 * time.Hour),
			}
			switch {
			case day == 1 && i == 0 || day == 0 && i == 5:
				run.State = backup.Failed
				run.Reason = backup.Reason{Code: "AuthorizationFailed", Message: "back up the service: the client does not have authorization to perform " +
					"action 'Microsoft.ApiManagement/service/backup/action'", Hint: "Give the app the role API Management Service Contributor on the service."}
			case day == 2 && i == 0:
				point.State = backup.Suspect
				point.Suspicion = backup.Reason{Code: "SizeSuspect", Message: "it has 20.0 MiB, less than half of the usual 50.0 MiB"}
			}
			if run.ID == softRun {
				point.SoftDeletion = backup.SoftDeletion{
					Since: fleetNow.Add(-time.Hour), Until: fleetNow.Add(6 * 24 * time.Hour), ID: "a2ebcf99c73f", By: "invocation 77aa", Reason: "it has a secret",
				}
			}
			if run.ID == suspectRun {
				point.SoftDelete = 7 * 24 * time.Hour
			}
			if run.ID == olderRun {
				point.Holds = []backup.PersonHold{{
					ID: heldBy, Since: fleetNow.Add(-48 * time.Hour), By: "invocation 6c0b", Reason: "audit", Until: fleetNow.Add(60 * 24 * time.Hour),
				}}
			}
			point.CopyOnly = target.plan == "ledgers"
			if i == ledgerTarget {
				ledgerFacts(&point, day)
			}
			s.put(run.Key(), backup.Encode(run))
			if run.State == backup.Succeeded {
				s.put(point.Key(), backup.Encode(point))
			}
		}
	}
	restoring := backup.Restoring{
		Point: goodRun, Source: eu, Kind: backup.RestoreFull, RequestedBy: "the person on call", Reason: "a bad deployment", Safety: true, SafetyBackedUp: fleetNow.Add(-150 * time.Minute),
		Expires: fleetNow.Add(20 * time.Hour),
	}
	for id, state := range map[string]backup.State{queued: backup.Queued, restored: backup.Succeeded} {
		run := backup.Run{
			ID: id, State: state, Target: eu, Plan: "nightly", Request: id, Settings: settings["nightly"], Restore: &restoring,
			Created: fleetNow.Add(-3 * time.Hour), Updated: fleetNow.Add(-2 * time.Hour),
		}
		if state == backup.Succeeded {
			run.Ended = run.Updated
			p := backup.Point{
				ID: id, State: backup.Live, Target: eu, Plan: "nightly", Storage: run.Settings.Storage, Artifact: id + ".1", Safety: true,
				Size: artifactSize, SHA256: artifactHash, Created: run.Updated, Expires: fleetNow.Add(28 * time.Hour),
				Held: backup.Hold{Until: fleetNow.Add(7 * 24 * time.Hour), Reason: "a restore"},
			}
			s.put(p.Key(), backup.Encode(p))
		}
		s.put(run.Key(), backup.Encode(run))
	}
	tagged := backup.Select{Subscriptions: []string{"0c0ffee0-0000-4000-8000-000000000001"}, Tags: map[string]string{"backup": "lifeboat"}}
	pick := backup.Pick{Plan: "nightly", Key: tagged.Key(), Targets: []string{eu, eu + "-new", eu + "-old"}}
	picks, err := plans.KeepPicks(context.Background(), s.catalog, []backup.Pick{pick})
	s.err = cmp.Or(s.err, err)
	pick.Targets, pick.Gone = pick.Targets[:1], pick.Targets[1:]
	waiting, err := plans.KeepPicks(context.Background(), s.catalog, []backup.Pick{pick})
	s.err = cmp.Or(s.err, err)
	s.put(backup.SelectionKey, backup.Encode(plans.Selection{
		Looked: fleetNow.Add(-20 * time.Minute), Tried: fleetNow.Add(-20 * time.Minute), Picks: picks, Waiting: waiting, Since: fleetNow.Add(-80 * time.Minute),
	}))
	s.put(backup.CoverageKey, backup.Encode(health.Coverage{
		At: fleetNow.Add(-20 * time.Minute), Tried: fleetNow.Add(-20 * time.Minute),
		Looked:   []health.Seen{{Subscription: "0c0ffee0-0000-4000-8000-000000000001", Uncovered: map[string]int{"Microsoft.ApiManagement/service": 1}}},
		NotShown: []string{"1dea5000-0000-4000-8000-000000000002"},
		Services: []health.Uncovered{
			{ID: eu + "-new", Location: "westeurope"}, {ID: eu + "-small", Location: "westeurope", Unfit: "its tier Consumption has no backup"},
		},
	}))
	_, _, err = s.engine(s.catalog, s.queue, &s.ids).Backup(context.Background(), request.Backup{ID: "batch-1", Plan: "nightly"}, all)
	s.err = cmp.Or(s.err, err)
	return s
})

func (s *stock) engine(catalog *memory.Catalog, queue *memory.Queue, ids *int) *engine.Engine {
	var counting sync.Mutex
	return &engine.Engine{
		Zone: config.Zone, Catalog: catalog, Queue: queue, Manifests: &memory.Manifests{}, App: "contoso-app", Timings: engine.DefaultTimings(),
		Now: fleetClock, Services: services.All().Known(), Providers: settledProviders(),
		NewID: func() string {
			counting.Lock()
			defer counting.Unlock()
			*ids++
			return fmt.Sprintf("id%d", *ids)
		},
	}
}

// newFleet returns the API over the fleet.
func newFleet(t *testing.T, change ...func(*engine.Engine)) *app {
	t.Helper()
	s := fleetStock()
	if s.err != nil {
		t.Fatal(s.err)
	}
	catalog, queue, ids := s.catalog.Clone(fleetClock), s.queue.Clone(fleetClock), s.ids
	e := s.engine(catalog, queue, &ids)
	for _, f := range change {
		f(e)
	}
	store := &plans.Store{
		Catalog: catalog, Read: func(context.Context) ([]byte, error) { return []byte("plan.yaml"), nil },
		Parse: func([]byte) ([]backup.Plan, error) { return slices.Clone(s.plans), nil },
	}
	api := handler.New(handler.Config{Engine: e, Plans: store, Log: zerolog.Nop(), Now: fleetClock})
	return listen(t, &app{catalog: catalog, queue: queue}, api, "contoso.azurewebsites.net", nil)
}

func settledProviders() map[string]backup.Provider {
	providers := map[string]backup.Provider{}
	for _, s := range services.All() {
		providers[strings.ToLower(s.Type)] = settled{}
	}
	return providers
}

// inFleet runs a command as a person in Zurich, in a folder with plan.yaml, at a terminal of that width; 0: in a pipe.
func inFleet(t *testing.T, a *app, width int, args ...string) (code int, out, errs string) {
	t.Helper()
	return inFleetUntil(t.Context(), t, a, width, "", func() {}, args...)
}

// inFleetUntil does the same, and calls stop once stderr has the text.
func inFleetUntil(
	ctx context.Context, t *testing.T, a *app, width int, at string, stop func(), args ...string,
) (code int, out, errs string) {
	t.Helper()
	zone, err := tzdata.Embedded().Load("Europe/Zurich")
	if err != nil {
		t.Fatal(err)
	}
	const location = "https://contoso.blob.core.windows.net/lifeboat-config/plan.yaml"
	environment := map[string]string{"LIFEBOAT_URL": a.URL, "LIFEBOAT_KEY": key, "LIFEBOAT_PLAN": location}
	if width > 0 {
		environment["COLUMNS"] = fmt.Sprint(width)
	}
	stdout, stderr := stops{at: "\x00", stop: stop}, stops{at: cmp.Or(at, "\x00"), stop: stop}
	code = cli.Run(ctx, args, cli.Shell{
		Getenv: func(name string) string { return environment[name] }, Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr,
		Now: fleetNow, Local: zone, CompletionTime: 5 * time.Minute, RequestID: "request-1", Version: "f69029140", Plans: reader,
		PlanBlob: func(_ func(string) string, location string) (*config.PlanBlob, error) {
			old, err := os.ReadFile("old.yaml")
			rules := []wireRule{{"GET .blob.", blobOf(string(old)), 0}, {"PUT .blob.", status(201, "", `Etag: "0x8DC0FFEF"`), 0}}
			there, wrong := config.NewPlanBlob(location, anyToken{}, azcore.ClientOptions{Transport: &wired{rules: rules}})
			return there, errors.Join(err, wrong)
		},
		Find: func(context.Context, func(string) string, []string) (backup.Inventory, error) {
			return backup.Inventory{Subscriptions: []string{"0c0ffee0-0000-4000-8000-000000000001"}, Services: []backup.Found{
				{ID: eu, Type: "Microsoft.ApiManagement/service", Location: "westeurope", Tier: "Premium"},
				{ID: eu + "-new", Type: "Microsoft.ApiManagement/service", Location: "westeurope", Tier: "Developer"},
				{ID: eu + "-small", Type: "Microsoft.ApiManagement/service", Location: "westeurope", Tier: "Consumption"},
			}}, nil
		},
		Shares: ledgerShares(t),
		Look: func(func(string) string) (*engine.Engine, error) {
			return &engine.Engine{Providers: settledProviders()}, nil
		},
	})
	return code, stdout.String(), stderr.String()
}

// planFolder makes a folder with plan.yaml and an earlier one, and goes there until the test ends.
func planFolder(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	old := strings.ReplaceAll(fleetPlan(), "30 2 * * *", "0 4 * * *")
	for name, text := range map[string]string{"plan.yaml": fleetPlan(), "old.yaml": old} {
		if err := os.WriteFile(filepath.Clean(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
