package main

import (
	"fmt"
	"os"
	"path/filepath"

	"lifeboat/internal/testing/fakeazure/ccfwriter"
)

// made are the ledgers that are made: so many transactions of one size, and a signature after so many of them.
var made = []struct {
	name                                  string
	count, public, private, every, chunks int
}{
	{"made-every-100", 100_000, 1000, 0, 100, 4500},
	{"made-every-5000", 100_000, 1000, 0, 5000, 5000},
	{"made-private", 200_000, 0, 100, 1000, 20_000},
}

func names() (list []string) {
	for _, m := range made {
		list = append(list, m.name)
	}
	return list
}

// makes writes the ledger of a name into its folder.
func makes(name, into string) error {
	for _, m := range made {
		if m.name != name {
			continue
		}
		l := ccfwriter.New(ccfwriter.V6, 1)
		l.Open()
		for n := 1; n <= m.count; n++ {
			var writes []ccfwriter.Write
			if m.public > 0 {
				writes = append(writes, ccfwriter.Write{Table: "public:records", Key: fmt.Sprint(n % 1000), Value: make([]byte, m.public)})
			}
			l.Transact(m.private, writes...)
			switch {
			case n%m.chunks == 0:
				l.Close()
			case n%m.every == 0:
				l.Sign()
			}
		}
		l.Sign()
		part := filepath.Join(into, name+".part")
		if err := os.MkdirAll(part, 0o755); err != nil {
			return err
		}
		for _, f := range l.Files() {
			if err := os.WriteFile(filepath.Join(part, filepath.Base(f.Name)), f.Content, 0o644); err != nil {
				return err
			}
		}
		return os.Rename(part, filepath.Join(into, name))
	}
	return fmt.Errorf("there is no ledger %s", name)
}
