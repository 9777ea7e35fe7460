package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// write makes a folder of files with these modes, written at the time.
func write(t *testing.T, written time.Time, modes map[string]os.FileMode) string {
	t.Helper()
	folder := t.TempDir()
	for name, mode := range modes {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.Chmod(path, mode), os.Chtimes(path, written, written)); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// packed returns the zip of the folder.
func packed(t *testing.T, folder string) []byte {
	t.Helper()
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

// TestPack checks that the same files give the same bytes, at any time of writing and with any bits: a checkout on Windows has no
// executable file, and a mounted drive has nothing else.
func TestPack(t *testing.T) {
	trees := []map[string]os.FileMode{
		{"lifeboat": 0o755, "host.json": 0o600, "execute/function.json": 0o644, "execute/lifeboat": 0o644},
		{"lifeboat": 0o644, "host.json": 0o644, "execute/function.json": 0o644, "execute/lifeboat": 0o644},
		{"lifeboat": 0o777, "host.json": 0o777, "execute/function.json": 0o777, "execute/lifeboat": 0o777},
	}
	first := packed(t, write(t, time.Unix(1_000_000_000, 0), trees[0]))
	for i, tree := range trees {
		if !bytes.Equal(first, packed(t, write(t, time.Unix(2_000_000_000, 0), tree))) {
			t.Errorf("the same files gave two different zips: tree %d", i)
		}
	}
	z, err := zip.NewReader(bytes.NewReader(first), int64(len(first)))
	if err != nil {
		t.Fatal(err)
	}
	modes := map[string]os.FileMode{}
	for _, f := range z.File {
		modes[f.Name] = f.Mode()
	}
	want := map[string]os.FileMode{"execute/function.json": 0o644, "execute/lifeboat": 0o644, "host.json": 0o644, "lifeboat": 0o755}
	if !maps.Equal(modes, want) {
		t.Errorf("the zip has %v, want %v", modes, want)
	}
	if err := pack(filepath.Join(t.TempDir(), "nothing"), filepath.Join(t.TempDir(), "app.zip")); err == nil {
		t.Error("a folder that is not there was packed")
	}
}

// TestProgram checks that the file which the host starts is the executable one.
func TestProgram(t *testing.T) {
	text, err := os.ReadFile("../../../host.json")
	if err != nil {
		t.Fatal(err)
	}
	var host struct {
		CustomHandler struct {
			Description struct{ DefaultExecutablePath string }
		}
	}
	if err := json.Unmarshal(text, &host); err != nil {
		t.Fatal(err)
	}
	if started := host.CustomHandler.Description.DefaultExecutablePath; started != program {
		t.Errorf("the host starts %q, and the zip has %q executable", started, program)
	}
}
