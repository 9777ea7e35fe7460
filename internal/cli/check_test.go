package cli_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"lifeboat/internal/backup"
	"lifeboat/internal/cli"
	"lifeboat/internal/engine"
)

// looker is a provider that only checks targets.
type looker struct {
	backup.Provider
	look        func(target string) error
	mu          sync.Mutex
	now, most   int
	looked      int
	everyoneMet chan struct{}
	met         sync.Once
}

func (l *looker) Preflight(ctx context.Context, a backup.Attempt) error {
	l.mu.Lock()
	l.now++
	l.looked++
	l.most = max(l.most, l.now)
	if l.now == 8 {
		l.met.Do(func() { close(l.everyoneMet) })
	}
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.now--
		l.mu.Unlock()
	}()
	select {
	case <-l.everyoneMet:
	case <-ctx.Done():
		return &backup.Fault{Kind: backup.Retryable, Code: "Unreachable", Message: ctx.Err().Error()}
	}
	return l.look(a.Target)
}

// live runs plan check --live of a plan with n targets.
func live(ctx context.Context, t *testing.T, n int, look func(target string) error) (code int, out, errs string, l *looker) {
	t.Helper()
	var plan strings.Builder
	fmt.Fprintf(&plan, "version: 1\ndefaults:\n  storage: {account: %s, container: lifeboat}\nplans:\n  - name: p\n"+
		"    schedule: '30 2 * * *'\n    keep: {within: 2d}\n    targets:\n", account)
	for i := range n {
		fmt.Fprintf(&plan, "      - %s-%d\n", target, i)
	}
	path := filepath.Join(t.TempDir(), "plan.yaml")
	if err := os.WriteFile(path, []byte(plan.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	l = &looker{look: look, everyoneMet: make(chan struct{})}
	code, out, errs = within(ctx, cli.Shell{Look: func(func(string) string) (*engine.Engine, error) {
		return &engine.Engine{Providers: map[string]backup.Provider{"microsoft.apimanagement/service": l}}, nil
	}}, "plan", "check", path, "--live")
	return code, out, errs, l
}

func TestCheckLive(t *testing.T) {
	t.Parallel()
	code, out, errs, l := live(t.Context(), t, 20, func(target string) error {
		switch {
		case strings.HasSuffix(target, "-3"):
			return &backup.Fault{Kind: backup.Refused, Code: "HasWorkspaces", Message: "it has\x1b workspaces", Hint: "Take it out."}
		case strings.HasSuffix(target, "-4"):
			return &backup.Fault{Kind: backup.Retryable, Code: "TooManyRequests", Message: "later", Hint: "Ask again."}
		case strings.HasSuffix(target, "-5"):
			return errors.New("the connection broke")
		}
		return nil
	})
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != 1 || !strings.Contains(lines[0], "good: 1 plan, 20 targets") ||
		strings.Join(strings.Fields(lines[6]), " ") != "contoso-3 p refused HasWorkspaces" ||
		strings.Join(strings.Fields(lines[7]), " ") != "contoso-4 p not now TooManyRequests" ||
		strings.Join(strings.Fields(lines[8]), " ") != "contoso-5 p not now Unreachable" ||
		strings.Join(strings.Fields(lines[9]), " ") != "contoso-6 p ok" ||
		!strings.HasSuffix(out, `
contoso-3: HasWorkspaces: it has  workspaces
  Take it out.

contoso-4: TooManyRequests: later
  Ask again.

contoso-5: Unreachable: the connection broke
  
`) || errs != "1 of 20 targets cannot be backed up, and 2 could not be checked\n" {
		t.Errorf("%d\n%s%s", code, out, errs)
	}
	if l.most != 8 || l.looked != 20 {
		t.Errorf("%d looks, %d at a time", l.looked, l.most)
	}
	code, out, errs, _ = live(t.Context(), t, 8, func(string) error { return nil })
	if code != 0 || strings.Count(out, "  ok") != 8 || errs != "" {
		t.Errorf("all well: %d\n%s%s", code, out, errs)
	}
}

// TestCheckLiveSaysWhereItCouldNotLook: what Azure does not show to the identity is not ok.
func TestCheckLiveSaysWhereItCouldNotLook(t *testing.T) {
	t.Parallel()
	l := &looker{everyoneMet: make(chan struct{}), look: func(string) error { return nil }}
	close(l.everyoneMet)
	path := filepath.Join(t.TempDir(), "plan.yaml")
	plan := "version: 1\ndefaults:\n  storage: {account: " + account + ", container: lifeboat}\nplans:\n  - name: p\n" +
		"    schedule: '30 2 * * *'\n    keep: {within: 2d}\n    targets:\n      - " + target + "\n"
	if err := os.WriteFile(path, []byte(plan), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := within(t.Context(), cli.Shell{Look: func(func(string) string) (*engine.Engine, error) {
		return &engine.Engine{Providers: map[string]backup.Provider{"microsoft.apimanagement/service": unseeing{l}}}, nil
	}}, "plan", "check", path, "--live")
	if code != 1 || strings.Contains(out, "  ok") || !strings.Contains(out, "could not look  NotShown") || !strings.Contains(out, account) ||
		errs != "0 of 1 target cannot be backed up, and 1 could not be checked\n" {
		t.Errorf("%d\n%s%s", code, out, errs)
	}
}

// unseeing is a looker to which Azure does not show the storage account.
type unseeing struct{ *looker }

func (u unseeing) Preflight(ctx context.Context, a backup.Attempt) error {
	backup.NotSeen(ctx, a.Storage.Account)
	return u.looker.Preflight(ctx, a)
}

// TestCheckLiveShowsWarnings: they have their own result and their words, and are no reason for another exit code.
func TestCheckLiveShowsWarnings(t *testing.T) {
	t.Parallel()
	l := &looker{everyoneMet: make(chan struct{}), look: func(string) error { return nil }}
	close(l.everyoneMet)
	code, out, errs := within(t.Context(), cli.Shell{Look: func(func(string) string) (*engine.Engine, error) {
		return &engine.Engine{Providers: map[string]backup.Provider{"microsoft.apimanagement/service": warning{l}}}, nil
	}}, "plan", "check", edited(t), "--live")
	if code != 0 || errs != "" || strings.Contains(out, "  ok") || !strings.Contains(out, "  warning  SameRegion, ShareFills\n") ||
		!strings.Contains(out, ": SameRegion: both in westeurope\n  Name another one.\n") ||
		!strings.Contains(out, ": ShareFills: nearly\x20full\n  Raise it.\n") {
		t.Errorf("%d\n%s%s", code, out, errs)
	}
}

// warning is a looker that warns.
type warning struct{ *looker }

func (w warning) Preflight(ctx context.Context, a backup.Attempt) error {
	backup.Warn(ctx, backup.Refuse("SameRegion", "Name another one.", "both in westeurope"))
	backup.Warn(ctx, backup.Refuse("ShareFills", "Raise it.", "nearly\x1bfull"))
	return w.looker.Preflight(ctx, a)
}

func TestCheckLiveStops(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	code, out, errs, _ := live(ctx, t, 30, func(string) error { cancel(); return nil })
	if code != 1 || strings.Contains(out, "TARGET") || errs != "stopped\n" {
		t.Errorf("%d\n%s%s", code, out, errs)
	}
}

// TestCheckLiveLooksAtGoodPlansOnly checks that the mistakes in the file are printed, and that Azure is not asked then.
func TestCheckLiveLooksAtGoodPlansOnly(t *testing.T) {
	sh := cli.Shell{Look: func(func(string) string) (*engine.Engine, error) {
		return nil, errors.New("no credential")
	}}
	if code, _, errs := within(t.Context(), sh, "plan", "check", "--live", edited(t, "30d", "x")); code != 1 || !strings.Contains(errs, ":14") {
		t.Errorf("a broken plan: %d, %s", code, errs)
	}
	if code, _, errs := within(t.Context(), sh, "plan", "check", "--live", edited(t)); code != 1 || errs != "no credential\n" {
		t.Errorf("no credential: %d, %s", code, errs)
	}
}

// TestCheckSaysWhySizesAreUnknown checks that the plan is good all the same, and that nothing is asked without LIFEBOAT_URL.
func TestCheckSaysWhySizesAreUnknown(t *testing.T) {
	for setting, want := range map[string]string{
		"":                      "",
		"https://127.0.0.1:1":   "? the sizes of recovery points are not known: GET https://127.0.0.1:1/api/recovery-points: ",
		"http://example.com":    "? the sizes of recovery points are not known: LIFEBOAT_URL must begin with https://",
		"https://127.0.0.1:1/x": "? the sizes of recovery points are not known: LIFEBOAT_URL must be a scheme and a host alone",
	} {
		sh := cli.Shell{Getenv: func(name string) string {
			return map[string]string{"LIFEBOAT_URL": setting, "LIFEBOAT_KEY": "a key"}[name]
		}}
		code, out, errs := within(t.Context(), sh, "plan", "check", edited(t))
		if code != 0 || errs != "" || !strings.Contains(out, ": good: ") || strings.Contains(out, "sizes") != (want != "") || !strings.Contains(out, want) {
			t.Errorf("%q: %d\n%s%s", setting, code, out, errs)
		}
	}
}
