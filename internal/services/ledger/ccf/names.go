package ccf

import (
	"cmp"
	"path"
	"slices"
	"strconv"
	"strings"

	"lifeboat/internal/pattern"
)

// chunk is a file of the ledger, by its name: last is 0 if the name does not have it.
type chunk struct {
	file        File
	first, last uint64
	committed   bool
	beside      int // the files of a ledger in its folder
}

// snapshotFile is a snapshot, by its name. Names of 1.x end with the transaction that committed the evidence; its snapshots have no receipt.
type snapshotFile struct {
	file            File
	seqno, evidence uint64
	receiptless     bool
}

var (
	chunkName    = pattern.New(`^ledger_([1-9]\d{0,17})(?:-([1-9]\d{0,17}))?(\.committed)?(\.(?:recovery|ignored|corrupted|committed_prefix).*)?$`)
	snapshotName = pattern.New(`^snapshot_([1-9]\d{0,17})_([1-9]\d{0,17})(?:\.committed(_[1-9]\d{0,17})?)?$`)
	committed    = pattern.New(`\.committed(_\d+)?$`)
)

// layout holds the files of a copy, as their names sort them.
type layout struct {
	chunks    []chunk // the files that are read, by their first transaction
	snapshots []snapshotFile
	findings  []told
	parsed    []File   // all files that have the name of a chunk or a snapshot
	shared    bool     // two folders have the same transactions
	mixed     []string // such folders, where the files have other names
}

// arrange sorts the files by their names, and says which of them are left out.
func arrange(source Source) layout {
	var l layout
	var closed, open []chunk
	others, first := 0, ""
	for _, f := range source.Unread {
		l.note(NotRead, File{Name: f.Name}, f.Why)
	}
	files := slices.Clone(source.Files)
	slices.SortFunc(files, func(a, b File) int { return cmp.Compare(a.Name, b.Name) })
	for _, file := range files {
		base := path.Base(file.Name)
		switch c, rest := parseChunk(file, base); {
		case c != nil && rest != "":
			l.note(LeftOut, file, "a node put it aside by its suffix "+rest)
		case c != nil && c.committed:
			closed = append(closed, *c)
		case c != nil:
			open = append(open, *c)
		default:
			s, ok := parseSnapshot(file, base)
			switch {
			case !ok && resembles(base):
				l.note(Misnamed, file, "it is not read: no file of a ledger and no snapshot has such a name")
			case !ok:
				if others++; others == 1 {
					first = file.Name
				}
			case !committed.MatchString(base):
				l.note(LeftOut, file, "a snapshot that is not committed")
			default:
				l.snapshots = append(l.snapshots, s)
			}
		}
	}
	if others > 0 {
		l.note(OtherFile, File{Name: first}, counted(others, "file")+" of no ledger and no snapshot, the first of them named here")
	}
	l.neighbours(closed, open)
	l.keep(closed, open)
	l.keepSnapshots()
	return l
}

// resembles says whether a name begins like that of a file of a ledger or a snapshot.
func resembles(base string) bool {
	lower := strings.ToLower(base)
	return strings.HasPrefix(lower, "ledger_") || strings.HasPrefix(lower, "snapshot_")
}

// neighbours counts the files of a ledger in each folder: of two equal files, the one among more others is read. It also lists all files
// that have the name of a chunk or a snapshot.
func (l *layout) neighbours(lists ...[]chunk) {
	folders := map[string]int{}
	for _, list := range lists {
		for _, c := range list {
			folders[path.Dir(c.file.Name)]++
			l.parsed = append(l.parsed, c.file)
		}
	}
	for _, list := range lists {
		for i := range list {
			list[i].beside = folders[path.Dir(list[i].file.Name)]
		}
	}
	for _, s := range l.snapshots {
		l.parsed = append(l.parsed, s.file)
	}
}

// hollow says whether a file is too short for the transactions in its name.
func (c chunk) hollow() bool {
	return uint64(c.file.Size) < headerBytes+(c.last-c.first+1)*(headerBytes+gcmBytes+sizeBytes+4)
}

// outweighed says whether the files after this one have all its transactions, and more bytes: then it is cut.
func (c chunk) outweighed(sorted []chunk) bool {
	next, total := c.first, int64(headerBytes)
	for _, o := range sorted {
		if o.first > c.last {
			break
		}
		if o.first == next && o.last <= c.last && (o.first != c.first || o.last != c.last) {
			next, total = o.last+1, total+o.file.Size-headerBytes
		}
	}
	return next == c.last+1 && total > c.file.Size
}

