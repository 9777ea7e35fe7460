package azure

import (
	"encoding/base64"
	"net/url"
	"strings"

	"lifeboat/internal/backup"
)

// Secret is what must not be kept, such as an account key on its way from Resource Manager into a request's body. It
// prints as nothing.
type Secret struct{ texts []string }

// NewSecret makes a Secret of a text, and of others that give it away.
func NewSecret(text string, others ...string) Secret {
	return Secret{append([]string{text}, others...)}
}

// Reveal is the text, "" of the zero value.
func (s Secret) Reveal() string {
	if len(s.texts) == 0 {
		return ""
	}
	return s.texts[0]
}

// String keeps the secret out of whatever is printed.
func (Secret) String() string { return "(secret)" }

// Strip takes the secret, in the forms that an answer might repeat it in, out of the fault.
func (s Secret) Strip(f *backup.Fault) *backup.Fault {
	for _, text := range s.texts {
		if text == "" {
			continue
		}
		for _, form := range []string{text, url.QueryEscape(text), base64.StdEncoding.EncodeToString([]byte(text))} {
			f.Message = strings.ReplaceAll(f.Message, form, s.String())
			f.Said = strings.ReplaceAll(f.Said, form, s.String())
			f.Hint = strings.ReplaceAll(f.Hint, form, s.String())
		}
	}
	return f
}
