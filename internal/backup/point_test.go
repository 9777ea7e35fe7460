package backup_test

import (
	"testing"
	"time"

	"lifeboat/internal/backup"
)

// TestAPointIsAsOldAsItsState: a change that was made while a backup was written may be missing, unless the service says otherwise.
func TestAPointIsAsOldAsItsState(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 11, 3, 2, minute, 0, 0, time.UTC) }
	lost := []backup.Window{{From: at(10), To: at(12)}, {From: at(20), To: at(22)}}
	for name, test := range map[string]struct {
		of       backup.Service
		progress backup.Progress
		asOf     time.Time
	}{
		"at its start":           {backup.Service{}, backup.Progress{Intent: at(30)}, at(30)},
		"after lost starts":      {backup.Service{}, backup.Progress{Intent: at(30), LostStarts: lost}, at(10)},
		"by a clock that is off": {backup.Service{}, backup.Progress{Intent: at(50)}, at(45)},
		"with no start known":    {backup.Service{}, backup.Progress{}, at(45)},
		"at its end":             {backup.Service{PointTime: backup.AtEnd}, backup.Progress{Intent: at(30)}, at(45)},
	} {
		p := backup.NewPoint(backup.Run{Progress: test.progress}, backup.Verification{Modified: at(45)}, test.of)
		if !p.AsOf.Equal(test.asOf) || !p.Created.Equal(at(45)) || p.Age(at(59)) != at(59).Sub(test.asOf) || p.Age(at(1)) != 0 {
			t.Errorf("%s: %+v, %s old", name, p, p.Age(at(59)))
		}
	}
	if old := (backup.Point{Created: at(45)}); old.Age(at(59)) != 14*time.Minute {
		t.Errorf("a point of an earlier version is %s old", old.Age(at(59)))
	}
}

// TestALocationOutlivesAMove: an artifact is the same one after its storage account was moved to another group or subscription, so
// that no second recovery point can name it. Another name, zone, container or artifact is another one.
func TestALocationOutlivesAMove(t *testing.T) {
	const (
		before = "/subscriptions/7a1c5b0e-3f44-4c2e-9d10-5e2b8f6a9c01/resourceGroups/before/providers/Microsoft.Storage/storageAccounts/"
		after  = "/subscriptions/7a1c5b0e-3f44-4c2e-9d10-5e2b8f6a9c02/resourceGroups/After/providers/microsoft.storage/storageaccounts/"
	)
	point := func(account, zone, container, artifact string) backup.Point {
		return backup.Point{
			ID: "0123456789abcdef-8234567890-0123456789ab", Artifact: artifact,
			Storage: backup.Storage{Account: account, Zone: zone, Container: container},
		}
	}
	claim := func(p backup.Point) backup.Key { return p.Insert(nil)[1].Key }
	is := point(before+"contoso", "", "c", "a")
	for name, c := range map[string]struct {
		point backup.Point
		same  bool
	}{
		"as it was":         {point(before+"contoso", "", "c", "a"), true},
		"moved":             {point(after+"contoso", "", "c", "a"), true},
		"moved, other case": {point(after+"Contoso", "", "c", "a"), true},
		"another account":   {point(before+"fabrikam", "", "c", "a"), false},
		"another zone":      {point(before+"contoso", "z1", "c", "a"), false},
		"another container": {point(before+"contoso", "", "d", "a"), false},
		"another artifact":  {point(before+"contoso", "", "c", "b"), false},
		"no account":        {point("contoso", "", "c", "a"), false},
	} {
		if (c.point.Location() == is.Location()) != c.same || (claim(c.point) == claim(is)) != c.same {
			t.Errorf("%s: %q and %q, %s", name, is.Location(), c.point.Location(), claim(c.point).Row)
		}
	}
}

// TestDoubtfulPoint: the point of a doubtful artifact is suspect, and the safety backup of a restore has a note instead.
func TestDoubtfulPoint(t *testing.T) {
	v := backup.Verification{Note: "One file.", Doubt: backup.Reason{Code: "Another", Message: "it is another one", Hint: "Look."}}
	p := backup.NewPoint(backup.Run{ID: "r"}, v, backup.Service{})
	if p.State != backup.Suspect || p.Suspicion.Code != "Another" || p.Suspicion.Hint != "Look. If it is right, accept it: lifeboat accept r" || p.Note != "One file." {
		t.Errorf("%+v", p)
	}
	p = backup.NewPoint(backup.Run{ID: "r", Restore: &backup.Restoring{}}, v, backup.Service{})
	if p.State != backup.Live || p.Suspicion.Code != "" || p.Note != "One file. it is another one" {
		t.Errorf("%+v", p)
	}
}
