package toyservice_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/google/uuid"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
	"lifeboat/internal/testing/conformance"
	"lifeboat/internal/testing/toyservice"
	"lifeboat/internal/testing/toyservice/faketoys"
)

const (
	group   = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rg/providers/"
	box     = group + "Contoso.Toys/boxes/contoso-box"
	account = group + "Microsoft.Storage/storageAccounts/contosobackups"
)

// nobody is a credential: the simulator takes any token.
type nobody struct{}

func (nobody) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: "token", ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// start starts the simulator, with one full box.
func start(t *testing.T, now func() time.Time, takes time.Duration) *faketoys.Sim {
	t.Helper()
	sim := faketoys.Start(now, takes)
	t.Cleanup(sim.Close)
	sim.Fill("contoso-box", "a bear, two kites")
	return sim
}

// optionsOf returns the options of the app, with a transport that leads to the simulator.
func optionsOf(sim *faketoys.Sim) azcore.ClientOptions {
	options := azure.Options("v1", uuid.NewString)
	options.Transport = sim.Client()
	return options
}

func provider(sim *faketoys.Sim) *toyservice.Provider {
	return toyservice.New(nobody{}, optionsOf(sim))
}

// backups is the harness of backups of the box.
func backups(sim *faketoys.Sim) conformance.ProviderHarness {
	return conformance.ProviderHarness{
		Target: box, Storage: backup.Storage{Account: account, Container: "toys"}, Blocks: `{"toy":{"colour":"red"}}`,
		Provider: func() backup.Provider { return provider(sim) },
		Inject: func(t *testing.T, f conformance.ProviderFault) {
			t.Helper()
			switch f {
			case conformance.LookThrottled:
				sim.Inject(faketoys.OnLook, faketoys.Fault{Status: http.StatusTooManyRequests, RetryAfter: conformance.ThrottledFor})
			case conformance.LookRefused:
				sim.Inject(faketoys.OnLook, faketoys.Fault{Status: http.StatusNotFound})
			case conformance.StartBusy:
				sim.Inject(faketoys.OnBackup, faketoys.Fault{Status: http.StatusConflict})
			case conformance.StartRefused:
				sim.Inject(faketoys.OnBackup, faketoys.Fault{Status: http.StatusBadRequest})
			case conformance.StartLost:
				sim.Inject(faketoys.OnBackup, faketoys.Fault{Lost: true})
			case conformance.PollThrottled:
				sim.Inject(faketoys.OnPoll, faketoys.Fault{Status: http.StatusTooManyRequests, RetryAfter: conformance.ThrottledFor})
			case conformance.PollDenied:
				sim.Inject(faketoys.OnPoll, faketoys.Fault{Status: http.StatusForbidden})
			case conformance.OperationFails:
				sim.Inject(faketoys.OnBackup, faketoys.Fault{Fails: true})
			case conformance.ArtifactEmpty:
				sim.Inject(faketoys.OnBackup, faketoys.Fault{Empty: true})
			case conformance.ArtifactMissing:
				sim.Inject(faketoys.OnBackup, faketoys.Fault{Missing: true})
			default:
				t.Fatalf("the simulator has no fault for %q", f)
			}
		},
		Starts:  func() int { return sim.Count(faketoys.OnBackup) },
		Changes: sim.Changes,
		Touch:   func(_ *testing.T, artifact string) { sim.Touch("contosobackups", "toys", artifact) },
		Digest: func(t *testing.T, artifact string) string {
			t.Helper()
			content, there := sim.Shelf("contosobackups", "toys")[artifact]
			if !there {
				t.Fatalf("%s is not on the shelf", artifact)
			}
			sum := sha256.Sum256([]byte(content))
			return hex.EncodeToString(sum[:])
		},
	}
}

