package request_test

import (
	"reflect"
	"strings"
	"testing"

	"lifeboat/internal/request"
)

// TestFingerprintOfABackup: a fingerprint is the same as in claims that are years old. If these changed, each repeated request
// would be refused as another one.
func TestFingerprintOfABackup(t *testing.T) {
	const target = "/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/G/providers/Microsoft.ApiManagement/service/contoso"
	least := request.Backup{ID: "i", Target: target}
	full := request.Backup{ID: "i", Target: target, Plan: "p", RequestedBy: "b", Reason: "w", ReplyTo: "q"}
	for field, value := range reflect.ValueOf(full).Fields() {
		if value.IsZero() {
			t.Errorf("the full request lacks %s", field.Name)
		}
	}
	for want, q := range map[string]request.Backup{"7ce793da0e222fc3a524ed7cf7e76a71": least, "5caea389f13b256e6f7946a939516fd1": full} {
		if got := q.Fingerprint(); got != want {
			t.Errorf("%+v: %s, want %s", q, got, want)
		}
	}
	other := least
	if other.Target = strings.ToUpper(target); other.Fingerprint() != least.Fingerprint() {
		t.Error("another spelling is another request")
	}
}

// TestTheIDsOfChangesAreNotForRequests: under such an ID a request would keep the backup of a change from being made.
func TestTheIDsOfChangesAreNotForRequests(t *testing.T) {
	_, err := request.ParseBackup([]byte(`{"id":"onChange.p","plan":"p"}`), "")
	if err == nil || !strings.Contains(err.Error(), "take another one") {
		t.Errorf("the error is %v", err)
	}
}
