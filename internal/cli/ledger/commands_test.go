package ledger_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/cli/ledger"
	"lifeboat/internal/testing/fakeazure/ccfwriter"
)

// lived writes a ledger of 30 transactions, of which the last two have no signature, as it is at a transaction, into a new folder.
func lived(t *testing.T, seed uint64, until int, change func(ccfwriter.File) ccfwriter.File) string {
	t.Helper()
	l := ccfwriter.New(ccfwriter.V6, seed)
	ann := l.Join("ann")
	l.Propose(ann, "set_user")
	for i := 5; i <= until; i++ {
		switch {
		case i%7 == 0:
			l.Close()
		case i == 9:
			l.Transact(0, ccfwriter.Write{Table: "public:binary", Key: "\xff", Value: []byte{1, 2}}, ccfwriter.Write{Table: "public:binary", Key: "long", Value: bytes.Repeat([]byte("é"), 600)})
		default:
			l.Transact(i%2, ccfwriter.Write{Table: "public:records", Key: fmt.Sprint(i), Value: []byte("value")}, ccfwriter.Write{Table: "public:records", Key: "old", Remove: true})
		}
	}
	return written(t, l.Files(), change)
}

func written(t *testing.T, files []ccfwriter.File, change func(ccfwriter.File) ccfwriter.File) string {
	t.Helper()
	root := t.TempDir()
	for _, f := range files {
		if f = change(f); f.Name == "" {
			continue
		}
		path := filepath.Join(root, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// damages changes the value of transaction 8, and removes the file of 15 to 21.
func damages(f ccfwriter.File) ccfwriter.File {
	switch f.Name {
	case "ledger/ledger_8-14.committed":
		f.Content = bytes.Replace(f.Content, []byte("value"), []byte("wrong"), 1)
	case "ledger/ledger_15-21.committed":
		f.Name = ""
	}
	return f
}

// listing is the answer of log -o json.
type listing struct {
	Transactions []struct {
		Transaction, State, Signature string
		Bytes, PrivateBytes           int
		Tables                        []struct {
			Name             string
			Writes, Removals int
		}
	}
	Proven       bool
	Signed, Last string
}

func listed(t *testing.T, args ...string) (l listing, err error) {
	t.Helper()
	out, _, err := run(t, false, append([]string{"log", "-o", "json"}, args...)...)
	if e := json.Unmarshal([]byte(out), &l); e != nil {
		t.Fatal(e, out)
	}
	return l, err
}

// TestLogSaysWhatIsSigned lists a good ledger and a damaged one.
func TestLogSaysWhatIsSigned(t *testing.T) {
	good, err := listed(t, lived(t, 1, 30, whole))
	if err != nil || len(good.Transactions) != 30 || !good.Proven || good.Signed != "2.28" || good.Last != "2.30" {
		t.Errorf("%+v %v", good, err)
	}
	for i, tx := range good.Transactions {
		want := [...]string{"signed", "lastSignature", "unsigned", "unsigned"}[max(i-26, 0)]
		if tx.Transaction != fmt.Sprintf("2.%d", i+1) || tx.State != want || tx.Bytes < 80 || (tx.Signature != "") != (want == "signed") {
			t.Errorf("%d: %+v", i+1, tx)
		}
	}
	if tx := good.Transactions[10]; tx.PrivateBytes != 1 || len(tx.Tables) != 1 || tx.Tables[0].Name != "public:records" || tx.Tables[0].Writes != 1 || tx.Tables[0].Removals != 1 {
		t.Errorf("%+v", tx)
	}
	bad, err := listed(t, lived(t, 1, 30, damages))
	if err == nil || !strings.Contains(err.Error(), "2 errors: lifeboat ledger verify ") {
		t.Error(err)
	}
	states := map[string]string{}
	for _, tx := range bad.Transactions {
		states[tx.Transaction] = tx.State
	}
	for id, want := range map[string]string{"2.7": "signed", "2.8": "damaged", "2.9": "signed", "2.14": "notCompared", "2.15": "", "2.22": "signed", "2.28": "lastSignature"} {
		if states[id] != want {
			t.Errorf("%s is %q, not %q", id, states[id], want)
		}
	}
}

func TestLogFilters(t *testing.T) {
	folder := lived(t, 1, 30, whole)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--from", "2.29"}, "2.29 2.30"},
		{[]string{"--to", "3"}, "2.1 2.2 2.3"},
		{[]string{"--from", "8", "--to", "2.10", "--table", "public:binary"}, "2.9"},
		{[]string{"--table", "public:ccf.gov.m*"}, "2.3"},
		{[]string{"--table", "public:ccf.gov"}, ""},
	} {
		l, err := listed(t, append(c.args, folder)...)
		var got []string
		for _, tx := range l.Transactions {
			got = append(got, tx.Transaction)
		}
		if err != nil || strings.Join(got, " ") != c.want || l.Signed != "2.28" {
			t.Errorf("%q: %q %v", c.args, got, err)
		}
	}
	for _, c := range []struct {
		args []string
		errs string
		err  string
	}{
		{[]string{"--table", "public:none"}, "no transaction writes to the table public:none\n", ""},
		{[]string{"--from", "2.31", "--summary"}, "no transaction from 2.31 on\n", ""},
		{[]string{"--from", "40", "--to", "2.60", "--table", "public:records"}, "no transaction from 40 on, up to 2.60, writes to the table public:records\n", ""},
		{[]string{"--from", "3.11"}, "", folder + " has transaction 11 as 2.11, and not as 3.11\n"},
		{[]string{"--to", "1.11", "--summary"}, "", folder + " has transaction 11 as 2.11, and not as 1.11\n"},
		{[]string{"--from", "2.11"}, "", ""},
	} {
		_, errs, err := run(t, false, append([]string{"log", folder}, c.args...)...)
		if errs != c.errs || (err == nil) != (c.err == "") || err != nil && (err.Error() != c.err || code(err) != 3) {
			t.Errorf("%q: %q %v", c.args, errs, err)
		}
	}
	// Rows that were printed before the wrong view of --to was seen make a whole document.
	out, _, err := run(t, false, "log", folder, "--to", "1.29", "-o", "json")
	if !json.Valid([]byte(out)) || !strings.Contains(out, `"transaction"`) || code(err) != 3 {
		t.Errorf("%v: %s", err, out)
	}
	for _, wrong := range []string{"x", "0", "2.", ".3", "0.3", "2.3.4", "-1"} {
		if _, _, err := run(t, false, "log", folder, "--from="+wrong); err == nil || !strings.Contains(err.Error(), "--from is a transaction, such as 2.14 or 14") {
			t.Error(wrong, err)
		}
	}
	out, _, err = run(t, false, "log", folder, "--summary", "--table", "public:records", "--from", "10", "-o", "json")
	var s struct {
		Tables []map[string]any
		Proven bool
	}
	if e := json.Unmarshal([]byte(out), &s); e != nil || err != nil || !s.Proven || len(s.Tables) != 1 || fmt.Sprint(s.Tables[0]) !=
		"map[first:2.10 last:2.30 name:public:records removals:18 transactions:18 writes:18]" {
		t.Error(out, e, err)
	}
}

func TestShow(t *testing.T) {
	folder, bad := lived(t, 1, 30, whole), lived(t, 1, 30, damages)
	for _, c := range []struct {
		folder, id string
		want       []string
		err        string
	}{
		{folder, "2.11", []string{"transaction  2.11\n", "file         ledger/ledger_8-14.committed\n", "of which 1 are private", "proven by    the signature 2.14\n", "public:records\n   11: value\n   old: removed\n"}, ""},
		{folder, "9", []string{"   ff: 2 bytes: 0102\n", "   long: " + strings.Repeat("é", 400) + "… (1200 bytes, all with -o json)\n"}, ""},
		{folder, "27", []string{"proven by    the signature 2.28\n"}, ""},
		{folder, "28", []string{"not proven   it is the last signature, which no later one covers\n"}, "transaction 2.28 is not proven"},
		{folder, "30", []string{"not proven   it is unsigned\n"}, "transaction 2.30 is not proven: it is unsigned"},
		{bad, "8", []string{"not proven   it is damaged\n"}, "it is damaged"},
		{bad, "14", []string{"not proven   it is not compared\n"}, "it is not compared"},
		{bad, "11", []string{"proven by    the signature 2.14\n"}, ""},
		{bad, "16", nil, "has no transaction 16: it has 2.1 to 2.30, and lifeboat ledger verify "},
		{folder, "3.11", nil, "has transaction 11 as 2.11, and not as 3.11"},
		{folder, "eleven", nil, "TXID is a transaction, such as 2.14 or 14"},
		{t.TempDir(), "1", nil, "has no transaction: lifeboat ledger verify "},
	} {
		out, _, err := run(t, false, "show", c.folder, c.id)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) || c.want == nil && out != "" {
			t.Errorf("%s: %s%v", c.id, out, err)
		}
		for _, want := range c.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s: %q is not in\n%s", c.id, want, out)
			}
		}
	}
	out, _, err := run(t, false, "show", folder, "9", "-o", "json")
	var s struct {
		Proven bool
		Writes []struct {
			Key, Value, KeyBase64, ValueBase64 string
			Removed                            bool
		}
	}
	if e := json.Unmarshal([]byte(out), &s); e != nil || err != nil || !s.Proven || len(s.Writes) != 2 || s.Writes[0].KeyBase64 != "/w==" || s.Writes[0].ValueBase64 != "AQI=" || s.Writes[1].Key != "long" || len(s.Writes[1].Value) != 1200 {
		t.Error(out, e, err)
	}
}

