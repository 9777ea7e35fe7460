package ccf

import (
	"cmp"
	"path"
	"slices"
	"strconv"

	"lifeboat/internal/pattern"
)

// chunk is a file of the ledger, by its name: last is 0 if the name does not have it.
type chunk struct {
	file        File
	first, last uint64
	committed   bool
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
}

// arrange sorts the files by their names, and says which of them are left out.
func arrange(files []File) layout {
	var l layout
	var closed, open []chunk
	others, first := 0, ""
	files = slices.Clone(files)
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
	l.keep(closed, open)
	l.keepSnapshots()
	return l
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

// keep leaves out the files that claim transactions of another one.
func (l *layout) keep(closed, open []chunk) {
	byFirst := func(a, b chunk) int {
		return cmp.Or(cmp.Compare(a.first, b.first), -cmp.Compare(a.last, b.last), -cmp.Compare(a.file.Size, b.file.Size), cmp.Compare(a.file.Name, b.file.Name))
	}
	slices.SortFunc(closed, byFirst)
	slices.SortFunc(open, byFirst)
	end := uint64(0)
	for _, c := range closed {
		if c.first > end {
			l.chunks, end = append(l.chunks, c), c.last
			continue
		}
		kept := l.chunks[len(l.chunks)-1]
		text := "its transactions are also those of " + kept.file.Name + ", which is read"
		if kept.first == c.first && kept.last == c.last && kept.file.Size == c.file.Size {
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
			// It is the committed file before its new name, or a copy of it.
		case in >= 0:
			l.note(LeftOut, c.file, "its transactions are also those of "+covered[in].file.Name+", which is read")
		case same >= 0:
			l.note(LeftOut, c.file, "its transactions are also those of "+l.chunks[same].file.Name+", which is read")
		default:
			l.chunks = append(l.chunks, c)
		}
	}
	slices.SortFunc(l.chunks, byFirst)
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
