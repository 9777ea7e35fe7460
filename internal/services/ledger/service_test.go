package ledger

import (
	"strings"
	"testing"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/fakeazure/ccfwriter"
)

// TestAnUnreadableBlockIsRefused checks that Lifeboat asks Azure nothing under an unintended api-version.
func TestAnUnreadableBlockIsRefused(t *testing.T) {
	for _, blocks := range []backup.Blocks{`{"ccf":7}`, `{`} {
		_, err := parse("/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rg/providers/Microsoft.ConfidentialLedger/managedCCFs/c", blocks)
		if f := backup.AsFault(err); f == nil || f.Kind != backup.Refused || f.Code != "InvalidSettings" {
			t.Errorf("%s: %v", blocks, err)
		}
		if s := ConfidentialLedger(); !s.CopyOnly(blocks) {
			t.Errorf("%s: a ledger's export is called a backup", blocks)
		}
	}
}

// TestPin takes an identity as one certificate, or as the hash of a key.
func TestPin(t *testing.T) {
	l := ccfwriter.New(ccfwriter.V6, 1)
	for text, want := range map[string]string{
		"": "", l.Certificate(): l.Service(), "\n" + l.Certificate() + "\n": l.Service(), strings.ToUpper(l.Service()): l.Service(),
	} {
		if got, err := Pin(text); err != nil || got != want {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"abc", l.Service()[2:], l.Certificate() + l.Certificate(), strings.ReplaceAll(l.Certificate(), "CERTIFICATE", "PUBLIC KEY"),
		"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
	} {
		if got, err := Pin(text); err == nil {
			t.Errorf("%q is taken as %s", text, got)
		}
	}
	for _, s := range []backup.Service{ManagedCCF().Service, ConfidentialLedger().Service} {
		if member, err := s.Block.Check(`{"ccf":{"serviceCertificate":"abc"}}`, backup.Resource{}); err == nil || member != "serviceCertificate" {
			t.Errorf("%s: %s, %v", s.Title, member, err)
		}
	}
}
