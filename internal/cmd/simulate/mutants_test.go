package main

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMutantsFitTheCode checks that every bug of the tables still fits the code: its text stands there once, and the changed
// file is valid Go. Only "make mutants" shows that each bug is caught.
func TestMutantsFitTheCode(t *testing.T) {
	bugs := map[string]interface {
		apply(root string) ([]byte, error)
	}{}
	for _, m := range mutants {
		bugs[m.name] = m
	}
	for _, e := range edges {
		bugs[e.name] = e
	}
	if len(bugs) != len(mutants)+len(edges) {
		t.Errorf("%d bugs have %d names", len(mutants)+len(edges), len(bugs))
	}
	for name, bug := range bugs {
		t.Run(name, func(t *testing.T) {
			text, err := bug.apply("../../..")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := parser.ParseFile(token.NewFileSet(), name, text, 0); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestEdgesHaveTheirTests checks that the test of each bug exists.
func TestEdgesHaveTheirTests(t *testing.T) {
	for _, e := range edges {
		pkg, test, _ := strings.Cut(e.test, " ")
		files, err := filepath.Glob(filepath.Join("../../..", pkg, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			found += strings.Count(string(text), "\nfunc "+test+"(t *testing.T)")
		}
		if found != 1 {
			t.Errorf("%s: there are %d of the test %s", e.name, found, e.test)
		}
	}
}
