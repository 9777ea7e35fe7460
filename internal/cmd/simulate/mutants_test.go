package main

import (
	"go/parser"
	"go/token"
	"testing"
)

// Every bug of the table still fits the code: its text stands there once, and what comes of it is Go. That each is caught
// is what "make mutants" shows.
func TestMutantsFitTheCode(t *testing.T) {
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			text, err := m.apply("../../..")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := parser.ParseFile(token.NewFileSet(), m.file, text, 0); err != nil {
				t.Error(err)
			}
		})
	}
}
