package ccf

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// Copies says why a folder has several copies of a ledger: a file of one copy would hide a damage of another one. Root names the folder
// for people.
func Copies(ctx context.Context, root string, source Source) error {
	l := arrange(source)
	name := func(folder string) string { return path.Join(root, folder) }
	several := l.mixed
	if l.shared {
		for _, c := range l.chunks {
			several = append(several, path.Dir(c.file.Name))
		}
	}
	slices.Sort(several)
	if several = slices.Compact(several); len(several) > 1 {
		for i := range several {
			several[i] = name(several[i])
		}
		return fmt.Errorf("%s has several copies of a ledger, in the folders %s: name one of them", root, listing(several))
	}
	named := map[string]File{}
	for _, f := range l.parsed {
		base := path.Base(f.Name)
		other, twice := named[base]
		if !twice {
			named[base] = f
			continue
		}
		same, err := equal(ctx, source, other, f)
		if err != nil {
			return err
		}
		if !same {
			return fmt.Errorf("%s has several copies of a ledger: the file %s in the folder %s is another one than in %s: name one of the folders",
				root, base, name(path.Dir(other.Name)), name(path.Dir(f.Name)))
		}
	}
	return nil
}

// mostListed bounds a list in a sentence.
const mostListed = 4

func listing(names []string) string {
	rest := ""
	if n := len(names) - mostListed; n > 0 {
		names, rest = names[:mostListed], fmt.Sprintf(" and %d more", n)
	}
	if rest == "" && len(names) > 1 {
		n := len(names) - 1
		names, rest = names[:n], " and "+names[n]
	}
	return strings.Join(names, ", ") + rest
}

// equal compares the bytes of two files.
func equal(ctx context.Context, source Source, a, b File) (bool, error) {
	if a.Size != b.Size || a.Size == 0 {
		return a.Size == b.Size, nil
	}
	var readers [2]io.Reader
	for i, f := range []File{a, b} {
		r, err := source.Open(ctx, f.Name, 0)
		if err != nil {
			return false, unreadable(f, err)
		}
		defer r.Close()
		readers[i] = io.LimitReader(r, f.Size)
	}
	var buffers [2][64 << 10]byte
	for left := a.Size; left > 0 && ctx.Err() == nil; {
		n := int(min(left, int64(len(buffers[0]))))
		for i, f := range []File{a, b} {
			if _, err := io.ReadFull(readers[i], buffers[i][:n]); err != nil {
				return false, unreadable(f, err)
			}
		}
		if !bytes.Equal(buffers[0][:n], buffers[1][:n]) {
			return false, nil
		}
		left -= int64(n)
	}
	return true, ctx.Err()
}
