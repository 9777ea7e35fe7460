package cli_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/cli"
)

// completed returns the words that a shell gets for the arguments, without their descriptions, and the directive for it.
func completed(t *testing.T, a *app, args ...string) (words []string, directive string) {
	t.Helper()
	return completedWithin(t, a, 5*time.Minute, args...)
}

// completedWithin does the same, if the app answers within that time.
func completedWithin(t *testing.T, a *app, limit time.Duration, args ...string) (words []string, directive string) {
	t.Helper()
	environment := map[string]string{"LIFEBOAT_URL": a.URL, "LIFEBOAT_KEY": key}
	sh := cli.Shell{Getenv: func(name string) string { return environment[name] }, CompletionTime: limit}
	code, out, errs := within(t.Context(), sh, append([]string{"__complete"}, args...)...)
	if code != 0 || !strings.HasPrefix(errs, "Completion ended with directive: ") || strings.Count(errs, "\n") != 1 {
		t.Errorf("%q: %d\n%s%s", args, code, out, errs)
	}
	for line := range strings.Lines(out) {
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, ":"); ok {
			return words, rest
		}
		word, description, _ := strings.Cut(line, "\t")
		if description == "" && !slices.Contains([]string{"nightly", "keys", "networks", "ledgers", "weekly"}, word) {
			t.Errorf("%q: %q has no description", args, word)
		}
		words = append(words, word)
	}
	t.Errorf("%q: there is no directive in %s", args, out)
	return words, ""
}

// TestCompletion checks the words for each argument that the app knows.
func TestCompletion(t *testing.T) {
	t.Parallel()
	a := newFleet(t)
	targets := []string{
		"contoso-eu", "contoso-us", "contoso-asia-southeast-production-1", "contoso-asia-southeast-production-2", "prod/payments", "dev/payments",
		"0c0ffee0/prod/partners", "1dea5000/prod/partners", "contoso-hsm", "contoso-hsm-standby", "security/managedHSMs/vault", "contoso-ccf",
		"security/managedCCFs/vault", "members", "contoso-ledger", "prod/audit", "dev/audit",
	}
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"runs", ""}, targets},
		{[]string{"points", "contoso-h"}, []string{"contoso-hsm", "contoso-hsm-standby"}},
		{[]string{"backup", "dev/"}, []string{"dev/payments", "dev/members", "dev/audit"}},
		{[]string{"backup", "--plan", ""}, []string{"keys", "ledgers", "networks", "nightly", "weekly"}},
		{[]string{"runs", "contoso-eu", ""}, nil},
		{[]string{"restore", "contoso-eu", "--into", ""}, []string{"contoso-eu", "contoso-standby"}},
		{[]string{"restore", eu, "--into", ""}, []string{"contoso-eu", "contoso-standby"}},
		{[]string{"restore", "contoso-hsm", "--into", ""}, []string{"contoso-hsm"}},
		{[]string{"restore", "contoso-ccf", "--into", ""}, nil},
		{[]string{"security-domain", "attest", "contoso-h"}, []string{"contoso-hsm", "contoso-hsm-standby"}},
		{[]string{"runs", "prod/pa"}, []string{"prod/payments"}}, // there are two prod/partners
		{[]string{"restore", "contoso-eu", "--point", ""}, []string{restored, goodRun, olderRun}},
		{[]string{"accept", ""}, []string{suspectRun}},
		{[]string{"release", ""}, []string{olderRun}},
		{[]string{"undelete", ""}, []string{softRun}},
		{[]string{"retention", "preview", "contoso-h"}, []string{"contoso-hsm", "contoso-hsm-standby"}},
		{[]string{"explain", goodRun[:17]}, []string{restored, goodRun, suspectRun, olderRun}},
		{[]string{"cancel", ""}, []string{queued}},
		{[]string{"confirm", ""}, []string{restored}},
		{[]string{"batch", ""}, []string{batchID}},
		{[]string{"batch", batchID, ""}, nil},
	} {
		words, directive := completed(t, a, c.args...)
		if !slices.Equal(words, c.want) || directive != "36" { // no files, and in this order
			t.Errorf("%q: %q, %s; want %q", c.args, words, directive, c.want)
		}
	}
	words, _ := completed(t, a, "run", "")
	if len(words) < 17*4 || !slices.Contains(words, failedRun) || !slices.Contains(words, queued) {
		t.Errorf("runs: %d %q", len(words), words)
	}
	words, _ = completed(t, a, "abandon", "")
	if !slices.Contains(words, queued) || slices.Contains(words, failedRun) || slices.Contains(words, goodRun) {
		t.Errorf("runs to abandon: %q", words)
	}
	words, _ = completed(t, a, "runs", "/subscriptions/1")
	if !slices.Equal(words, []string{fleetTargets[7].id}) {
		t.Errorf("resource IDs: %q", words)
	}
}

