package ccf_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lifeboat/internal/services/ledger/ccf"
	"lifeboat/internal/testing/fakeazure/ccfwriter"
)

// damaged is a copy to be damaged: seven committed files, an open one, and a snapshot of the last committed one.
type damaged struct {
	files []ccfwriter.File
}

func base() *damaged {
	files := slices.Clone(whole())
	for i := range files {
		files[i].Content = bytes.Clone(files[i].Content)
	}
	return &damaged{files}
}

var whole = sync.OnceValue(func() []ccfwriter.File {
	l := ccfwriter.New(ccfwriter.V6, 7)
	l.Open()
	l.Close() // 1 to 4
	for range 5 {
		for i := range 5 {
			l.Transact(20*(i%2), ccfwriter.Write{Table: "public:records", Key: fmt.Sprint(i), Value: fmt.Appendf(nil, "value %d", l.Seqno())})
		}
		l.Sign()
		l.Transact(9)
		l.Close() // 12, 20, 28, 36, 44
	}
	l.Transact(30)
	l.Sign()
	l.Close()      // 45 to 47
	l.Snapshot(40) // its evidence is 48
	l.Transact(0, ccfwriter.Write{Table: "public:records", Key: "new", Value: []byte("a")})
	l.Sign() // 50
	l.Transact(5)
	l.Transact(0)
	l.Sign() // 53
	return l.Files()
})

var foreign = sync.OnceValue(func() *damaged { return &damaged{life(ccfwriter.V6, ccfwriter.V6, 9).Files()} })

// file finds a file by a part of its name.
func (d *damaged) file(name string) *ccfwriter.File {
	i := slices.IndexFunc(d.files, func(f ccfwriter.File) bool { return strings.Contains(f.Name, name) })
	if i < 0 {
		panic(name)
	}
	return &d.files[i]
}

func (d *damaged) remove(names ...string) {
	for _, name := range names {
		d.file(name)
		d.files = slices.DeleteFunc(d.files, func(f ccfwriter.File) bool { return strings.Contains(f.Name, name) })
	}
}

func (d *damaged) cut(name string, size int) {
	f := d.file(name)
	if size < 0 {
		size += len(f.Content)
	}
	f.Content = f.Content[:size]
}

// entry is the offset of an entry in a file, the first being 0, and the offset behind it.
func (d *damaged) entry(name string, n int) (from, to int) {
	f := d.file(name)
	for to = 8; n >= 0; n-- {
		from = to
		to += 8 + int(binary.LittleEndian.Uint64(f.Content[from:])>>16)
	}
	return from, to
}

// flip changes a byte of an entry, by its offset from the entry, or from its end.
func (d *damaged) flip(name string, n, offset int) {
	from, to := d.entry(name, n)
	if offset < 0 {
		from = to
	}
	d.file(name).Content[from+offset] ^= 1
}

// flipIn changes the byte at an offset from a text in an entry.
func (d *damaged) flipIn(name string, n int, text string, offset int) {
	from, to := d.entry(name, n)
	content := d.file(name).Content
	at := bytes.Index(content[from:to], []byte(text))
	if at < 0 {
		panic(text)
	}
	content[from+at+offset] ^= 1
}

func (d *damaged) add(name string, content []byte) {
	d.files = append(d.files, ccfwriter.File{Name: name, Content: bytes.Clone(content)})
}

func (d *damaged) flipByte(name, text string, offset int) {
	content := d.file(name).Content
	at := bytes.LastIndex(content, []byte(text))
	if at < 0 {
		panic(text)
	}
	content[at+offset] ^= 1
}

// found is all findings of a report, one a line.
func found(r ccf.Report) []string {
	var lines []string
	for _, list := range []struct {
		name     string
		findings []ccf.Finding
	}{{"error", r.Errors}, {"unfinished", r.Unfinished}, {"note", r.Notes}} {
		for _, f := range list.findings {
			line := []string{list.name, string(f.Code)}
			if f.File != "" {
				line = append(line, f.File[strings.LastIndex(f.File, "/")+1:])
			}
			if f.Transaction != "" {
				line = append(line, f.Transaction)
			}
			lines = append(lines, strings.Join(line, " "))
		}
	}
	return lines
}

const (
	second = "ledger_5-12.committed"
	third  = "ledger_13-20.committed"
	last   = "ledger_45-47.committed"
	open   = "ledger_48"
	shot   = "snapshot_47_48.committed"
)

