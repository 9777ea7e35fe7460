package e2e

import (
	"os"
	"strings"
	"testing"
)

// TestTheProgramNeverEndsWell: the host does not start a handler again that ended with 0, and its calls get no answer.
func TestTheProgramNeverEndsWell(t *testing.T) {
	t.Parallel()
	for env, says := range map[string]string{
		"":                                  "FUNCTIONS_CUSTOMHANDLER_PORT is not set",
		"FUNCTIONS_CUSTOMHANDLER_PORT=none": "listen on FUNCTIONS_CUSTOMHANDLER_PORT",
	} {
		code, out, errs := commandIn(t.Context(), t, []string{"PATH=" + os.Getenv("PATH"), env}, "")
		if code != 1 || !strings.Contains(out, says) || errs != "" {
			t.Errorf("%q: %d, %q, %q", env, code, out, errs)
		}
	}
}
