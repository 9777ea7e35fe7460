package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestSites lists the bugs of a small file, and puts each into it.
func TestSites(t *testing.T) {
	const text = `package p

func f(a, b int) (n int) {
	defer g()
	switch {
	case a < b:
		n++
	}
	for a >= 0 {
		if !h(a) {
			break
		}
		n = b
		a := n
		g(a,
			b)
	}
	return n
}
`
	sites, err := parse("./p", "p/p.go", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range sites {
		line := strings.Split(string(s.apply([]byte(text))), "\n")[s.line-1]
		got = append(got, fmt.Sprintf("%d %s: %s", s.line, s.kind, strings.TrimSpace(line)))
	}
	want := []string{
		"4 statement dropped: ", "6 condition negated: case !(a < b):", "6 bound off by one: case a <= b:", "7 statement dropped: ",
		"9 bound off by one: for a > 0 {", "10 condition negated: if !(!h(a)) {", "11 statement dropped: ", "13 statement dropped: ", "15 statement dropped: ",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestALogGoesOn: a result in the file is not tried again; a line that was cut off, and an error, are no results.
func TestALogGoesOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	tried := 0
	outcomes := map[int]error{0: nil, 1: errNoGo, 2: errors.New("cut off")}
	for round := range 3 {
		l, err := openLog(path)
		if err != nil {
			t.Fatal(err)
		}
		for i, fails := range outcomes {
			caught, err := l.meet(t.Context(), site{file: "f", line: i}, func(context.Context) (string, error) {
				tried++
				if fails != nil {
					return "", fails
				}
				return "p", nil
			})
			if !errors.Is(err, fails) || (caught == "p") != (fails == nil) {
				t.Errorf("round %d, %d: %q, %v", round, i, caught, err)
			}
		}
		if _, err := l.file.WriteString("f:9 , byte 0\tp"); err != nil {
			t.Fatal(err)
		}
		if err := l.file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if tried != 3+1+1 {
		t.Errorf("%d bugs were tried", tried)
	}
}

// TestTryDrawsAgain: bugs that do not compile do not count, and the results are the same whatever takes longer.
func TestTryDrawsAgain(t *testing.T) {
	all := make([]site, 20)
	for i := range all {
		all[i].line = i
	}
	results, err := try(t.Context(), all, 5, func(_ context.Context, i int) (string, error) {
		if i%2 == 1 {
			return "", errNoGo
		}
		return fmt.Sprint("p", i), nil
	})
	var lines []int
	for _, r := range results {
		lines = append(lines, r.site.line)
	}
	if err != nil || !slices.Equal(lines, []int{0, 2, 4, 6, 8}) || results[2].caught != "p4" {
		t.Errorf("%v, %+v", err, results)
	}
	broken := errors.New("broken")
	if _, err := try(t.Context(), all, 5, func(context.Context, int) (string, error) { return "", broken }); !errors.Is(err, broken) {
		t.Errorf("want the error: %v", err)
	}
}

// TestSurvivorsAreThere: each survivor is a place in the code, so that a reason does not outlive it.
func TestSurvivorsAreThere(t *testing.T) {
	t.Chdir("../../..")
	known, err := readReasons()
	if err != nil {
		t.Fatal(err)
	}
	packages, err := product(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) < 20 || packages[0].path != "./" || !slices.ContainsFunc(packages, func(p tested) bool {
		return p.path == "./internal/retention" && p.meets[0] == p.path && slices.Contains(p.meets, "./internal/engine")
	}) {
		t.Errorf("the product is %+v", packages)
	}
	n := 0
	for _, p := range packages {
		sites, err := read(p.path)
		if err != nil {
			t.Fatal(err)
		}
		n += len(sites)
		for _, s := range sites {
			if line, err := s.source(); err == nil {
				delete(known, survivor{s.file, s.kind, line})
			}
		}
	}
	if len(known) > 0 || n < 5000 {
		t.Errorf("%d places; of these survivors there is none: %v", n, known)
	}
}
