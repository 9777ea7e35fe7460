package e2e

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
)

// secrets are values that the program receives and must not reveal.
type secrets []string

// in returns the secret in the text, and its form, "" if there is none: as it is, in JSON, in URLs, or in base64, also as a
// part of a longer text.
func (s secrets) in(text string) string {
	for _, secret := range s {
		quoted, _ := json.Marshal(secret) // a string can always be encoded
		for name, form := range map[string]string{
			"as it is": secret, "in JSON": strings.Trim(string(quoted), `"`), "in a URL": url.QueryEscape(secret),
			"in a path": url.PathEscape(secret),
		} {
			if strings.Contains(text, form) {
				return abbreviated(secret) + name
			}
			for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
				for ahead := range 3 {
					// The encoding of the bytes depends on the number of bytes before; the characters shared with neighbours do
					// not count.
					encoded := encoding.EncodeToString([]byte(strings.Repeat("-", ahead) + form))
					encoded = encoded[(ahead*8+5)/6 : len(encoded)-1]
					if strings.Contains(text, encoded) {
						return abbreviated(secret) + name + ", in base64"
					}
				}
			}
		}
	}
	return ""
}

// TestSecretsAreSeen: the check in other tests would fail.
func TestSecretsAreSeen(t *testing.T) {
	t.Parallel()
	known := secrets{"sp=r&sig=ab+c/d==ÿ<>", "bm90IGEgc2VjcmV0LCBvbmx5IGEgdGVzdCBrZXk="}
	for _, secret := range known {
		quoted, err := json.Marshal(secret)
		if err != nil {
			t.Fatal(err)
		}
		for _, form := range []string{secret, string(quoted), url.QueryEscape(secret), url.PathEscape(secret)} {
			for _, ahead := range []string{"", "a", "ab", `{"body":"`} {
				for _, behind := range []string{"", "c", "cd", `"}`} {
					text := ahead + form + behind
					for _, text := range []string{
						text, base64.StdEncoding.EncodeToString([]byte(text)), base64.URLEncoding.EncodeToString([]byte(text)),
					} {
						if known.in(text) == "" {
							t.Errorf("%q is not seen in %q", secret, text)
						}
					}
				}
			}
		}
	}
	for _, text := range []string{"", "sp=r", "bm90IGEgc2VjcmV0", strings.Repeat("x", 4096)} {
		if found := known.in(text); found != "" {
			t.Errorf("%s is seen in %q", found, text)
		}
	}
}

// abbreviated returns the beginning of a secret, for the report.
func abbreviated(secret string) string { return secret[:min(6, len(secret))] + "… " }
