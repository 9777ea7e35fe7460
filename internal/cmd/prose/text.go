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
	for _, group := range file.Comments {
		fill(text[at(group.Pos()):at(group.End())], ' ')
		for _, c := range group.List {
			commentText(text[at(c.Pos()):at(c.End())], src[at(c.Pos()):at(c.End())])
		}
	}
	for _, d := range file.Decls {
		for _, literal := range usage(d) {
			helpText(text[at(literal.Pos()):at(literal.End())], src[at(literal.Pos()):at(literal.End())])
		}
	}
	nameAll(text)
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

// directive matches comments for tools, and codeLine matches a line of code in a comment.
var (
	directive = regexp.MustCompile(`^//(go:|nolint|line |export )`)
	codeLine  = regexp.MustCompile(`^\s*(//)?(\t| {4,})`)
	listItem  = regexp.MustCompile(`^\s*(//)?\s*([-*#>]+|[0-9]+\.)\s`)
)

// commentText copies a comment without its marks. An empty line, a list item and a line of code end the paragraph.
func commentText(text, src []byte) {
	block := bytes.HasPrefix(src, []byte("/*"))
	start := 0
	for line := range bytes.Lines(src) {
		out := text[start : start+len(line)]
		start += len(line)
		item := listItem.Find(line)
		rest := bytes.TrimRight(bytes.Trim(line, "/* \t\n"), " ")
		switch {
		case directive.Match(line), len(rest) == 0, !block && item == nil && codeLine.Match(line):
			fill(out, end)
		default:
			from := max(len(item), bytes.Index(line, rest))
			copy(out[from:], bytes.TrimSuffix(line[from:], []byte("*/")))
			if item != nil {
				out[0] = end
			}
		}
	}
}

// helpText copies a text with columns: two spaces or a new line begin another paragraph.
func helpText(text, src []byte) {
	copy(text, src)
	for _, gap := range regexp.MustCompile("[`\n]| {2,}").FindAllIndex(text, -1) {
		fill(text[gap[0]:gap[1]], end)
	}
}

// makeText returns the help texts of the targets of a Makefile.
func makeText(src []byte) ([]byte, []finding, error) {
	text := bytes.Repeat([]byte{end}, len(src))
	for _, help := range regexp.MustCompile(`(?m)^[a-z-]+:.*?## (.*)$`).FindAllSubmatchIndex(src, -1) {
		copy(text[help[2]:help[3]], src[help[2]:help[3]])
	}
	nameAll(text)
	return text, nil, nil
}

// markdownText returns the paragraphs, headings, list items and table cells of a Markdown file.
func markdownText(src []byte) ([]byte, []finding, error) {
	text := bytes.Clone(src)
	start, fence := 0, ""
	for line := range bytes.Lines(src) {
		out := text[start : start+len(line)]
		start += len(line)
		trimmed := strings.TrimSpace(string(line))
		switch {
		case fence != "":
			if strings.HasPrefix(trimmed, fence) {
				fence = ""
			}
			fill(out, end)
		case strings.HasPrefix(trimmed, "```"), strings.HasPrefix(trimmed, "~~~"):
			fence = trimmed[:3]
			fill(out, end)
		case trimmed == "":
			fill(out, end)
		default:
			fill(out[:len(listItem.Find(line))], end)
			if strings.HasPrefix(trimmed, "|") || strings.HasPrefix(trimmed, "#") {
				out[len(out)-1] = end
			}
			if strings.HasPrefix(trimmed, "|") {
				copy(out, bytes.ReplaceAll(out, []byte("|"), []byte{cell}))
			}
		}
	}
	for _, m := range regexp.MustCompile(`\]\([^)\s]*\)|<!--[\s\S]*?-->|\*+|[\[\]]`).FindAllIndex(text, -1) {
		fill(text[m[0]:m[1]], ' ')
	}
	nameAll(text)
	return text, nil, nil
}

// nameAll replaces code and quotations: others wrote these words, or they are no words.
func nameAll(text []byte) {
	for _, m := range regexp.MustCompile("``?[^`\f\v]*``?|\"[^\"\f\v]*\"|“[^”\f\v]*”|https?://[^\\s\f\v]+").FindAllIndex(text, -1) {
		fill(text[m[0]:m[1]], name)
	}
}

func fill(text []byte, with byte) {
	for i := range text {
		text[i] = with
	}
}
