package restore

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
)

// TestFingerprint: the same request in another spelling has the same fingerprint, and a fingerprint is the same as in claims that
// are years old. If these changed, each repeated request would be refused as another one.
func TestFingerprint(t *testing.T) {
	const target = "/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/G/providers/Microsoft.KeyVault/managedHSMs/h"
	least := Request{ID: "i", Target: target, Kind: backup.RestoreFull}
	full := Request{
		ID: "i", Target: target, Point: "p", Before: time.Unix(1, 0).UTC(), Into: target + "2", Kind: backup.RestoreKey, Key: "k", Region: "r",
		RequestedBy: "b", Reason: "w", ReplyTo: "q", Expires: time.Unix(2, 0).UTC(), DryRun: true, Preempt: true, NoSafety: true,
		Sent: time.Unix(3, 0).UTC(), // no part of the fingerprint
	}
	for field, value := range reflect.ValueOf(full).Fields() {
		if value.IsZero() {
			t.Errorf("the full request lacks %s", field.Name)
		}
	}
	older := full // all fields of earlier versions
	older.Preempt, older.NoSafety = false, false
	for want, q := range map[string]Request{
		"1dc041d3f6c7d9a0f974d56afc34d9e8": least,
		"a14d20607e74b5893a4f66816c9ff529": older,
		"d79680595557353ecf95fb46cb359009": full,
	} {
		if got := q.Fingerprint(); got != want {
			t.Errorf("%+v: %s, want %s", q, got, want)
		}
	}
	same := least
	same.Target, same.Into = strings.ToUpper(target), target
	if same.Fingerprint() != least.Fingerprint() {
		t.Error("another spelling is another request")
	}
	other := least
	other.Into = target + "2"
	if other.Fingerprint() == least.Fingerprint() {
		t.Error("another destination is the same request")
	}
}
