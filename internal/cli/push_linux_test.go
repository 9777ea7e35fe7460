package cli_test

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"lifeboat/internal/cli"
	"lifeboat/internal/config"
)

// TestAPushAsks checks that a push on a terminal shows the changes first, and writes only after a yes, over the text that was shown.
func TestAPushAsks(t *testing.T) {
	t.Parallel()
	const location = "https://contoso.blob.core.windows.net/plans/plan.yaml"
	for typed, want := range map[string]struct {
		code int
		says string
	}{
		"yes\n": {0, "written to " + location}, " YES \n": {0, "written to " + location},
		"\n": {1, "that is not yes: nothing was written"}, "y\n": {1, "that is not yes: nothing was written"},
	} {
		t.Run(strings.TrimSpace(typed), func(t *testing.T) {
			t.Parallel()
			paths := edit(t, []string{`schedule: "30 2 * * *"`}, []string{`schedule: "0 10 * * *"`})
			before, err := os.ReadFile(paths[0])
			if err != nil {
				t.Fatal(err)
			}
			terminal := newConsole(t, 120)
			written := ""
			w := &wired{rules: []wireRule{
				{"GET contoso.blob. /plans/plan.yaml", blobOf(string(before)), 0},
				{"PUT contoso.blob. /plans/plan.yaml", func(r *http.Request) (*http.Response, error) {
					for name, values := range r.Header { // the SDK writes it in its own case
						if strings.EqualFold(name, "If-Match") {
							written = strings.Join(values, "")
						}
					}
					return status(201, "", `Etag: "0x8DC0FFEF"`)(r)
				}, 0},
			}}
			sh := cli.Shell{
				Getenv: func(string) string { return "" }, Stdin: terminal.File, Stdout: terminal.File, Stderr: terminal.File, Now: now, Plans: reader,
				PlanBlob: func(_ func(string) string, location string) (*config.PlanBlob, error) {
					return config.NewPlanBlob(location, anyToken{}, azcore.ClientOptions{Transport: w})
				},
			}
			code := make(chan int)
			go func() { code <- cli.Run(t.Context(), []string{"plan", "push", paths[1], "--to", location}, sh) }()
			terminal.wait(t, "Type yes to write it to "+location+": ", 1)
			if !strings.Contains(terminal.text(), "~ plan nightly: schedule ") || written != "" {
				t.Errorf("%q, and asked behind\n%s", written, terminal.text())
			}
			if _, err := io.WriteString(terminal.person, typed); err != nil {
				t.Fatal(err)
			}
			if got := <-code; got != want.code || (want.code == 0) != (written == `"0x8DC0FFEE"`) {
				t.Errorf("%d, %q\n%s", got, written, terminal.text())
			}
			terminal.wait(t, want.says, 1)
		})
	}
}