// restores is the harness of restores of the box.
func restores(t *testing.T, sim *faketoys.Sim) conformance.RestoreHarness {
	t.Helper()
	storage := backup.Storage{Account: account, Container: "toys"}
	a := backup.Attempt{Target: box, Storage: storage, Run: "run", Artifact: "run.1", NotBefore: time.Now()}
	p := provider(sim)
	if _, err := p.Prepare(t.Context(), a, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Begin(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	idle := func(t *testing.T) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); !sim.Idle("contoso-box"); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the box is never idle")
			}
		}
	}
	return conformance.RestoreHarness{
		Restorer: func() backup.Restorer { return provider(sim) },
		Ready: func(t *testing.T) backup.Restore {
			t.Helper()
			idle(t)
			sim.Fill("contoso-box", "nothing")
			return backup.Restore{Target: box, Source: box, Storage: storage, Artifact: a.Artifact, Kind: backup.RestoreFull}
		},
		Restored: func(t *testing.T, _ backup.Restore) {
			t.Helper()
			if toys := sim.Toys("contoso-box"); toys != "a bear, two kites" {
				t.Errorf("in the box: %s", toys)
			}
		},
		Inject: func(t *testing.T, f conformance.RestoreFault) {
			t.Helper()
			switch f {
			case conformance.RestoreBusy:
				sim.Inject(faketoys.OnRestore, faketoys.Fault{Status: http.StatusConflict})
			case conformance.RestoreRefused:
				sim.Inject(faketoys.OnRestore, faketoys.Fault{Status: http.StatusBadRequest})
			case conformance.RestoreLost:
				sim.Inject(faketoys.OnRestore, faketoys.Fault{Lost: true})
			case conformance.RestoreFails:
				sim.Inject(faketoys.OnRestore, faketoys.Fault{Fails: true})
			case conformance.RestoreUntold:
				sim.Inject(faketoys.OnPoll, faketoys.Fault{Status: http.StatusForbidden})
			case conformance.RestoreAway:
				sim.Inject(faketoys.OnPoll, faketoys.Fault{Status: http.StatusServiceUnavailable})
			default:
				t.Fatalf("the simulator has no fault for %q", f)
			}
		},
		Starts: func() int { return sim.Count(faketoys.OnRestore) },
		Idle:   idle,
	}
}

// TestAgainstItsSimulator runs what every provider must do.
func TestAgainstItsSimulator(t *testing.T) {
	t.Run("backups", func(t *testing.T) { conformance.TestProvider(t, backups(start(t, time.Now, 30*time.Millisecond))) })
	t.Run("restores", func(t *testing.T) {
		conformance.TestRestorer(t, restores(t, start(t, time.Now, 30*time.Millisecond)))
	})
}

// TestWhatIsNoEvidence: a shelf that is not there says nothing of its files, and nothing but a run's own files is deleted.
func TestWhatIsNoEvidence(t *testing.T) {
	sim := start(t, time.Now, 0)
	p, a := provider(sim), backup.Attempt{Target: box, Storage: backup.Storage{Account: account, Container: "toys"}, Run: "run", Artifact: "run.1"}
	wants := func(err error, kind backup.FaultKind) {
		t.Helper()
		if f := backup.AsFault(err); f == nil || f.Kind != kind || f.Hint == "" {
			t.Errorf("%v, want a fault that is %s", err, kind)
		}
	}
	_, err := p.Hash(t.Context(), a, backup.Hashing{})
	wants(err, backup.Retryable)
	wants(p.Delete(t.Context(), a, "", false), backup.Retryable)
	wants(p.Delete(t.Context(), a, "", true), backup.Retryable)
	a.Artifact = "runner.1"
	wants(p.Delete(t.Context(), a, "", false), backup.Kept)
	if sim.Changes() != 1 {
		t.Errorf("%d requests to change something, want one deletion", sim.Changes())
	}
	a.Blocks, a.Artifact = `{"toy":7}`, "run.1"
	_, err = p.Begin(t.Context(), a)
	wants(err, backup.Refused)
}
