package ledger

import (
	"cmp"
	"os"

	"github.com/spf13/cobra"

	"lifeboat/internal/cli/usage"
	"lifeboat/internal/services/ledger"
	"lifeboat/internal/services/ledger/ccf"
)

// pinned is the identity that a ledger should have: the SHA-256 of the key, as given or of the certificate in a file.
func pinned(c *cobra.Command, value string) (string, error) {
	if !c.Flags().Changed("service-certificate") {
		return "", nil
	}
	id, err := ledger.Pin(value)
	if err != nil {
		content, unreadable := os.ReadFile(value)
		if unreadable != nil {
			return "", usage.Misuse(c, "--service-certificate is no SHA-256 in 64 hexadecimal digits, and no file: %v", unreadable)
		}
		id, err = ledger.Pin(string(content))
	}
	if err != nil || id == "" {
		return "", usage.Misuse(c, "--service-certificate is neither a file with one certificate in PEM nor the SHA-256 of a public key, in 64 hexadecimal digits")
	}
	return id, nil
}

// otherService is the error of a ledger of another service.
func otherService(is, want string) ccf.Finding {
	return ccf.Finding{Code: ledger.ServiceIdentityDiffers, Text: "the identity is " + cmp.Or(is, "not known") + ", and should be " + want}
}
