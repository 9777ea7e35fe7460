package main

import (
	"bytes"
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write the golden file")

// TestNights compares the month of nights with a golden file: its clock is its own.
func TestNights(t *testing.T) {
	var out bytes.Buffer
	if err := nights(t.Context(), &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	const path = "testdata/nights.txt"
	if *update {
		if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(want, out.Bytes()) {
		t.Errorf("%v, the month is\n%s", err, &out)
	}
}
