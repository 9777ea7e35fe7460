package azure

import (
	"encoding/base64"
	"net/url"
	"strings"

	"lifeboat/internal/backup"
)

// Secret is a text that must not be kept, such as an account key on its way from Resource Manager into a request's body. It
// prints as nothing.
type Secret struct{ texts []string }

// NewSecret makes a Secret of a text, and of other texts that reveal it.
func NewSecret(text string, others ...string) Secret {
	return Secret{append([]string{text}, others...)}
}

// Reveal returns the text, "" for the zero value.
func (s Secret) Reveal() string {
	if len(s.texts) == 0 {
		return ""
	}
	return s.texts[0]
}

// String keeps the secret out of printed texts.
func (Secret) String() string { return "(secret)" }

// Strip removes the secret from the fault, in each form in which a response might repeat it.
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

// StripFrom removes the secret from an error; err may be nil.
func (s Secret) StripFrom(err error) error {
	if err == nil {
		return nil
	}
	return s.Strip(backup.AsFault(err))
}