func TestGovernanceOfAFolder(t *testing.T) {
	out, _, err := run(t, false, "governance", lived(t, 1, 30, whole))
	if err != nil || !strings.Contains(out, "ann     Accepted  2.3 ") || !strings.Contains(out, ": set_user") || !strings.Contains(out, "\nsignatures  1 valid, 0 wrong\n") {
		t.Error(out, err)
	}
	l := ccfwriter.New(ccfwriter.V6, 1)
	ann, bob := l.Join("ann"), l.Join("bob")
	for _, action := range []string{"one", "two"} {
		l.Propose(ann, action, l.Message(ann, bob, "proposal", "", ccfwriter.Proposal(action)))
	}
	l.Propose(bob, "three", ccfwriter.Write{Table: "public:ccf.gov.history", Key: bob.ID, Value: []byte("{}")})
	l.Sign()
	folder := written(t, l.Files(), whole)
	out, _, err = run(t, false, "governance", folder)
	if err == nil || err.Error() != "the signatures of members in 2 transactions are wrong, the first in 2.5\n" ||
		!strings.Contains(out, "signatures  0 valid, 2 wrong, 1 HTTP request not verified\nwrong       2.5, "+ann.ID[:8]+": it is not by the key of the member\n") {
		t.Error(out, err)
	}
	out, _, err = run(t, false, "governance", folder, "-o", "json")
	var g struct {
		Proven  bool
		Members []struct{ ID, Name, Status string }
		Events  []struct{ Kind, Member, Signature, Problem string }
	}
	if e := json.Unmarshal([]byte(out), &g); e != nil || err == nil || !g.Proven || len(g.Members) != 2 || len(g.Events) != 6 || g.Events[3].Signature != "wrong" || g.Events[5].Signature != "unverified" {
		t.Error(out, e, err)
	}
}

