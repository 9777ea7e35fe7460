package ledger_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"lifeboat/internal/testing/fakeazure/ccfwriter"
)

// governed makes a ledger with governance: ann is in 3 and proposes in 4, the first file ends with 5, and bob is in 6.
func governed(signed bool) *ccfwriter.Ledger {
	l := ccfwriter.New(ccfwriter.V6, 1)
	ann := l.Join("ann")
	l.Propose(ann, "set_user")
	l.Close()
	l.Join("bob")
	l.Propose(ann, "set_constitution")
	if signed {
		l.Sign()
	}
	return l
}

// decided is the answer of governance -o json.
type decided struct {
	Members []struct{ Name, Status, State string }
	Events  []struct{ Transaction, State, Signature, Problem string }
}

// TestGovernanceSaysWhatIsSigned looks at governance after the last signature, in a damaged transaction, and before a wrong signature.
func TestGovernanceSaysWhatIsSigned(t *testing.T) {
	for _, c := range []struct {
		name           string
		signed         bool
		change         func(ccfwriter.File) ccfwriter.File
		members, lines string
		want           []string
	}{
		{"a tail", false, whole, "ann:signed bob:unsigned", "2.1:signed 2.3:signed 2.4:signed 2.6:unsigned 2.7:unsigned", []string{"bob     UNSIGNED, Accepted  2.6 ", "  UNSIGNED, the member is Accepted", "  UNSIGNED, proposal "}},
		{"a damaged transaction", true, func(f ccfwriter.File) ccfwriter.File {
			f.Content = bytes.Replace(f.Content, []byte("set_user"), []byte("set_root"), 1)
			return f
		}, "ann:signed bob:signed", "2.1:signed 2.3:signed 2.4:damaged 2.6:signed 2.7:signed", []string{"  DAMAGED, proposal "}},
		{"a wrong signature", true, func(f ccfwriter.File) ccfwriter.File {
			if strings.HasSuffix(f.Name, "ledger_6") {
				at := bytes.LastIndex(f.Content, []byte(`"sig":"`))
				f.Content[at+20] ^= 1
				at = bytes.LastIndex(f.Content, []byte("cose_signatures"))
				f.Content[at+15+24+8+8+8+300] ^= 1
			}
			return f
		}, "ann:signed bob:unsigned", "2.1:signed 2.3:signed 2.4:signed 2.6:unsigned 2.7:unsigned", []string{"  UNSIGNED, the member is Accepted"}},
	} {
		folder := written(t, governed(c.signed).Files(), c.change)
		out, _, err := run(t, false, "governance", folder, "-o", "json")
		var d decided
		if e := json.Unmarshal([]byte(out), &d); e != nil {
			t.Fatal(c.name, e, out)
		}
		members, lines := map[string]string{}, []string{}
		for _, m := range d.Members {
			members[m.Name] = m.State
		}
		for _, e := range d.Events {
			lines = append(lines, e.Transaction+":"+e.State)
		}
		if got := fmt.Sprintf("ann:%s bob:%s", members["ann"], members["bob"]); got != c.members || strings.Join(lines, " ") != c.lines || (err == nil) == c.signed {
			t.Errorf("%s: %s %q %v", c.name, got, lines, err)
		}
		out, _, _ = run(t, false, "governance", folder)
		for _, want := range c.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s: %q is not in\n%s", c.name, want, out)
			}
		}
	}
}

// TestGovernanceWithoutCertificates lacks the file that has the certificate of ann. A snapshot that has it proves her signature.
func TestGovernanceWithoutCertificates(t *testing.T) {
	first := func(f ccfwriter.File) ccfwriter.File {
		if strings.Contains(f.Name, "/ledger_1-") {
			f.Name = ""
		}
		return f
	}
	for _, c := range []struct {
		snapshot bool
		want     string
		state    string
	}{
		{false, "\nsignatures  0 valid, 0 wrong, 1 not verified: the certificates of their members are in none of the files\n", "unverified"},
		{true, "\nsignatures  1 valid, 0 wrong\n", "valid"},
	} {
		l := governed(true)
		if c.snapshot {
			l.Snapshot(0)
			l.Sign()
		}
		folder := written(t, l.Files(), first)
		out, _, err := run(t, false, "governance", folder)
		if err == nil || strings.Contains(err.Error(), "signature of a member") || !strings.Contains(out, c.want) {
			t.Error(c.snapshot, out, err)
		}
		out, _, _ = run(t, false, "governance", folder, "-o", "json")
		var d decided
		if e := json.Unmarshal([]byte(out), &d); e != nil || len(d.Events) != 2 || d.Events[1].Signature != c.state || (d.Events[1].Problem != "") == c.snapshot {
			t.Error(e, out)
		}
	}
}
