package fakehost

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"strings"
	"sync"
)

// keys are the access keys. The host makes them when it starts. Azure keeps them in the blob container azure-webjobs-secrets.
type keys struct {
	master, host string

	mu        *sync.Mutex
	functions map[string]string
}

func newKeys() keys {
	return keys{master: newKey(), host: newKey(), mu: &sync.Mutex{}, functions: map[string]string{}}
}

func (k keys) function(name string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	name = strings.ToLower(name)
	if k.functions[name] == "" {
		k.functions[name] = newKey()
	}
	return k.functions[name]
}

func newKey() string {
	secret := make([]byte, 40)
	_, _ = rand.Read(secret) // never fails
	return base64.RawURLEncoding.EncodeToString(secret)
}

// admit checks a request's key against the function's authLevel.
func (k keys) admit(r *http.Request, f *function) bool {
	key := presented(r)
	switch f.trigger.AuthLevel {
	case authAnonymous:
		return true
	case authFunction:
		return equal(key, k.function(f.name)) || equal(key, k.host) || equal(key, k.master)
	default:
		return equal(key, k.master)
	}
}

// presented returns the key of a request: the header wins over the query, even if it is wrong.
func presented(r *http.Request) string {
	if key := r.Header.Get("x-functions-key"); key != "" {
		return key
	}
	return r.URL.Query().Get("code")
}

func equal(key, want string) bool { return subtle.ConstantTimeCompare([]byte(key), []byte(want)) == 1 }
