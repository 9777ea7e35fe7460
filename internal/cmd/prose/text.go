package main

import (
	"bytes"
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// The functions below return a text as long as the file, so that an offset means the same place in both. Prose stands in it
// as in the file. Spaces replace marks inside of a paragraph, name replaces code and quotations, and end everything else.
const (
	end  = '\f'
	cell = '\v' // the end of a table's cell
	name = '~'
)

// goText returns the comments of a Go file and the constant named usage. It finds the declarations whose comment does not
// begin with their name.
func goText(src []byte) ([]byte, []finding, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "", src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, nil, err
	}
	at := func(pos token.Pos) int { return files.Position(pos).Offset }
	text := bytes.Repeat([]byte{end}, len(src))
	take := func(n ast.Node, marks []mark) {
		part := text[at(n.Pos()):at(n.End())]
		copy(part, src[at(n.Pos()):])
		replace(part, marks)
	}
	for _, group := range file.Comments {
		take(group, commentMarks)
	}
	for _, d := range file.Decls {
		for _, literal := range usage(d) {
			take(literal, helpMarks)
		}
	}
	replace(text, names)
	var found []finding
	ast.Inspect(file, func(n ast.Node) bool {
		for _, c := range commented(n) {
			first := strings.TrimLeft(c.doc.Text(), "*")
			for _, article := range []string{"A ", "An ", "The "} {
				first = strings.TrimPrefix(first, article)
			}
			if fields := strings.FieldsFunc(first, notInName); len(fields) > 0 && slices.Contains(c.names, fields[0]) {
				start := at(c.doc.Pos()) + len("// ")
				fill(text[start:start+bytes.IndexFunc(src[start:], notInName)], name) // a name may be any word
			} else if len(fields) > 0 && !c.optional {
				found = append(found, finding{at(c.doc.Pos()), doc, "the comment of " + c.names[0] + " begins with " + fields[0]})
			}
		}
		_, body := n.(*ast.BlockStmt)
		return !body
	})
	return text, found, nil
}

// actorless matches words that do not say who acts.
var actorless = regexp.MustCompile(`(?i)\b(nobody|somebody|anybody|whoever|by\s+itself)\b`)

// checkMessages finds such words in the string literals of a Go file.
func checkMessages(src []byte) (found []finding, err error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "", src, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
			for _, m := range actorless.FindAllStringIndex(l.Value, -1) {
				found = append(found, finding{files.Position(l.Pos()).Offset + m[0], actor, l.Value[m[0]:m[1]] + " in a message"})
			}
		}
		return true
	})
	return found, nil
}

// comment is the comment of a declaration and the names that it may begin with; the comment of a field need not.
type comment struct {
	doc      *ast.CommentGroup
	names    []string
	optional bool
}

// commented returns the comments of a function, field, type, constant or variable. The comment of a group is of none.
func commented(n ast.Node) (comments []comment) {
	add := func(doc *ast.CommentGroup, optional bool, names ...*ast.Ident) {
		c := comment{doc: doc, optional: optional}
		for _, n := range names {
			c.names = append(c.names, n.Name)
		}
		if doc != nil && len(names) > 0 && c.names[0] != "_" {
			comments = append(comments, c)
		}
	}
	switch n := n.(type) {
	case *ast.FuncDecl:
		add(n.Doc, false, n.Name)
	case *ast.Field:
		add(n.Doc, true, n.Names...)
	case *ast.GenDecl:
		for _, spec := range n.Specs {
			group := n.Doc
			if n.Lparen.IsValid() {
				group = nil
			}
			switch s := spec.(type) {
			case *ast.TypeSpec:
				add(cmp.Or(s.Doc, group), false, s.Name)
			case *ast.ValueSpec:
				add(cmp.Or(s.Doc, group), false, s.Names...)
			}
		}
	}
	return comments
}

// notInName tells whether a character ends a name in Go.
func notInName(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }

// usage lists the raw strings of a constant with that name: the help text of a command.
func usage(d ast.Decl) (literals []ast.Expr) {
	g, ok := d.(*ast.GenDecl)
	if !ok || g.Tok != token.CONST {
		return nil
	}
	for _, spec := range g.Specs {
		if s := spec.(*ast.ValueSpec); s.Names[0].Name == "usage" {
			literals = append(literals, s.Values...)
		}
	}
	return literals
}

// mark is a part of a text that is replaced.
type mark struct {
	pattern *regexp.Regexp
	with    byte
}

var (
	commentMarks = []mark{
		{regexp.MustCompile(`(?m)^[ \t]*//(go:|nolint|line |export |\t|[ \t]*$).*$`), end}, // for tools, code, empty
		{regexp.MustCompile(`(?m)^[ \t]*// *([-*#]|[0-9]+\.) `), end},
		{regexp.MustCompile(`(?m)^[ \t]*//|/\*|\*/`), ' '},
	}
	helpMarks     = []mark{{regexp.MustCompile("[`\n]| {2,}"), end}}
	markdownMarks = []mark{
		{regexp.MustCompile("(?ms)^[ \\t]*```.*?^[ \\t]*```[^\\n]*$|<!--.*?-->"), end},
		{regexp.MustCompile(`(?m)^[ \t]*([-*>]|#+|[0-9]+\.) `), end},
		{regexp.MustCompile(`\n[ \t]*\n`), end},
		{regexp.MustCompile(`\]\([^)\s]*\)|\*+|[\[\]]`), ' '},
	}
	// names are code and quotations: others wrote these words, or they are no words.
	names = []mark{{regexp.MustCompile("``?[^`\f\v]*``?|\"[^\"\f\v]*\"|“[^”\f\v]*”|https?://[^\\s\f\v]+"), name}}

	tableRow   = regexp.MustCompile(`(?m)^\|.*\n`)
	headingEnd = regexp.MustCompile(`(?m)^#.*\n`)
	targetHelp = regexp.MustCompile(`(?m)^[a-z-]+:.*?## (.*)$`)
)

func replace(text []byte, marks []mark) {
	for _, m := range marks {
		for _, at := range m.pattern.FindAllIndex(text, -1) {
			fill(text[at[0]:at[1]], m.with)
		}
	}
}

// makeText returns the help texts of the targets of a Makefile.
func makeText(src []byte) ([]byte, []finding, error) {
	text := bytes.Repeat([]byte{end}, len(src))
	for _, help := range targetHelp.FindAllSubmatchIndex(src, -1) {
		copy(text[help[2]:help[3]], src[help[2]:help[3]])
	}
	replace(text, names)
	return text, nil, nil
}

// markdownText returns the paragraphs, headings, list items and table cells of a Markdown file.
func markdownText(src []byte) ([]byte, []finding, error) {
	text := bytes.Clone(src)
	for _, at := range headingEnd.FindAllIndex(src, -1) {
		text[at[1]-1] = end
	}
	for _, at := range tableRow.FindAllIndex(src, -1) {
		row := text[at[0]:at[1]]
		copy(row, bytes.ReplaceAll(row, []byte("|"), []byte{cell}))
		row[len(row)-1] = cell
	}
	replace(text, markdownMarks)
	replace(text, names)
	return text, nil, nil
}

func fill(text []byte, with byte) {
	for i := range text {
		text[i] = with
	}
}
