package azurite

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// oldestNode is the oldest major version of Node.js that Azurite 3.37.0 was seen to work with. Its package asks
// for 22, which npm reports as a warning; on 20 it passed the same checks (recorded 2026-11).
const oldestNode = 20

var (
	//go:embed package.json
	packageJSON []byte
	//go:embed package-lock.json
	packageLock []byte
)

// install returns the path of Azurite's start script, and installs it first if this machine does not have it. The folder is
// named after the lock file's hash, so another pin is another folder and a finished one never changes.
func install(ctx context.Context, progress func(string)) (string, error) {
	if err := checkNode(ctx); err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache directory: %w", err)
	}
	sum := sha256.Sum256(packageLock)
	dir := filepath.Join(cache, "lifeboat", "azurite-"+hex.EncodeToString(sum[:])[:12])
	program := filepath.Join(dir, "node_modules", "azurite", "dist", "src", "azurite.js")
	if exists(program) {
		return program, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", fmt.Errorf("make the cache directory: %w", err)
	}
	held, err := lock(ctx, dir+".lock", func() { progress("waiting for another process that installs Azurite…") })
	if err != nil {
		return "", fmt.Errorf("lock the installation of Azurite: %w", err)
	}
	defer held.Close()
	if exists(program) { // another process installed it while this one waited
		return program, nil
	}
	progress("installing Azurite " + version() + " (first use, about half a minute)…")
	if err := installInto(ctx, dir); err != nil {
		return "", fmt.Errorf("install Azurite %s: %w", version(), err)
	}
	if !exists(program) {
		return "", fmt.Errorf("install Azurite %s: npm reported success but %s is missing", version(), program)
	}
	progress("Azurite " + version() + " is installed")
	return program, nil
}

// installInto fills a folder beside dir and renames it, so dir is whole or absent. Calls must hold the lock.
func installInto(ctx context.Context, dir string) error {
	partial := dir + ".partial"
	if err := os.RemoveAll(partial); err != nil { // an interrupted installation
		return fmt.Errorf("clear %s: %w", partial, err)
	}
	if err := os.Mkdir(partial, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(partial)
	for name, content := range map[string][]byte{"package.json": packageJSON, "package-lock.json": packageLock} {
		if err := os.WriteFile(filepath.Join(partial, name), content, 0o644); err != nil {
			return err
		}
	}
	npm := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev")
	npm.Dir = partial
	if output, err := npm.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w: %s", err, strings.TrimSpace(string(output)))
	}
	return os.Rename(partial, dir)
}

// checkNode returns a sentence about the missing program, so that npm or Azurite does not fail obscurely.
func checkNode(ctx context.Context) error {
	if _, err := exec.LookPath("npm"); err != nil {
		return fmt.Errorf("npm is not installed (Azurite needs Node.js %d or later with npm): %w", oldestNode, err)
	}
	output, err := exec.CommandContext(ctx, "node", "--version").Output()
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("node is not installed (Azurite needs Node.js %d or later): %w", oldestNode, err)
	}
	if err != nil {
		return fmt.Errorf("node --version: %w", err)
	}
	return checkNodeVersion(strings.TrimSpace(string(output)))
}

// checkNodeVersion checks a version in the form that node --version prints, such as v20.20.2.
func checkNodeVersion(version string) error {
	major, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	number, err := strconv.Atoi(major)
	if err != nil {
		return fmt.Errorf("node --version printed %q, which is no version", version)
	}
	if number < oldestNode {
		return fmt.Errorf("node %s is too old: Azurite needs Node.js %d or later", version, oldestNode)
	}
	return nil
}

// version returns the pinned version of Azurite.
func version() string {
	var manifest struct {
		Dependencies map[string]string `json:"dependencies"`
	}
	if err := json.Unmarshal(packageJSON, &manifest); err != nil {
		panic(fmt.Sprintf("embedded package.json: %v", err)) // a broken build
	}
	return manifest.Dependencies["azurite"]
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
