package main

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestPack checks that the same files give the same bytes, at any time of writing, and keep their executable bit.
func TestPack(t *testing.T) {
	make1 := func(written time.Time) []byte {
		folder := t.TempDir()
		for name, mode := range map[string]os.FileMode{"lifeboat": 0o755, "host.json": 0o600, "execute/function.json": 0o644} {
			path := filepath.Join(folder, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(name), mode); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, written, written); err != nil {
				t.Fatal(err)
			}
		}
		file := filepath.Join(t.TempDir(), "app.zip")
		if err := pack(folder, file); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	first := make1(time.Unix(1_000_000_000, 0))
	if !bytes.Equal(first, make1(time.Unix(2_000_000_000, 0))) {
		t.Error("the same files gave two different zips")
	}
	z, err := zip.NewReader(bytes.NewReader(first), int64(len(first)))
	if err != nil {
		t.Fatal(err)
	}
	modes := map[string]os.FileMode{}
	for _, f := range z.File {
		modes[f.Name] = f.Mode()
	}
	want := map[string]os.FileMode{"execute/function.json": 0o644, "host.json": 0o644, "lifeboat": 0o755}
	for name, mode := range want {
		if modes[name] != mode {
			t.Errorf("%s has the mode %v, want %v", name, modes[name], mode)
		}
	}
	if len(modes) != len(want) {
		t.Errorf("the zip has %v", modes)
	}
	if err := pack(filepath.Join(t.TempDir(), "nothing"), filepath.Join(t.TempDir(), "app.zip")); err == nil {
		t.Error("a folder that is not there was packed")
	}
}
