package ccf_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lifeboat/internal/services/ledger/ccf"
	"lifeboat/internal/testing/fakeazure/ccfwriter"
)

// watched verifies files, and lets a watcher see them.
func watched(t *testing.T, files []ccfwriter.File, w ccf.Watcher) ccf.Report {
	t.Helper()
	v, err := ccf.New(source(files), ccf.Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	v.Watch(w)
	if done, err := v.Run(t.Context(), never); !done || err != nil {
		t.Fatal(done, err)
	}
	return v.Report()
}

// governed is the governance of files, and its events in one line each.
func governed(t *testing.T, files []ccfwriter.File) (g *ccf.Governance, lines []string) {
	t.Helper()
	g = ccf.NewGovernance()
	watched(t, files, ccf.Watcher{Held: g.Hold, Seen: func(tx *ccf.Transaction) {
		if err := g.Take(tx); err != nil {
			t.Error(err)
		}
	}})
	names := map[string]string{"": "-"}
	for _, m := range g.Members() {
		names[m.ID] = m.Name
	}
	for _, e := range g.Events {
		line := fmt.Sprintf("%s %s %s: %s", e.Transaction, e.Kind, names[e.Member], e.Text)
		if e.Signature != "" {
			line += ", " + string(e.Signature)
		}
		if e.Problem != "" {
			line += ": " + e.Problem
		}
		for _, id := range e.Yes {
			line += " +" + names[id]
		}
		lines = append(lines, line)
	}
	return g, lines
}

func TestGovernance(t *testing.T) {
	l := ccfwriter.New(ccfwriter.V6, 3)
	ann, bob := l.Join("ann"), l.Join("bob")
	l.Acknowledge(ann)
	l.Sign()
	l.Constitute("one")
	id := l.Propose(ann, "transition_service_to_open")
	l.Vote(ann, id, false)
	l.Vote(bob, id, true)
	l.Open()
	other := l.Propose(bob, "remove_user")
	l.Withdraw(bob, other)
	l.Close()
	l.Recover(ccfwriter.V6)
	l.Close()
	second := l.Service()
	g, got := governed(t, l.Files())
	want := []string{
		"2.1 service -: a service begins, and is Opening: " + strings.Fields(got[0])[len(strings.Fields(got[0]))-1],
		"2.3 member ann: the member is Accepted",
		"2.4 member bob: the member is Accepted",
		"2.5 member ann: the member is Active",
		"2.5 acknowledgement ann: the member acknowledges the state of the service, valid",
		"2.7 constitution -: a constitution of 3 bytes, SHA-256 7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed",
		"2.8 proposal ann: a proposal: transition_service_to_open, valid",
		"2.9 vote ann: a vote, valid",
		"2.10 vote bob: a vote, valid",
		"2.10 decision -: the proposal is Accepted +ann +bob",
		"2.11 service -: the service is Open",
		"2.12 proposal bob: a proposal: remove_user, valid",
		"2.13 decision bob: the proposal is Withdrawn, valid",
		"4.15 service -: a recovery begins another service, which is Recovering: " + second,
	}
	got[9] = strings.Replace(got[9], " +bob +ann", " +ann +bob", 1) // by their IDs
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, m := range g.Members() {
		if want := map[string]string{"ann": "Active 2.5", "bob": "Accepted 2.4"}[m.Name]; m.Status+" "+m.Since != want {
			t.Errorf("%+v", m)
		}
	}
	if at := g.Events[6].SignedAt; at == nil || at.Year() != 2025 || g.Events[6].Proposal != id || g.Events[12].Proposal != other {
		t.Errorf("%+v", g.Events)
	}
}

// TestWrongMessages has a message with one mistake each, that a service put into a signed ledger.
func TestWrongMessages(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(l *ccfwriter.Ledger, ann, bob *ccfwriter.Member)
		want string
	}{
		{"by another member's key", func(l *ccfwriter.Ledger, ann, bob *ccfwriter.Member) {
			l.Propose(ann, "a", l.Message(ann, bob, "proposal", "", ccfwriter.Proposal("a")))
		}, "proposal ann: a proposal: a, wrong: it is not by the key of the member"},
		{"of another proposal", func(l *ccfwriter.Ledger, ann, _ *ccfwriter.Member) {
			l.Propose(ann, "a", l.Message(ann, ann, "proposal", "", ccfwriter.Proposal("b")))
		}, "proposal ann: a proposal: a, wrong: it is of another proposal"},
		{"a vote on another proposal", func(l *ccfwriter.Ledger, ann, bob *ccfwriter.Member) {
			one, two := l.Propose(ann, "a"), l.Propose(ann, "b")
			l.Vote(bob, one, false, l.Message(bob, bob, "ballot", two, ccfwriter.Ballot()))
		}, "vote bob: a vote, wrong: it is of another proposal"},
		{"another vote", func(l *ccfwriter.Ledger, ann, bob *ccfwriter.Member) {
			one := l.Propose(ann, "a")
			l.Vote(bob, one, false, l.Message(bob, bob, "ballot", one, []byte(`{"ballot":"no"}`)))
		}, "vote bob: a vote, wrong: it is of another vote"},
		{"a member without a certificate", func(l *ccfwriter.Ledger, _, _ *ccfwriter.Member) {
			l.Propose(l.NewMember("eve"), "a")
		}, "proposal : a proposal: a, wrong: the ledger has no certificate of the member"},
		{"a signed HTTP request", func(l *ccfwriter.Ledger, ann, _ *ccfwriter.Member) {
			l.Propose(ann, "a", ccfwriter.Write{Table: "public:ccf.gov.history", Key: ann.ID, Value: []byte("{}")})
		}, "proposal ann: a proposal: a, unverified"},
		{"no COSE", func(l *ccfwriter.Ledger, ann, _ *ccfwriter.Member) {
			l.Propose(ann, "a", ccfwriter.Write{Table: "public:ccf.gov.cose_history", Key: ann.ID, Value: []byte(`"AAAA"`)})
		}, "proposal ann: a proposal: a, wrong: it is no COSE_Sign1"},
		{"a message of no proposal", func(l *ccfwriter.Ledger, ann, _ *ccfwriter.Member) {
			l.Transact(0, l.Message(ann, ann, "recovery_share", "", []byte("{}")))
		}, "member ann: a message: recovery_share, valid"},
	} {
		l := ccfwriter.New(ccfwriter.V6, 3)
		ann, bob := l.Join("ann"), l.Join("bob")
		c.do(l, ann, bob)
		l.Sign()
		_, got := governed(t, l.Files())
		if !slices.ContainsFunc(got, func(line string) bool { return strings.HasSuffix(line, " "+c.want) }) {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

// TestGovernanceFromASnapshot knows the members from the snapshot.
func TestGovernanceFromASnapshot(t *testing.T) {
	l := ccfwriter.New(ccfwriter.V6, 3)
	ann := l.Join("ann")
	l.Snapshot(0)
	l.Propose(ann, "a")
	l.Close()
	var files []ccfwriter.File
	for _, f := range l.Files() {
		if !strings.Contains(f.Name, "ledger_1-") {
			files = append(files, f)
		}
	}
	if len(files) != 2 {
		t.Fatal(len(files))
	}
	g, got := governed(t, files)
	if len(got) != 1 || !strings.HasSuffix(got[0], "proposal ann: a proposal: a, valid") || g.Members()[0].Status != "Accepted" {
		t.Errorf("%q %+v", got, g.Members())
	}
}
