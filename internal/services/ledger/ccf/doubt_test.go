package ccf_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"lifeboat/internal/services/ledger/ccf"
	"lifeboat/internal/testing/fakeazure/ccfwriter"
)

// recoveries makes a ledger with a recovery in the file ledger_7-9, and the opening of its service in the file after it, or in none. A
// snapshot has the state at the end of that file.
func recoveries(form ccfwriter.Form, opened bool) *damaged {
	l := ccfwriter.New(form, 3)
	l.Open()
	l.Close()
	l.Transact(9)
	l.Close()
	l.Recover(max(form, ccfwriter.V2))
	l.Close()
	l.Transact(5)
	if opened {
		l.Open()
	}
	l.Close()
	l.Snapshot(0)
	l.Sign()
	l.Transact(9)
	l.Close()
	d := &damaged{}
	for _, f := range l.Files() {
		d.add(f.Name, f.Content)
	}
	return d
}

// identities are the services of a report: each with the transaction of its creation, or the first one after the gap before it.
func identities(r ccf.Report) (lines []string) {
	for _, i := range r.Identities {
		line := "known"
		if i.KeySHA256 == "" {
			line = "unknown"
		}
		if i.From != "" {
			line += " from " + i.From
		}
		if i.Over != "" {
			line += " over " + i.Over
		}
		lines = append(lines, line)
	}
	return lines
}

// TestAMissingRecoveryIsNoForgery damages the file of a recovery: nothing after it is called wrong, and its identity is told once it is known.
func TestAMissingRecoveryIsNoForgery(t *testing.T) {
	const file = "ledger_7-9.committed"
	for _, form := range forms {
		for _, c := range []struct {
			name   string
			damage func(*damaged)
			want   string
			over   string
		}{
			{"missing", func(d *damaged) { d.remove(file) }, "error Gap ledger_10", "10"},
			{"empty", func(d *damaged) { d.cut(file, 0) }, "error FileEmpty " + file, "10"},
			{"cut", func(d *damaged) { d.cut(file, 200) }, "error FileCut " + file + " 2.7", "10"},
			{"unreadable", func(d *damaged) { d.flip(file, 0, 0) }, "error EntryMalformed " + file + " 2.7", "8"},
			{"another certificate", func(d *damaged) { d.flipIn(file, 0, "gov.service.info", 200) }, "error TransactionDamaged " + file + " 4.7", "8"},
			{"another table", func(d *damaged) { d.flipIn(file, 0, "gov.service.info", 0) }, "error TransactionDamaged " + file + " 4.7", "8"},
		} {
			for _, opened := range []bool{true, false} {
				d := recoveries(form, opened)
				c.damage(d)
				want := []string{"known from 2.1", "known over 4." + c.over}
				if !opened {
					want[1] = "unknown over 4." + c.over
				}
				for _, every := range []bool{false, true} {
					r := verify(t, d.files, ccf.Options{EverySignature: every})
					var errors []string
					for _, line := range found(r) {
						if strings.HasPrefix(line, "error") {
							errors = append(errors, line)
						}
					}
					if len(errors) != 1 || !strings.HasPrefix(errors[0], c.want) || !slices.Equal(identities(r), want) {
						t.Errorf("form %d, %s, opened %v, every %v: %q %q\n%+v", form, c.name, opened, every, errors, identities(r), r)
					}
					if every || form != ccfwriter.V6 {
						continue
					}
					paused, _ := resumed(t, d.files, ccf.Options{EverySignature: every}, func(int) bool { return true })
					if fmt.Sprint(found(paused), identities(paused)) != fmt.Sprint(found(r), identities(r)) {
						t.Errorf("form %d, %s, opened %v, every %v: %q, not %q", form, c.name, opened, every, found(paused), found(r))
					}
				}
			}
		}
	}
}

// TestAForgeryAfterAGapIsFound damages what stands behind a gap, and finds it wherever the key is known.
func TestAForgeryAfterAGapIsFound(t *testing.T) {
	other := ccfwriter.New(ccfwriter.V6, 99)
	long := func(change func(*ccfwriter.Ledger)) *damaged {
		l := ccfwriter.New(ccfwriter.V6, 3)
		l.Close()
		l.Transact(9)
		l.Close() // 4 and 5
		change(l)
		l.Sign()
		return &damaged{l.Files()}
	}
	for _, c := range []struct {
		name       string
		made       *damaged
		damage     func(*damaged)
		want       []string
		identities []string
	}{
		{
			"a service's signature", base(), func(d *damaged) { d.remove(third); d.flipIn(open, 5, "cose_signatures", 15+24+8+8+8+300) },
			[]string{"error Gap ledger_21-28.committed", "error SignatureWrong 2.53"},
			[]string{"known from 2.1"},
		},
		{
			"a node's signature, after a recovery", recoveries(ccfwriter.V5, false), func(d *damaged) { d.remove("ledger_7-9", "snapshot_"); d.flipIn("ledger_12-15", 3, `"sig":"`, 40) },
			[]string{"error Gap ledger_10-11.committed", "error SignatureWrong 4.15", "note IdentityUnknown"},
			[]string{"known from 2.1", "unknown over 4.10"},
		},
		{
			"a node of another service", long(func(l *ccfwriter.Ledger) { l.Usurp(other) }), func(d *damaged) { d.remove("ledger_4-5") },
			[]string{"error Gap ledger_6", "error NodeCertificateWrong 2.6"},
			[]string{"known from 2.1"},
		},
		{
			"no forgery: a recovery after the gap", long(func(l *ccfwriter.Ledger) { l.Recover(ccfwriter.V6) }), func(d *damaged) { d.remove("ledger_4-5") },
			[]string{"error Gap ledger_6"},
			[]string{"known from 2.1", "known from 4.6"},
		},
		{
			"no forgery: a recovery in the gap, and one after it", long(func(l *ccfwriter.Ledger) { l.Recover(ccfwriter.V6); l.Close(); l.Recover(ccfwriter.V6) }), func(d *damaged) { d.remove("ledger_6-8") },
			[]string{"error Gap ledger_9"},
			[]string{"known from 2.1", "known over 6.9", "known from 6.9"},
		},
		{
			"no forgery: an end that is missing, before a snapshot of another service", recoveries(ccfwriter.V6, true), func(d *damaged) { d.remove("ledger_7-9", "ledger_10-13", "ledger_14-17") },
			[]string{"error LedgerEndsBeforeSnapshot snapshot_13_14.committed"},
			[]string{"known from 2.1"},
		},
	} {
		c.damage(c.made)
		r := verify(t, c.made.files, ccf.Options{})
		if got := found(r); !slices.Equal(got, c.want) || !slices.Equal(identities(r), c.identities) {
			t.Errorf("%s: %q %q", c.name, got, identities(r))
		}
	}
}
