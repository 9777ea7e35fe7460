// Package figures is where tests tell the numbers that documents quote: "make test" prints them all at its end.
package figures

import (
	"fmt"
	"os"
	"testing"
)

// Report logs the line, and adds it to the file that the variable LIFEBOAT_FIGURES names, if it names one.
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
