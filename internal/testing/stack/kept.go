package stack

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// kept has the secrets and addresses of a Stack, which it keeps beside storage and Azure's side.
type kept struct {
	// Accounts has the key of each storage account, Secret the text of which the hosts' keys are made.
	Accounts map[string]string
	Secret   string
	// Addresses has the address of each app's host.
	Addresses map[string]string

	file string // "" means that nothing is kept
}

// openKept reads the secrets of an earlier Stack of the folder, and makes the missing ones.
func openKept(c Config) (k kept, err error) {
	if c.Keep {
		k.file = filepath.Join(c.Dir, "kept.json")
		text, err := os.ReadFile(k.file)
		if err == nil {
			err = json.Unmarshal(text, &k)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return k, fmt.Errorf("what is kept in %s: %w", k.file, err)
		}
	}
	accounts := map[string]string{}
	for _, name := range append(slices.Clone(c.Accounts), Backups) {
		accounts[name] = secret(k.Accounts[name])
	}
	k.Accounts = accounts
	if !c.Keep {
		return k, nil
	}
	k.Secret = secret(k.Secret)
	if k.Addresses == nil {
		k.Addresses = map[string]string{}
	}
	return k, k.save()
}

// secret returns the old secret, or a new one if that is "": base64, as account keys are.
func secret(old string) string {
	if old != "" {
		return old
	}
	bytes := make([]byte, 64)
	_, _ = rand.Read(bytes) // never fails
	return base64.StdEncoding.EncodeToString(bytes)
}

// address returns the address that the app's host had, if it is free; otherwise "".
func (k kept) address(app string) string {
	address := k.Addresses[app]
	if address == "" {
		return ""
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return ""
	}
	_ = listener.Close()
	return address
}

// keys returns the text of which the keys of the app's host are made; "" means new keys.
func (k kept) keys(app string) string {
	if k.file == "" {
		return ""
	}
	return app + " " + k.Secret
}

// moved notes the address of the app's host.
func (k kept) moved(app, url string) error {
	if k.file == "" {
		return nil
	}
	k.Addresses[app] = strings.TrimPrefix(url, "http://")
	return k.save()
}

// save writes the file. A process that dies meanwhile leaves it as it was.
func (k kept) save() error {
	text, err := json.Marshal(k)
	if err != nil {
		return err
	}
	if err := os.WriteFile(k.file+"~", text, 0o600); err != nil {
		return err
	}
	return os.Rename(k.file+"~", k.file)
}