// TestCompletionIsSilent checks that nothing is completed, soon and without an error, if the app does not answer well, or
// is not known.
func TestCompletionIsSilent(t *testing.T) {
	t.Parallel()
	released := make(chan struct{})
	t.Cleanup(func() { close(released) })
	for name, network := range map[string]func(n int, w http.ResponseWriter, r *http.Request) bool{
		"no key": func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusUnauthorized)
			return false
		},
		"down": func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusServiceUnavailable)
			return false
		},
		"another app": func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			fmt.Fprint(w, "<html>")
			return false
		},
		"an older app": func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"error":{"code":"RouteNotFound","message":"there is nothing"}}`)
			return false
		},
		"hanging": func(_ int, _ http.ResponseWriter, r *http.Request) bool {
			select {
			case <-r.Context().Done():
			case <-released:
			}
			return false
		},
		"broken": func(int, http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, "", network)
			for _, args := range [][]string{{"runs", ""}, {"restore", "x", "--point", ""}} {
				if words, directive := completedWithin(t, a, 0, args...); len(words) != 0 || directive != "36" {
					t.Errorf("%q: %q %s", args, words, directive)
				}
			}
		})
	}
	for _, url := range []string{"", "http://127.0.0.1:1", "nonsense"} {
		environment := map[string]string{"LIFEBOAT_URL": url, "LIFEBOAT_KEY": key}
		sh := cli.Shell{Getenv: func(name string) string { return environment[name] }}
		if code, out, errs := within(t.Context(), sh, "__complete", "runs", ""); code != 0 || out != ":36\n" || strings.Count(errs, "\n") != 1 {
			t.Errorf("%q: %d, %q, %q", url, code, out, errs)
		}
	}
}

// TestCompletionScripts checks that there is a script for each shell, and that it names the program.
func TestCompletionScripts(t *testing.T) {
	t.Parallel()
	for shell, want := range map[string]string{
		"bash": "complete -o default", "zsh": "#compdef lifeboat\n", "fish": "complete -c lifeboat", "powershell": "Register-ArgumentCompleter -CommandName 'lifeboat'",
	} {
		if code, out, errs := run("completion", shell); code != 0 || errs != "" || !strings.Contains(out, want) {
			t.Errorf("%s: %d, %s\n%s", shell, code, errs, out)
		}
	}
	for _, c := range []struct{ args, want string }{
		{"completion ", "bash zsh fish powershell"}, {"help pl", "plan"}, {"help plan ", "check diff next pull push roles"}, {"health -o ", "table wide json yaml name"},
	} {
		args := strings.Split(c.args, " ")
		_, out, _ := run(append([]string{"__completeNoDesc"}, args...)...)
		words, _, _ := strings.Cut(out, ":")
		if got := strings.Join(strings.Fields(words), " "); got != c.want {
			t.Errorf("%q: %q, want %q", c.args, got, c.want)
		}
	}
}