// damages are things that happen to copies, and all that is found of each.
var damages = []struct {
	name   string
	damage func(*damaged)
	want   []string
	signed string // 2.53 unless it is another one
}{
	{"nothing", func(*damaged) {}, nil, ""},
	{"a chunk in the middle is missing", func(d *damaged) { d.remove(third) }, []string{"error Gap ledger_21-28.committed"}, ""},
	{"two chunks in the middle are missing", func(d *damaged) { d.remove(second, third) }, []string{"error Gap ledger_21-28.committed"}, ""},
	{"the first chunk is missing", func(d *damaged) { d.remove("ledger_1-4") }, []string{"error BeginningMissing ledger_5-12.committed", "note IdentityUnknown"}, ""},
	{"the last committed chunk is missing", func(d *damaged) { d.remove(last) }, []string{"error Gap ledger_48"}, ""},
	{"the end is missing", func(d *damaged) { d.remove(last, open) }, []string{"error LedgerEndsBeforeSnapshot " + shot}, "2.44"},
	{"the open file is missing", func(d *damaged) { d.remove(open) }, []string{"note EvidenceMissing " + shot}, "2.47"},
	{"the snapshot is missing", func(d *damaged) { d.remove(shot) }, nil, ""},
	{"a chunk is cut within an entry", func(d *damaged) { _, to := d.entry(third, 5); d.cut(third, to-1) }, []string{"error FileCut ledger_13-20.committed 2.18"}, ""},
	{"a chunk is cut between entries", func(d *damaged) { _, to := d.entry(third, 5); d.cut(third, to) }, []string{"error FileCut ledger_13-20.committed 2.19"}, ""},
	{"the last chunk is cut, and is the end", func(d *damaged) { d.remove(open, shot); _, to := d.entry(last, 2); d.cut(last, to-1) }, []string{"error FileCut ledger_45-47.committed 2.47"}, "2.46"},
	{"a chunk is cut within its table", func(d *damaged) { d.cut(third, -8) }, []string{"error PositionsWrong ledger_13-20.committed"}, ""},
	{"a chunk is cut by 3 bytes", func(d *damaged) { d.cut(third, -3) }, []string{"error PositionsWrong ledger_13-20.committed"}, ""},
	{"a chunk is longer than it was", func(d *damaged) { f := d.file(third); f.Content = append(f.Content, 0) }, []string{"error PositionsWrong ledger_13-20.committed"}, ""},
	{"the open file is cut within an entry", func(d *damaged) { d.cut(open, -1) }, []string{"note OpenFileCut ledger_48 2.53", "note UnsignedTail 2.52"}, "2.50"},
	{"the open file is cut between entries", func(d *damaged) { _, to := d.entry(open, 3); d.cut(open, to) }, []string{"note UnsignedTail 2.51"}, "2.50"},
	{"the open file has 0 bytes", func(d *damaged) { d.cut(open, 0) }, []string{"note OpenFileEmpty ledger_48", "note EvidenceMissing " + shot}, "2.47"},
	{"the open file has 5 bytes", func(d *damaged) { d.cut(open, 5) }, []string{"note OpenFileCut ledger_48", "note EvidenceMissing " + shot}, "2.47"},
	{"the open file has 8 bytes", func(d *damaged) { d.cut(open, 8) }, []string{"note EvidenceMissing " + shot}, "2.47"},
	{"the open file ends with zeros", func(d *damaged) { f := d.file(open); f.Content = append(f.Content, make([]byte, 100)...) }, []string{"note OpenFileCut ledger_48 2.54"}, ""},
	{"a committed chunk has 0 bytes", func(d *damaged) { d.cut(third, 0) }, []string{"error FileEmpty ledger_13-20.committed"}, ""},
	{"a committed chunk has 5 bytes", func(d *damaged) { d.cut(third, 5) }, []string{"error FileCut ledger_13-20.committed"}, ""},
	{"a copy that was not finished at the end of a chunk", func(d *damaged) { _, to := d.entry(third, 2); clear(d.file(third).Content[to:]) }, []string{"error EntryMalformed ledger_13-20.committed 2.16"}, ""},
	{"a copy that was not begun", func(d *damaged) { clear(d.file(third).Content) }, []string{"unfinished CopyUnfinished ledger_13-20.committed"}, ""},
	{"a copy that was not begun, at the end", func(d *damaged) { d.remove(open, shot); clear(d.file(last).Content) }, []string{"unfinished CopyUnfinished ledger_45-47.committed"}, "2.44"},
	{"a bit of a private part", func(d *damaged) { d.flip(third, 1, -1) }, []string{"error TransactionDamaged ledger_13-20.committed 2.14"}, ""},
	{"a bit of a public value", func(d *damaged) { d.flipIn(third, 2, "value", 0) }, []string{"error TransactionDamaged ledger_13-20.committed 2.15"}, ""},
	{"a bit of a public value that the snapshot has", func(d *damaged) { d.flipIn("ledger_37-44", 2, "value", 0) }, []string{"error TransactionDamaged ledger_37-44.committed 2.39"}, ""},
	{"a bit of the size of an entry that the snapshot has", func(d *damaged) { d.flip("ledger_37-44", 2, 2) }, []string{"error EntryMalformed ledger_37-44.committed 2.39"}, ""},
	{"a bit of the transaction of the snapshot", func(d *damaged) { d.flip(last, 2, 8) }, []string{"error TransactionDamaged ledger_45-47.committed 2.47"}, ""},
	{"a bit of the evidence", func(d *damaged) { d.flip(open, 0, 8) }, []string{"error TransactionDamaged ledger_48 2.48"}, ""},
	{"a bit of the first transaction", func(d *damaged) { d.flipIn("ledger_1-4", 0, "Opening", 0) }, []string{"error TransactionDamaged ledger_1-4.committed 2.1"}, ""},
	{"a bit of a size in the open file", func(d *damaged) { d.flip(open, 1, 7) }, []string{"error EntryMalformed ledger_48 2.49"}, ""},
	{"a bit of a version in the open file", func(d *damaged) { d.flip(open, 1, 0) }, []string{"error EntryMalformed ledger_48 2.49"}, ""},
	{"a bit of a type in the open file", func(d *damaged) { d.flip(open, 1, 8+28+8) }, []string{"error EntryMalformed ledger_48 2.49"}, ""},
	{"a bit of the name of the last table", func(d *damaged) { d.flipIn(open, 5, "internal.signatures", 0); d.flipIn(open, 5, "internal.cose", 0) }, []string{"error SignatureEntryDamaged 2.53", "note UnsignedTail 2.53"}, "2.50"},
	{"a bit of the flags", func(d *damaged) { d.flip(third, 2, 1) }, []string{"error TransactionDamaged ledger_13-20.committed 2.15"}, ""},
	{"a bit of a GCM tag", func(d *damaged) { d.flip(third, 2, 8) }, []string{"error TransactionDamaged ledger_13-20.committed 2.15"}, ""},
	{"a bit of the version", func(d *damaged) { d.flip(third, 2, 0) }, []string{"error EntryMalformed ledger_13-20.committed 2.15"}, ""},
	{"a bit of a size", func(d *damaged) { d.flip(third, 2, 2) }, []string{"error EntryMalformed ledger_13-20.committed 2.15"}, ""},
	{"a high bit of a size", func(d *damaged) { d.flip(third, 2, 7) }, []string{"error EntryMalformed ledger_13-20.committed 2.15"}, ""},
	{"a bit of the size of a public part", func(d *damaged) { d.flip(third, 2, 8+28+7) }, []string{"error EntryMalformed ledger_13-20.committed 2.15"}, ""},
	{"a bit of a number", func(d *damaged) { d.flip(third, 2, 8+16) }, []string{"error EntryMalformed ledger_13-20.committed 2.15"}, ""},
	{"a bit of a type", func(d *damaged) { d.flip(third, 2, 8+28+8) }, []string{"error EntryMalformed ledger_13-20.committed 2.15"}, ""},
	{"a bit of the table of positions", func(d *damaged) { d.flipAt(third, -9) }, []string{"error PositionsWrong ledger_13-20.committed"}, ""},
	{"a bit of the offset of the table", func(d *damaged) { d.flipAt(third, 0) }, []string{"error PositionsWrong ledger_13-20.committed"}, ""},
	{"a high bit of the offset of the table", func(d *damaged) { d.flipAt(third, 7) }, []string{"error PositionsWrong ledger_13-20.committed"}, ""},
	{"a bit of a node's signature", func(d *damaged) { d.flipIn(third, 7, `"sig":"`, 20) }, []string{"error TransactionDamaged ledger_13-20.committed 2.20"}, ""},
	{"a bit of the last node's signature", func(d *damaged) { d.flipIn(open, 5, `"sig":"`, 20) }, []string{"error SignatureWrong 2.53"}, ""},
	{"a bit of the root as written", func(d *damaged) { d.flipIn(third, 7, `"root":"`, 9) }, []string{"error SignatureEntryDamaged 2.20", "error TransactionDamaged ledger_13-20.committed 2.20"}, ""},
	{"a bit of the last root as written", func(d *damaged) { d.flipIn(open, 5, `"root":"`, 9) }, []string{"error SignatureEntryDamaged 2.53"}, ""},
	{"a bit of the last tree", func(d *damaged) { d.flipIn(open, 5, "public:ccf.internal.tree", 24+24+8+8+8+8+16) }, []string{"error SignatureEntryDamaged 2.53"}, ""},
	{"a bit of a tree", func(d *damaged) { d.flipIn(third, 7, "public:ccf.internal.tree", 24+24+8+8+8+8+16) }, []string{"error SignatureEntryDamaged 2.20", "error TransactionDamaged ledger_13-20.committed 2.20"}, ""},
	{"a bit of the last COSE signature", func(d *damaged) { d.flipIn(open, 5, "cose_signatures", 15+24+8+8+8+300) }, []string{"error SignatureWrong 2.53"}, ""},
	{"a bit in the last entry", func(d *damaged) { d.flip(open, 5, 8) }, nil, ""},
	{"two chunks swapped", func(d *damaged) {
		a, b := d.file(second), d.file(third)
		a.Content, b.Content = b.Content, a.Content
	}, []string{"error WrongSeqno ledger_5-12.committed 2.13", "error WrongSeqno ledger_13-20.committed 2.5"}, ""},
	{"a chunk of another service", func(d *damaged) {
		d.file(third).Content = foreign().file("ledger_5-").Content
	}, []string{"error WrongSeqno ledger_13-20.committed 2.5"}, ""},
	{"an uncommitted copy beside the committed file", func(d *damaged) { d.add("ledger/ledger_13", d.file(third).Content) }, nil, ""},
	{"a cut copy beside the committed file", func(d *damaged) { d.add("ledger/ledger_13", d.file(third).Content[:99]) }, []string{"note LeftOut ledger_13"}, ""},
	{"the same file in two folders", func(d *damaged) { d.add("more/"+third, d.file(third).Content) }, []string{"note LeftOut " + third}, ""},
	{"the same name in two folders, of another size", func(d *damaged) { d.add("more/"+third, d.file(third).Content[:99]) }, []string{"error Overlap " + third}, ""},
	{"chunks that overlap", func(d *damaged) { d.add("ledger/ledger_15-28.committed", d.file(third).Content) }, []string{"error Overlap ledger_15-28.committed"}, ""},
	{"a recovery was under way", func(d *damaged) { d.remove(open); d.file(last).Name += ".recovery" }, []string{"error LedgerEndsBeforeSnapshot " + shot, "note LeftOut " + last + ".recovery"}, "2.44"},
	{"files that a node ignores", func(d *damaged) {
		d.add("ledger/ledger_60.recovery.ignored", nil)
		d.add("ledger/ledger_5-9.committed_prefix", nil)
	}, []string{"note LeftOut ledger_5-9.committed_prefix", "note LeftOut ledger_60.recovery.ignored"}, ""},
	{"other files", func(d *damaged) { d.add("service_cert.pem", nil); d.add("read.me", nil) }, []string{"note OtherFile read.me"}, ""},
	{"files with wrong names", func(d *damaged) {
		d.add("ledger/ledger_48 (1)", nil)
		d.add("ledger/ledger_5-12.committed.txt", nil)
		d.add("Ledger_1-4.committed", nil)
		d.add("snapshot_47_48.bak", nil)
	}, []string{"note Misnamed Ledger_1-4.committed", "note Misnamed ledger_48 (1)", "note Misnamed ledger_5-12.committed.txt", "note Misnamed snapshot_47_48.bak"}, ""},
	{"an empty file beside three whole ones", func(d *damaged) { d.add("ledger/ledger_5-28.committed", nil) }, []string{"error Overlap ledger_5-28.committed"}, ""},
	{"a cut file beside three whole ones", func(d *damaged) {
		d.add("ledger/ledger_5-28.committed", append(bytes.Clone(d.file(second).Content), make([]byte, 999)...))
	}, []string{"error Overlap ledger_5-28.committed"}, ""},
	{"an empty file that names more than a whole one", func(d *damaged) { d.add("ledger/ledger_5-20.committed", nil) }, []string{"error Overlap ledger_5-20.committed"}, ""},
	{"a closed file that is not committed", func(d *damaged) { *d.file(last) = ccfwriter.Uncommitted(*d.file(last)) }, nil, ""},
	{"only a snapshot", func(d *damaged) { d.files = []ccfwriter.File{*d.file(shot)} }, []string{"error NoLedger"}, "-"},
	{"no file", func(d *damaged) { d.files = nil }, []string{"error NoLedger"}, "-"},
	{"no signature", func(d *damaged) { d.files = d.files[:1]; _, to := d.entry("ledger_1-4", 0); d.cut("ledger_1-4", to) }, []string{"error FileCut ledger_1-4.committed 2.2", "error NoSignature", "note UnsignedTail 2.1"}, "-"},
	{"a snapshot, and the files after it", func(d *damaged) { d.files = []ccfwriter.File{*d.file(open), *d.file(shot)} }, nil, ""},
	{"a bad snapshot, and the files after it", func(d *damaged) { d.flipAt(shot, 99); d.files = []ccfwriter.File{*d.file(open), *d.file(shot)} }, []string{"error SnapshotWrong " + shot, "error BeginningMissing ledger_48", "note IdentityUnknown"}, ""},
	{"a bit of the snapshot's public part", func(d *damaged) { d.flipByte(shot, "value", 0) }, []string{"error SnapshotWrong " + shot}, ""},
	{"a bit of the snapshot's private part", func(d *damaged) { d.flipByte(shot, `{"cert"`, -1) }, []string{"error SnapshotWrong " + shot}, ""},
	{"the snapshot is cut", func(d *damaged) { d.cut(shot, 500) }, []string{"error SnapshotWrong " + shot}, ""},
	{"the snapshot has no receipt", func(d *damaged) { d.cut(shot, bytes.LastIndex(d.file(shot).Content, []byte(`{"cert"`))) }, []string{"error SnapshotWrong " + shot}, ""},
	{"the snapshot has 0 bytes", func(d *damaged) { d.cut(shot, 0) }, []string{"error SnapshotWrong " + shot}, ""},
	{"a bit of the receipt's signature", func(d *damaged) { d.flipByte(shot, `"signature":"`, 30) }, []string{"error SnapshotWrong " + shot}, ""},
	{"a bit of the receipt's proof", func(d *damaged) { d.flipByte(shot, `"left":"`, 9) }, []string{"error SnapshotWrong " + shot}, ""},
	{"a snapshot of another service", func(d *damaged) {
		d.file(shot).Content = foreign().file("snapshot_").Content
	}, []string{"error SnapshotWrong " + shot}, ""},
	{"a snapshot that is not committed", func(d *damaged) { f := d.file(shot); f.Name = strings.TrimSuffix(f.Name, ".committed") }, []string{"note LeftOut snapshot_47_48"}, ""},
	{"an older copy that is whole", func(d *damaged) { d.remove(last, open, shot) }, nil, "2.44"},
}

