package main

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// site is a place in the code for a mechanical bug: the bytes from one offset to another of a file get another text.
type site struct {
	// pkg and file are relative to the module's folder.
	pkg, file string
	line      int
	kind      string
	from, to  int
	text      string
}

// The kinds of bugs.
const (
	negated = "condition negated"
	bound   = "bound off by one"
	dropped = "statement dropped"
)

// name says where the bug is, and of what kind.
func (s site) name() string { return fmt.Sprintf("%s:%d %s", s.file, s.line, s.kind) }

// apply returns the file's text with the bug in it.
func (s site) apply(text []byte) []byte {
	return slices.Concat(text[:s.from], []byte(s.text), text[s.to:])
}

// bounds are the comparisons, and each with its bound off by one.
var bounds = map[token.Token]string{token.LSS: "<=", token.LEQ: "<", token.GTR: ">=", token.GEQ: ">"}

// read returns the places of a package's files for bugs, in the order of the files and lines.
func read(pkg string) ([]site, error) {
	files, err := filepath.Glob(filepath.Join(pkg, "*.go"))
	if err != nil {
		return nil, err
	}
	var all []site
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		sites, err := parse(pkg, file, text)
		if err != nil {
			return nil, err
		}
		all = append(all, sites...)
	}
	return all, nil
}

func parse(pkg, file string, text []byte) ([]site, error) {
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, file, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var all []site
	add := func(kind string, from, to token.Pos, with string) {
		p := set.Position(from)
		all = append(all, site{pkg, file, p.Line, kind, p.Offset, set.Position(to).Offset, with})
	}
	negate := func(x ast.Expr) {
		was := text[set.Position(x.Pos()).Offset:set.Position(x.End()).Offset]
		add(negated, x.Pos(), x.End(), "!("+string(was)+")")
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.IfStmt:
			negate(n.Cond)
		case *ast.SwitchStmt:
			if n.Tag != nil {
				break
			}
			for _, c := range n.Body.List {
				for _, x := range c.(*ast.CaseClause).List {
					negate(x)
				}
			}
		case *ast.BinaryExpr:
			if with := bounds[n.Op]; with != "" {
				add(bound, n.OpPos, n.OpPos+token.Pos(len(n.Op.String())), with)
			}
		case *ast.ExprStmt, *ast.IncDecStmt, *ast.BranchStmt, *ast.DeferStmt:
			add(dropped, n.Pos(), n.End(), "")
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				add(dropped, n.Pos(), n.End(), "")
			}
		}
		return true
	})
	for i := range all { // the statement's lines stay, so that the lines behind it keep their numbers
		if s := &all[i]; s.kind == dropped {
			s.text = strings.Repeat("\n", bytes.Count(text[s.from:s.to], []byte("\n")))
		}
	}
	slices.SortStableFunc(all, func(a, b site) int { return cmp.Compare(a.from, b.from) })
	return all, nil
}
