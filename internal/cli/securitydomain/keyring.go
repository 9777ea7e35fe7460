package securitydomain

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"

	"lifeboat/internal/services/managedhsm/securitydomain"
)

// maxPasswords bounds the work of trying each password on each key.
const maxPasswords = 20

// keyring has the keys that were read, and clears them and their passwords.
type keyring struct {
	sh        Shell
	passwords [][]byte
	buffers   [][]byte // the memory of the passwords
	keys      []securitydomain.Key
	exposed   []string // files that others may read
}

func (k *keyring) clear() {
	for i := range k.keys {
		k.keys[i].Clear()
		clear(k.keys[i].Beside)
	}
	for _, buffer := range k.buffers {
		clear(buffer)
	}
}

// readPasswords reads the lines of a file.
func (k *keyring) readPasswords(path string) error {
	if path == "" {
		return nil
	}
	content, mode, err := read(path, passwordFile)
	if err != nil {
		return fmt.Errorf("read the passwords: %w", err)
	}
	k.buffers = append(k.buffers, content)
	k.expose(path, mode)
	for line := range bytes.Lines(content) {
		line = bytes.TrimRight(line, "\r\n")
		if len(line) > 0 {
			k.passwords = append(k.passwords, line)
		}
	}
	if len(k.passwords) == 0 || len(k.passwords) > maxPasswords {
		return fmt.Errorf("%s has %d passwords, and 1 to %d are read", path, len(k.passwords), maxPasswords)
	}
	return nil
}

// expose notes a file that others may read. Windows has no such modes.
func (k *keyring) expose(path string, mode fs.FileMode) {
	if mode.IsRegular() && mode.Perm()&0o044 != 0 && runtime.GOOS != "windows" {
		k.exposed = append(k.exposed, path)
	}
}

// add reads a key. An unreadable key is a finding of the check: there is an error only if the person gives up.
func (k *keyring) add(ctx context.Context, path string) error {
	key := securitydomain.Key{Name: path}
	content, mode, err := read(path, keyFile)
	if err == nil {
		key.Private, err = securitydomain.ReadKey(content, k.passwords)
	}
	key.Err = err
	var stopped error
	if errors.Is(err, securitydomain.ErrPasswordMissing) || errors.Is(err, securitydomain.ErrPasswordWrong) {
		stopped = k.ask(ctx, &key, content)
	}
	clear(content)
	if key.Private != nil {
		k.expose(path, mode)
	}
	if beside, _, err := read(securitydomain.AzureCertificate(path), certificateFile); err == nil {
		key.Beside = beside
	}
	k.keys = append(k.keys, key)
	return stopped
}

// ask asks for the password of a key, if a person is there.
func (k *keyring) ask(ctx context.Context, key *securitydomain.Key, content []byte) error {
	password, err := k.sh.Password(ctx, "password of "+key.Name+": ")
	if err != nil || password == nil {
		return err
	}
	k.buffers = append(k.buffers, password)
	key.Private, key.Err = securitydomain.ReadKey(content, [][]byte{password})
	return nil
}

// kind is a kind of files: the size of the largest one that is read, and the words about a larger one.
type kind struct {
	most  int
	about string
}

var (
	domainFile      = kind{securitydomain.MaxSize, "a security domain of ten holders has about 25,000"}
	keyFile         = kind{securitydomain.MaxKeySize, "it is no key"}
	passwordFile    = kind{securitydomain.MaxKeySize, "it is no file of passwords"}
	certificateFile = kind{securitydomain.MaxKeySize, "it is no certificate"}
	attestationFile = kind{securitydomain.MaxSize, "it is no attestation of a key"}
)

// read reads a file of a kind, into memory that the caller clears.
func read(path string, k kind) ([]byte, fs.FileMode, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, 0, err
	}
	if info.IsDir() {
		return nil, 0, fmt.Errorf("%s is a folder", path)
	}
	if info.Size() > int64(k.most) {
		return nil, info.Mode(), k.tooLarge(info.Size())
	}
	content := make([]byte, k.most+1)
	n, err := io.ReadFull(file, content)
	switch {
	case err == nil:
		clear(content)
		return nil, info.Mode(), k.tooLarge(int64(n))
	case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		clear(content)
		return nil, info.Mode(), err
	}
	return content[:n], info.Mode(), nil
}

func (k kind) tooLarge(size int64) error {
	return fmt.Errorf("it has %d bytes, and at most %d are read: %s", size, k.most, k.about)
}

// refused is the report about a file that is no security domain.
func refused(name string, content []byte, why error) securitydomain.Report {
	sum := ""
	if content != nil {
		digest := sha256.Sum256(content)
		sum = hex.EncodeToString(digest[:])
	}
	return securitydomain.Refused(name, sum, len(content), why)
}

// there tells whether anything has that name.
func there(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// create writes a new file: all of it, or none.
func create(path string, content []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("write the statement: %w", err)
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("write the statement: %w", errors.Join(err, os.Remove(path)))
	}
	return nil
}

// certificates reads the certificates of holders.
func certificates(paths []string) (all []*x509.Certificate, err error) {
	for _, path := range paths {
		content, _, err := read(path, certificateFile)
		if err != nil {
			return nil, fmt.Errorf("read a certificate: %w", err)
		}
		found, _, err := securitydomain.Certificates(content)
		if err == nil && len(found) == 0 {
			err = errors.New("it has no certificate")
		}
		clear(content) // it may have a key too
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, found...)
	}
	return all, nil
}

// attestation reads the attestation of a key, if there is one.
func attestation(path string) ([]*x509.Certificate, error) {
	if path == "" {
		return nil, nil
	}
	content, _, err := read(path, attestationFile)
	if err != nil {
		return nil, fmt.Errorf("read the attestation: %w", err)
	}
	found, err := securitydomain.Attestation(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return found, nil
}