// difference is the answer of diff -o json.
type difference struct {
	Relation, LastShared, PartedA, PartedB string
	Shared                                 int
	Differing                              []string
	A, B                                   struct {
		Proven   bool
		OnlyHere int
		Ranges   []struct{ First, Last string }
		Tables   []struct{ Name string }
	}
}

func TestDiff(t *testing.T) {
	short, long, bad, other := lived(t, 1, 20, whole), lived(t, 1, 30, whole), lived(t, 1, 30, damages), lived(t, 2, 30, whole)
	l := ccfwriter.New(ccfwriter.V6, 1)
	l.Join("ann")
	l.Recover(ccfwriter.V6)
	recovered := written(t, l.Files(), whole)
	tail := lived(t, 1, 30, func(f ccfwriter.File) ccfwriter.File {
		if strings.HasSuffix(f.Name, "ledger_15-21.committed") || strings.HasSuffix(f.Name, "ledger_8-14.committed") || strings.HasSuffix(f.Name, "ledger_1-7.committed") {
			f.Name = ""
		}
		return f
	})
	for _, c := range []struct {
		name, a, b string
		want       string
		sentence   string
		err        []string
	}{
		{"itself", long, long, "same 30 2.30 : [] [] []", "they are the same\n", nil},
		{"a newer copy", short, long, "bHasMore 20 2.20 : [] [] [{2.21 2.30}]", "B contains A, and has more\n", nil},
		{"an older copy", long, short, "aHasMore 20 2.20 : [] [{2.21 2.30}] []", "A contains B, and has more\n", nil},
		{"a damaged copy that lacks a file", long, bad, "aHasMore 22 2.30 : [2.8] [{2.8 2.8} {2.15 2.21}] [{2.8 2.8}]", "A contains B, and has more\n", []string{"one of the copies is damaged: they differ in 1 transaction", "is not proven: 2 errors"}},
		{"a recovery that dropped a transaction", long, recovered, "parted 2 2.2 2.3:4.3 [] [{2.3 2.30}] [{4.3 4.4}]", "they part after 2.2: then A has 2.3, and B has 4.3\n", []string{"the ledgers part: "}},
		{"another ledger", long, other, "parted 0  2.1:2.1 [] [{2.1 2.30}] [{2.1 2.30}]", "they are two ledgers: nothing is the same\n", []string{"the ledgers part: "}},
		{"no common transaction", short, tail, "nothingShared 0  : [] [{2.1 2.20}] [{2.22 2.30}]", "they have no transaction in common\n", []string{"is not proven: 1 error"}},
	} {
		out, _, err := run(t, false, "diff", c.a, c.b, "-o", "json")
		var d difference
		if e := json.Unmarshal([]byte(out), &d); e != nil {
			t.Fatal(c.name, e, out)
		}
		got := fmt.Sprint(d.Relation, " ", d.Shared, " ", d.LastShared, " ", d.PartedA, ":", d.PartedB, " ", d.Differing, " ", d.A.Ranges, " ", d.B.Ranges)
		if got != c.want {
			t.Errorf("%s: %s, not %s", c.name, got, c.want)
		}
		if (err == nil) != (c.err == nil) || slices.ContainsFunc(c.err, func(want string) bool { return !strings.Contains(err.Error(), want) }) {
			t.Errorf("%s: %v", c.name, err)
		}
		if out, _, _ = run(t, false, "diff", c.a, c.b); !strings.Contains(out, c.sentence) {
			t.Errorf("%s: %s", c.name, out)
		}
	}
	for _, c := range []struct {
		a, b string
		want string
	}{
		{short, long, ""},
		{long, long, ""},
		{long, short, short + " does not contain " + long + ": A contains B, and has more\n"},
		{short, other, "the ledgers part: "},
	} {
		if _, _, err := run(t, false, "diff", c.a, c.b, "--must-contain"); (err == nil) != (c.want == "") || err != nil && (code(err) != 3 || !strings.HasPrefix(err.Error(), c.want)) {
			t.Error(c, err)
		}
	}
	if _, _, err := run(t, false, "diff", long, filepath.Join(long, "nothing")); err == nil || !strings.Contains(err.Error(), "nothing: no such file or directory: name the folder of a copy") {
		t.Error(err)
	}
	_, errs, err := run(t, true, "diff", short, long)
	if err != nil || !strings.Contains(errs, " MB/s") || !strings.HasSuffix(errs, "\r\x1b[K") {
		t.Errorf("%q %v", errs, err)
	}
}

// TestLogOnATerminal: the progress is on the same terminal as the rows, and stands in none of them.
func TestLogOnATerminal(t *testing.T) {
	for _, form := range []string{"table", "json"} {
		var screen bytes.Buffer
		now := time.Unix(0, 0)
		c := ledger.Command(ledger.Shell{
			Getenv: func(string) string { return "" },
			Stdout: &screen, Stderr: &screen, Width: func() int { return 0 }, Watched: func() bool { return true },
			Now: func() time.Time { now = now.Add(time.Second); return now },
		})
		c.SetArgs([]string{"log", lived(t, 1, 30, whole), "-o", form})
		if err := c.ExecuteContext(t.Context()); err != nil || !strings.Contains(screen.String(), " MB/s") {
			t.Error(err, screen.String())
		}
		for line := range strings.Lines(screen.String()) {
			if n := strings.LastIndex(line, " MB/s"); n >= 0 && !strings.HasPrefix(line[n+len(" MB/s"):], "\r\x1b[K") {
				t.Errorf("%s: %q", form, line)
			}
		}
	}
}
