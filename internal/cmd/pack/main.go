// Command pack makes the zip for a deployment: the same files give the same bytes, on any machine.
//
//	pack FOLDER FILE.zip
package main

import (
	"archive/zip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: pack FOLDER FILE.zip")
		os.Exit(2)
	}
	if err := pack(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// stamp is the time of every file: the earliest time in a zip.
var stamp = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// program is the one file that the host starts, as host.json has it.
const program = "lifeboat"

// pack writes the folder's files in the order of their names. The program is executable, and nothing else is, whatever the folder
// says: Windows has no such bit, a mounted drive sets it on every file, and on most plans the platform does not set it itself
// (azure-functions-host issue 6160).
func pack(folder, file string) (err error) {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() {
		if e := out.Close(); err == nil {
			err = e
		}
	}()
	z := zip.NewWriter(out)
	err = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error { // in lexical order
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		header := &zip.FileHeader{Name: filepath.ToSlash(name), Method: zip.Deflate, Modified: stamp}
		header.SetMode(0o644)
		if name == program {
			header.SetMode(0o755)
		}
		w, err := z.CreateHeader(header)
		if err != nil {
			return err
		}
		in, err := os.Open(path)
		if err != nil {
			return err
		}
		defer in.Close()
		_, err = io.Copy(w, in)
		return err
	})
	if err != nil {
		return fmt.Errorf("pack %s: %w", folder, err)
	}
	return z.Close()
}
