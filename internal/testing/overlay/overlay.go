// Package overlay has Go build a package with another text in place of one of its files.
package overlay

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
)

// Write writes files into the folder that make "go" read the text instead of the file, and returns the value of its -overlay.
func Write(dir, file string, text []byte) (string, error) {
	broken, path := filepath.Join(dir, filepath.Base(file)), filepath.Join(dir, "overlay.json")
	original, err := filepath.Abs(file)
	if err != nil {
		return "", err
	}
	instead, err := json.Marshal(map[string]map[string]string{"Replace": {original: broken}})
	if err != nil {
		return "", err
	}
	return path, errors.Join(os.WriteFile(broken, text, 0o600), os.WriteFile(path, instead, 0o600))
}
