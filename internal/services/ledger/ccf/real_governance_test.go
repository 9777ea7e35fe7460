//go:build ledgers

package ccf

import (
	"os"
	"testing"
)

// compareGovernance expects that each message of a member is signed by it.
func compareGovernance(t *testing.T, folder string, messages int) {
	t.Helper()
	source, err := Folder(os.DirFS(folder))
	if err != nil {
		t.Fatal(err)
	}
	v, err := New(source, Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	g := NewGovernance()
	v.Watch(Watcher{Seen: func(tx *Transaction) {
		if err := g.Take(tx); err != nil {
			t.Error(err)
		}
	}})
	if done, err := v.Run(t.Context(), func() bool { return false }); !done || err != nil {
		t.Fatal(done, err)
	}
	valid := 0
	for _, e := range g.Events {
		t.Logf("%+v", e)
		switch e.Signature {
		case Wrong:
			t.Errorf("%+v", e)
		case Valid:
			if e.Kind != AckEvent {
				valid++
			}
		}
	}
	if valid != messages {
		t.Errorf("%d messages are valid, not %d", valid, messages)
	}
}
