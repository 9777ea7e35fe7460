package e2e

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/stack"
)

// TestPlanPushAndPull: a person puts a plan.yaml where the app reads it, with a sign-in of the person's own, and the app takes it. The
// cases follow one another.
func TestPlanPushAndPull(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	n := newServices(t, 3)
	one, two, three := planFor(yearly, "1d", n[0]), planFor(yearly, "1d", n[0], n[1]), planFor(yearly, "1d", n...)
	a := newPlanApp(t, true, stack.AppConfig{Plan: one, ScheduleTimer: "* * * * * *"})
	account, location := a.config.Account, a.config.Settings["LIFEBOAT_PLAN"]
	who := "editor-" + uuid.NewString()
	id, scope := world.Sim.ObjectID(who), stack.Account(account)
	folder := t.TempDir()
	file := filepath.Join(folder, "plan.yaml")
	env := append(world.Environment(who), "LIFEBOAT_PLAN="+location)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	says := func(want int, words string, args ...string) string {
		t.Helper()
		code, out, errs := commandIn(ctx, t, env, "", args...)
		if code != want || !strings.Contains(out+errs, words) {
			t.Fatalf("lifeboat %s: %d\n%s%s\nwant %d and %q", strings.Join(args, " "), code, out, errs, want, words)
		}
		return out + errs
	}
	there := func(want, when string) {
		t.Helper()
		answer, err := a.blobs.DownloadStream(ctx, "plans", "plan.yaml", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		var b strings.Builder
		if _, err := io.Copy(&b, answer.Body); err != nil {
			t.Fatal(err)
		}
		if b.String() != want {
			t.Errorf("%s: the blob is\n%s\nwant\n%s", when, &b, want)
		}
	}
	uploads := func() (n int) {
		for _, c := range world.Sim.Calls() {
			if c.ObjectID == id && c.Method == http.MethodPut {
				n++
			}
		}
		return n
	}

	// No role: the command that gives it, to this person, at the container.
	write(two)
	refusal := says(1, "az role assignment create --assignee "+id+` --role "Storage Blob Data Contributor"`, "plan", "push", "--yes", file)
	if !strings.Contains(refusal, "az storage account show -n "+account+" --query id -o tsv)/blobServices/default/containers/plans\"") {
		t.Error(refusal)
	}
	says(1, `--role "Storage Blob Data Reader"`, "plan", "pull")
	world.Sim.Assign(id, scope, fakeazure.StorageBlobDataReader)
	if out := says(1, "AuthorizationPermissionMismatch", "plan", "push", "--yes", file); !strings.Contains(out, "Nothing was written") {
		t.Error(out)
	}
	world.Sim.Assign(id, scope, fakeazure.StorageBlobDataContributor)
	there(one, "without the role")

	// No terminal: nothing is asked, not even of Azure.
	before := uploads()
	says(2, "there is no terminal to ask at: say --yes", "plan", "push", file)

	// A broken plan is refused with its line.
	write(strings.Replace(two, "schedule:", "shedule:", 1))
	says(1, file+":6: ", "plan", "push", "--yes", file)
	if uploads() != before {
		t.Error("something was written")
	}
	there(one, "after refusals")

	// The good one: what changes, and the app takes it.
	write(two)
	out := says(0, "written to "+location, "plan", "push", "--yes", file)
	if !strings.Contains(out, "~ plan test: + target "+stack.Service(n[1])) {
		t.Errorf("no change in\n%s", out)
	}
	there(two, "after the push")
	if _, err := a.backup(ctx, n[1], "pushed"); err != nil {
		t.Error(err)
	}

	// The same text is not written, and a comment is.
	before = uploads()
	says(0, "the same text is at "+location+": nothing was written", "plan", "push", file, "--yes")
	if uploads() != before {
		t.Error("the same text was written")
	}
	write("# note\n" + two)
	says(0, "nothing changes\nwritten to ", "plan", "push", file, "--yes")

	// Another person is faster.
	var raced bool
	intercept(t, id, func(e fakeazure.Exchange) fakeazure.Decision {
		if e.Phase == fakeazure.Before && e.Method == http.MethodPut && !raced {
			raced = true
			a.place(one)
		}
		return fakeazure.Pass
	})
	write(three)
	says(1, "another sign-in has changed it since; nothing was written", "plan", "push", file, "--yes")
	there(one, "after a lost race")

	// The answer of the upload is lost, behind it and before it.
	lose := func(phase fakeazure.Phase) {
		lost := false
		hooks.Store(id, func(e fakeazure.Exchange) fakeazure.Decision {
			if e.Phase == phase && e.Method == http.MethodPut && !lost {
				lost = true
				return fakeazure.Drop
			}
			return fakeazure.Pass
		})
	}
	lose(fakeazure.After)
	if out := says(0, "and the new text is there", "plan", "push", file, "--yes"); !strings.Contains(out, "written to "+location) {
		t.Error(out)
	}
	there(three, "after a lost answer")
	write(two)
	lose(fakeazure.Before)
	says(1, "the text there is still the one before: push it again", "plan", "push", file, "--yes")
	there(three, "after a lost upload")
	// A server gave up, and had written.
	hooks.Store(id, func(e fakeazure.Exchange) fakeazure.Decision {
		if e.Phase == fakeazure.After && e.Method == http.MethodPut {
			return fakeazure.Answer(http.StatusInternalServerError, nil, nil)
		}
		return fakeazure.Pass
	})
	says(0, "and the new text is there", "plan", "push", file, "--yes")
	there(two, "after a 500")
	// The account's firewall.
	hooks.Store(id, func(e fakeazure.Exchange) fakeazure.Decision {
		if e.Phase == fakeazure.Before && strings.Contains(e.Host, ".blob.") {
			return fakeazure.Answer(http.StatusForbidden, http.Header{"X-Ms-Error-Code": {"AuthorizationFailure"}}, nil)
		}
		return fakeazure.Pass
	})
	says(1, "its firewall does not admit this machine", "plan", "pull")
	hooks.Store(id, func(fakeazure.Exchange) fakeazure.Decision { return fakeazure.Pass })

	// A text there that is no plan any more, no blob at all, and no container.
	a.place("plans: what?\n")
	write(three)
	if out := says(0, "the text there is no good plan.yaml", "plan", "push", file, "--yes"); !strings.Contains(out, "+ plan test is new") {
		t.Error(out)
	}
	fresh := strings.Replace(location, "plan.yaml", "fresh.yaml", 1)
	says(1, "there is no plan.yaml yet at "+fresh, "plan", "pull", "--from", fresh)
	says(0, "there is no plan.yaml yet at "+fresh, "plan", "push", file, "--yes", "--to", fresh)
	says(1, "az storage container create --auth-mode login --account-name "+account+" -n nowhere",
		"plan", "push", file, "--yes", "--to", strings.Replace(location, "/plans/", "/nowhere/", 1))

	// Pull writes over no other text.
	copied := filepath.Join(folder, "copy.yaml")
	if out := says(0, "", "plan", "pull"); out != three {
		t.Errorf("pulled\n%s", out)
	}
	says(0, "written", "plan", "pull", "-o", copied)
	says(0, "the same text already", "plan", "pull", "-o", copied)
	if err := errors.Join(os.WriteFile(copied, []byte("mine"), 0o600), os.Chmod(copied, 0o640)); err != nil {
		t.Fatal(err)
	}
	says(1, "has another text, and was left alone", "plan", "pull", "-o", copied)
	if text, err := os.ReadFile(copied); err != nil || string(text) != "mine" {
		t.Errorf("%q, %v", text, err)
	}
	says(0, "written", "plan", "pull", "-o", copied, "--force")
	text, err := os.ReadFile(copied)
	info, statErr := os.Stat(copied)
	if err != nil || statErr != nil || string(text) != three || info.Mode().Perm() != 0o640 {
		t.Errorf("%q, %v, %v, %v", text, err, info, statErr)
	}
	if files, err := filepath.Glob(filepath.Join(folder, ".*")); err != nil || len(files) > 0 {
		t.Errorf("%v, %v", files, err)
	}
	for _, c := range world.Sim.Calls() {
		if c.ObjectID == id && !strings.Contains(c.Host, ".blob.") {
			t.Errorf("it asked %s %s%s", c.Method, c.Host, c.Path)
		}
	}
}
