package pattern_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestPatternsCompile compiles each expression of the program: a mistake in one would show at its first use alone. Expressions that
// are put together from constants are compiled by the tests of their packages.
func TestPatternsCompile(t *testing.T) {
	n := 0
	root := os.DirFS("../..")
	err := fs.WalkDir(root, "internal", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := fs.ReadFile(root, path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(node ast.Node) bool {
			call, ok := node.(*ast.CallExpr)
			if !ok || len(call.Args) != 1 {
				return true
			}
			selected, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || selected.Sel.Name != "New" {
				return true
			}
			if of, ok := selected.X.(*ast.Ident); !ok || of.Name != "pattern" {
				return true
			}
			if literal, ok := call.Args[0].(*ast.BasicLit); ok {
				expression, err := strconv.Unquote(literal.Value)
				if err == nil {
					_, err = regexp.Compile(expression)
				}
				if n++; err != nil {
					t.Errorf("%s: %v", path, err)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n < 30 {
		t.Errorf("only %d expressions", n)
	}
}