func (d *damaged) flipAt(name string, offset int) {
	content := d.file(name).Content
	if offset < 0 {
		offset += len(content)
	}
	content[offset] ^= 1
}

func TestDamages(t *testing.T) {
	for _, c := range damages {
		t.Run(c.name, func(t *testing.T) {
			d := base()
			c.damage(d)
			for _, every := range []bool{false, true} {
				want := c.want
				if every && c.name == "a bit of a node's signature" { // the next signature is enough unless each is verified
					want = append([]string{"error SignatureWrong 2.20"}, want...)
				}
				r := verify(t, d.files, ccf.Options{EverySignature: every})
				if diff := cmp.Diff(want, found(r), cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("every %v: %s\n%+v", every, diff, r)
				}
				signed := map[string]string{"": "2.53", "-": ""}[c.signed]
				if c.signed != "" && c.signed != "-" {
					signed = c.signed
				}
				if r.Signed != signed {
					t.Errorf("signed %q, not %q", r.Signed, signed)
				}
			}
		})
	}
}

// TestDamagesAreDocumented compares the table of damages in docs/ledger.md with the damages above.
func TestDamagesAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../../../docs/ledger.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## Damages\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var got []string
	for line := range strings.Lines(section) {
		if strings.HasPrefix(line, "| ") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	want := []string{"| damage | findings | proven up to |"}
	for _, c := range damages[1:] {
		want = append(want, documented(c.name, c.want, c.signed))
	}
	if diff := cmp.Diff(strings.Join(want, "\n"), strings.Join(got, "\n")); diff != "" {
		t.Error(diff)
	}
}

// documented is the row of a damage: the findings without the names of files, in which only the notes are named as such.
func documented(name string, findings []string, signed string) string {
	cells := []string{}
	for _, f := range findings {
		words := strings.Fields(f)
		cell := "`" + words[1] + "`"
		if words[0] == "note" {
			cell = "note " + cell
		}
		if id := words[len(words)-1]; len(words) > 2 && id[0] >= '0' && id[0] <= '9' {
			cell += " " + id
		}
		cells = append(cells, cell)
	}
	found := strings.Join(cells, ", ")
	if found == "" {
		found = "none"
	}
	switch signed {
	case "":
		signed = "2.53"
	case "-":
		signed = "nothing"
	}
	return "| " + name + " | " + found + " | " + signed + " |"
}
