package main

import (
	_ "embed"
	"fmt"
	"strings"
)

// survivor is a bug that no test catches. The line's text stands for its place, since numbers of lines change.
type survivor struct{ file, kind, line string }

// reasons has a line for each survivor: the file, the kind, the source line, and why no test can or need catch it, with tabs between.
//
//go:embed survivors.txt
var reasons string

func readReasons() (map[survivor]string, error) {
	all := map[survivor]string{}
	for i, line := range strings.Split(strings.TrimSpace(reasons), "\n") {
		if line == "" {
			continue
		}
		fields := strings.Split(line, "\t")
		if len(fields) != 4 || fields[3] == "" {
			return nil, fmt.Errorf("survivors.txt:%d has %d fields, want 4", i+1, len(fields))
		}
		all[survivor{fields[0], fields[1], fields[2]}] = fields[3]
	}
	return all, nil
}