// good moves files to the end that are too short for their transactions.
func good(sorted []chunk) []chunk {
	var first, last []chunk
	for i, c := range sorted {
		if c.hollow() || c.outweighed(sorted[i+1:]) {
			last = append(last, c)
		} else {
			first = append(first, c)
		}
	}
	return append(first, last...)
}

func parseChunk(file File, base string) (c *chunk, rest string) {
	m := chunkName.FindStringSubmatch(base)
	if m == nil {
		return nil, ""
	}
	first, last := number(m[1]), number(m[2])
	if m[2] != "" && last < first || m[3] != "" && m[2] == "" {
		return nil, ""
	}
	return &chunk{file: file, first: first, last: last, committed: m[3] != ""}, m[4]
}

func parseSnapshot(file File, base string) (snapshotFile, bool) {
	m := snapshotName.FindStringSubmatch(base)
	if m == nil {
		return snapshotFile{}, false
	}
	return snapshotFile{file: file, seqno: number(m[1]), evidence: number(m[2]), receiptless: m[3] != ""}, true
}

// number reads digits that a pattern has found: they are at most 18.
func number(s string) uint64 {
	n, _ := strconv.ParseUint(s, 10, 64)
	return n
}

// byFirst is the order in which files are chosen.
func byFirst(a, b chunk) int {
	return cmp.Or(cmp.Compare(a.first, b.first), -cmp.Compare(a.last, b.last), -cmp.Compare(a.file.Size, b.file.Size), -cmp.Compare(a.beside, b.beside),
		cmp.Compare(a.file.Name, b.file.Name))
}

// keep leaves out the files that claim transactions of another one.
func (l *layout) keep(closed, open []chunk) {
	slices.SortFunc(closed, byFirst)
	slices.SortFunc(open, byFirst)
	for _, c := range good(closed) {
		at, _ := slices.BinarySearchFunc(l.chunks, c.first, func(k chunk, first uint64) int { return cmp.Compare(k.last, first) })
		if at == len(l.chunks) || l.chunks[at].first > c.last {
			l.chunks = slices.Insert(l.chunks, at, c)
			continue
		}
		kept := l.chunks[at]
		if text := l.instead(c, kept); kept.first == c.first && kept.last == c.last && kept.file.Size == c.file.Size {
			l.note(LeftOut, c.file, text)
		} else {
			l.fault(Overlap, c.file, text)
		}
	}
	covered := slices.Clone(l.chunks)
	for _, c := range open {
		in := slices.IndexFunc(covered, func(k chunk) bool { return k.first <= c.first && c.first <= k.last })
		same := slices.IndexFunc(l.chunks, func(k chunk) bool { return k.first == c.first })
		switch {
		case in >= 0 && covered[in].first == c.first && covered[in].file.Size == c.file.Size:
			l.instead(c, covered[in]) // it is the committed file before its new name, or a copy of it
		case in >= 0:
			l.note(LeftOut, c.file, l.instead(c, covered[in]))
		case same >= 0:
			l.note(LeftOut, c.file, l.instead(c, l.chunks[same]))
		default:
			l.chunks = append(l.chunks, c)
		}
	}
	slices.SortFunc(l.chunks, byFirst)
}

// instead says which file is read in place of another one.
func (l *layout) instead(c, kept chunk) string {
	if a, b := path.Dir(c.file.Name), path.Dir(kept.file.Name); a != b {
		l.shared = true
		if path.Base(c.file.Name) != path.Base(kept.file.Name) {
			l.mixed = append(l.mixed, a, b)
		}
	}
	return "its transactions are also those of " + kept.file.Name + ", which is read"
}

// keepSnapshots sorts the snapshots, and reads each once.
func (l *layout) keepSnapshots() {
	slices.SortFunc(l.snapshots, func(a, b snapshotFile) int {
		return cmp.Or(cmp.Compare(a.seqno, b.seqno), -cmp.Compare(a.evidence, b.evidence), -cmp.Compare(a.file.Size, b.file.Size), cmp.Compare(a.file.Name, b.file.Name))
	})
	kept := l.snapshots[:0]
	for _, s := range l.snapshots {
		if n := len(kept); n > 0 && kept[n-1].seqno == s.seqno {
			l.note(LeftOut, s.file, "its state is also that of "+kept[n-1].file.Name+", which is read")
			continue
		}
		kept = append(kept, s)
	}
	l.snapshots = kept
}

func (l *layout) note(code Code, file File, text string) {
	l.findings = append(l.findings, told{note, Finding{Code: code, File: file.Name, Text: text}})
}

func (l *layout) fault(code Code, file File, text string) {
	l.findings = append(l.findings, told{fault, Finding{Code: code, File: file.Name, Text: text}})
}
