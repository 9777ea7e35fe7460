package restore_test

import (
	"testing"

	"lifeboat/internal/backup"
	"lifeboat/internal/restore"
)

// TestNoCallRestoresACopy: a dry run lists no request that the api-version does not have, whether there is a copy, no recovery point
// yet, or a backup of the time when the plan named an older api-version.
func TestNoCallRestoresACopy(t *testing.T) {
	service := backup.Service{
		CopyOnly: func(b backup.Blocks) bool { return b == "" },
		Restore:  backup.RestoreTraits{Overwrites: []string{"all"}, Calls: []string{"POST {destination}/restore"}, BackupCalls: []string{"POST {destination}/backup"}},
	}
	const ledger = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ConfidentialLedger/ledgers/contoso"
	for name, c := range map[string]struct {
		chosen backup.Point
		blocks backup.Blocks
		calls  int
	}{
		"a copy":                                {chosen: backup.Point{ID: "p", CopyOnly: true}},
		"nothing yet":                           {},
		"a backup of before":                    {chosen: backup.Point{ID: "p"}},
		"a backup, by an older api-version":     {chosen: backup.Point{ID: "p"}, blocks: `{"ccf":{}}`, calls: 2},
		"a copy, whatever the plan says by now": {chosen: backup.Point{ID: "p", CopyOnly: true}, blocks: `{"ccf":{}}`},
	} {
		p := restore.Preview{Destination: ledger, Target: ledger, Chosen: c.chosen, Safety: true}
		p.Allowing.Settings.Blocks = c.blocks
		p.Describe(service, service)
		if len(p.Calls) != c.calls || p.Safety != (c.calls > 0) || (p.Overwrites[0] == "all") != (c.calls > 0) {
			t.Errorf("%s: overwrites %q by %q, safety backup %t", name, p.Overwrites, p.Calls, p.Safety)
		}
	}
}

// TestADryRunShowsTheWarningsOfTheLook: each is a guard that warns, and refuses nothing. A refused restore is not said to be checked by
// the service later.
func TestADryRunShowsTheWarningsOfTheLook(t *testing.T) {
	ctx, notes := backup.Watch(t.Context())
	backup.Warn(ctx, backup.Refuse("HostnamesDiffer", "Add them.", "they differ"))
	backup.Warn(ctx, backup.Refuse("RegionsDiffer", "See.", "they differ too"))
	var p restore.Preview
	p.Note(notes)
	if len(p.Guards) != 2 || p.Refusal() != nil || p.Guards[0].Outcome != restore.Warned || p.Guards[0].Reason.Code != "HostnamesDiffer" ||
		p.Guards[1].Outcome != restore.Warned || p.Guards[1].Reason.Code != "RegionsDiffer" {
		t.Errorf("%+v", p.Guards)
	}
	service := backup.Service{Restore: backup.RestoreTraits{Look: "PreFullRestore"}}
	if p.NotAsked(service); len(p.Guards) != 3 {
		t.Errorf("%+v", p.Guards)
	}
	p.Ask("a plan allows it", backup.Refuse("DestinationNotAllowed", "", "no"))
	if p.NotAsked(service); len(p.Guards) != 4 {
		t.Errorf("%+v", p.Guards)
	}
}
