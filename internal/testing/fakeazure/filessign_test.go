package fakeazure_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strings"
	"time"
)

// signAccountSAS signs an account SAS by Microsoft's text, for services that azfile does not sign for.
func signAccountSAS(services, types, permissions string, expiry time.Time) string {
	end := expiry.UTC().Format("2006-01-02T15:04:05Z")
	const version = "2018-11-09" // before encryption scopes
	text := strings.Join([]string{accountName, permissions, services, types, "", end, "", "https", version, ""}, "\n")
	key, _ := base64.StdEncoding.DecodeString(accountKey)
	code := hmac.New(sha256.New, key)
	code.Write([]byte(text))
	q := url.Values{}
	for name, value := range map[string]string{
		"sv": version, "ss": services, "srt": types, "sp": permissions, "se": end, "spr": "https",
		"sig": base64.StdEncoding.EncodeToString(code.Sum(nil)),
	} {
		q.Set(name, value)
	}
	return q.Encode()
}
