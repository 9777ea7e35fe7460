package fakehost

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"strings"
)

// keys are the access keys. The host makes them when it starts, all of one secret. Azure keeps them in the blob container azure-webjobs-secrets.
type keys struct{ master, host, secret string }

// newKeys makes keys of the secret; "" means a new one.
func newKeys(secret string) keys {
	if secret == "" {
		secret = newKey()
	}
	k := keys{secret: secret}
	k.master, k.host = k.derive("master"), k.derive("host")
	return k
}

func (k keys) function(name string) string { return k.derive("function " + strings.ToLower(name)) }

func (k keys) derive(of string) string {
	code := hmac.New(sha256.New, []byte(k.secret))
	code.Write([]byte(of))
	return base64.RawURLEncoding.EncodeToString(code.Sum(nil))
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
