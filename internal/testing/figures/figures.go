// Package figures records the numbers from tests that documents quote: "make test" prints them all at its end.
package figures

import (
	"fmt"
	"os"
	"testing"
)

// Report logs the line, and appends it to the file in the variable LIFEBOAT_FIGURES, if it is set.
func Report(t testing.TB, format string, args ...any) {
	t.Helper()
	line := fmt.Sprintf(format, args...)
	t.Log(line)
	path := os.Getenv("LIFEBOAT_FIGURES")
	if path == "" {
		return
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Error(err)
		return
	}
	defer file.Close()
	if _, err := fmt.Fprintf(file, "%s: %s\n", t.Name(), line); err != nil {
		t.Error(err)
	}
}
