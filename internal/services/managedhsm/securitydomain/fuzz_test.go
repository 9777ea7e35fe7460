package securitydomain_test

import (
	"bytes"
	"crypto/rsa"
	"errors"
	"runtime"
	"testing"

	"lifeboat/internal/services/managedhsm/securitydomain"
)

// bounded fails if reading n bytes takes more memory than they deserve.
func bounded(t *testing.T, n int, read func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	read()
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > uint64(16<<20+200*n) {
		t.Errorf("%d bytes took %d bytes of memory", n, used)
	}
}

// FuzzFile reads anything as a security domain, and tries a key on it.
func FuzzFile(f *testing.F) {
	d := domain()
	f.Add(d.File().JSON())
	f.Add([]byte(`{"value":"{}"}`))
	f.Add([]byte(`{"SharedKeys":{"enc_shares":[{}],"key_algorithm":"shamir_share","required":2},"EncData":{"data":[{}]}}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		bounded(t, len(content), func() {
			file, err := securitydomain.Parse(content)
			if err != nil {
				return
			}
			r := file.Check("f", keys(d.Holders[:2]...), securitydomain.Options{})
			if r.Outcome == securitydomain.Recoverable && r.Opened < 2 {
				t.Errorf("%d shares recover %s", r.Opened, content)
			}
		})
	})
}

// FuzzKey reads anything as a private key.
func FuzzKey(f *testing.F) {
	for _, form := range keyForms() {
		f.Add(form.content, []byte("password"))
	}
	f.Fuzz(func(t *testing.T, content, password []byte) {
		if len(content) > 4<<10 || bytes.Contains(content, []byte("ENCRYPTED PRIVATE KEY")) && len(content) > 2300 {
			return // a larger number takes longer, and nothing else
		}
		bounded(t, len(content), func() {
			key, err := securitydomain.ReadKey(content, [][]byte{password})
			if (key == nil) == (err == nil) || key != nil && (key.N.BitLen() < 2048 || (*rsa.PrivateKey).Validate(key) != nil) {
				t.Errorf("%v %v", key, err)
			}
			if errors.Is(err, securitydomain.ErrPasswordMissing) {
				t.Error("a password was given")
			}
			_, _, _ = securitydomain.Certificates(content)
			_, _ = securitydomain.Attestation(content)
		})
	})
}
