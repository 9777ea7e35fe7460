package cli_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"lifeboat/internal/cli"
	"lifeboat/internal/config"
)

// TestAFullDiskIsNoSuccess: a command that could not write its answer says so, and ends with 1.
func TestAFullDiskIsNoSuccess(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	for _, args := range [][]string{{"help"}, {"help", "restore"}, {"restore", "--help"}, {"--version"}, {"version"}, {"completion", "bash"}} {
		var errs bytes.Buffer
		code := cli.Run(t.Context(), args, cli.Shell{
			Getenv: func(string) string { return "" }, Stdin: strings.NewReader(""), Stdout: full, Stderr: &errs, Plans: &config.Reader{},
		})
		if code != 1 || !strings.Contains(errs.String(), "no space left") {
			t.Errorf("%q: exit code %d, %q", args, code, errs.String())
		}
	}
}
