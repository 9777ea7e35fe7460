// Command azcommands finds the commands of Azure CLI that the repository gives to people: in its pages, in what the program says, and in
// its scripts and templates. It prints each as a line of JSON, with the place that has it.
//
//	azcommands FOLDER
//
// The tests of "make azure-clients" have Azure CLI's own parser read them.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: azcommands FOLDER")
		os.Exit(2)
	}
	commands, err := repository(os.Args[1])
	out := json.NewEncoder(os.Stdout)
	for _, c := range commands {
		err = errors.Join(err, out.Encode(c))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "azcommands:", err)
		os.Exit(1)
	}
}

// command is a command of Azure CLI that a person is given.
type command struct {
	Place string   `json:"place"` // the file and its line
	Words []string `json:"words"` // the words after az
	// Prose says that it stands in a sentence, which may name a command without its options.
	Prose bool `json:"prose"`
}

// repository returns the commands of all files in the folder that give people some.
func repository(folder string) (all []command, err error) {
	err = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if entry.IsDir() {
			switch {
			case name == ".": // its own name may begin with a dot
				return nil
			case strings.HasPrefix(entry.Name(), "."), entry.Name() == "testdata", name == "build", name == "internal/testing", name == "internal/cmd":
				return filepath.SkipDir
			}
			return nil
		}
		read := readers[filepath.Ext(name)]
		if read == nil || strings.HasSuffix(name, "_test.go") || name == "CHANGELOG.md" { // it tells of the past
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		found, err := read(name, string(text))
		all = append(all, found...)
		return err
	})
	return all, err
}

// readers read a file, by the end of its name.
var readers = map[string]func(name, text string) ([]command, error){
	".md": page, ".go": source, ".bicep": template, ".sh": script, ".ps1": script, ".yml": script, ".yaml": script,
}

var (
	block = regexp.MustCompile("(?ms)^ *```\\w*\n(.*?)^ *```$")
	span  = regexp.MustCompile("(?s)`([^`]+?)`")
)

// page reads a page in Markdown: its blocks, and the code in its sentences, which may begin on a line and end on the next.
func page(name, text string) (all []command, _ error) {
	for _, at := range block.FindAllStringSubmatchIndex(text, -1) {
		all = append(all, part{name, line(text, at[2]), text[at[2]:at[3]]}.commands(onPage)...)
	}
	sentences := block.ReplaceAllStringFunc(text, func(in string) string { return strings.Repeat("\n", strings.Count(in, "\n")) })
	for _, at := range span.FindAllStringSubmatchIndex(sentences, -1) {
		code := strings.Join(strings.Fields(sentences[at[2]:at[3]]), " ")
		all = append(all, part{name, line(sentences, at[2]), code}.commands(inSentence)...)
	}
	return all, nil
}

// source reads the texts of a file in Go: each together with the texts that the code adds to it, and with the next one if a command goes
// on there.
func source(name, text string) (all []command, _ error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	seen := map[ast.Node]bool{}
	add := func(list ...ast.Expr) {
		for i := 0; i < len(list); i++ {
			p := part{name, files.Position(list[i].Pos()).Line, value(list[i], seen)}
			for strings.HasSuffix(p.text, `\`) && i+1 < len(list) {
				i++
				p.text += "\n" + value(list[i], seen)
			}
			all = append(all, p.commands(inSentence)...)
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if seen[n] {
			return true
		}
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.CallExpr:
			add(n.Args...)
		case *ast.CompositeLit:
			add(n.Elts...)
		case *ast.BasicLit, *ast.BinaryExpr:
			add(n.(ast.Expr))
		}
		return true
	})
	return all, nil
}

// value returns the text of an expression. Where the program puts something in, a word stands for it.
func value(e ast.Expr, seen map[ast.Node]bool) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		seen[e] = true
		if text, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			return text
		}
	case *ast.BinaryExpr:
		if e.Op == token.ADD {
			seen[e] = true
			return value(e.X, seen) + value(e.Y, seen)
		}
	}
	return "VALUE"
}

var quoted = regexp.MustCompile(`'(?:[^'\\]|\\.)*'|//.*`)

// template reads the texts and the comments of a template in Bicep.
func template(name, text string) (all []command, _ error) {
	n := 0
	for row := range strings.Lines(text) {
		n++
		for _, one := range quoted.FindAllString(strings.TrimSuffix(row, "\n"), -1) {
			all = append(all, part{name, n, strings.Trim(one, "'")}.commands(inSentence)...)
		}
	}
	return all, nil
}

// script reads a script of a shell, with what it prints.
func script(name, text string) ([]command, error) { return part{name, 1, text}.commands(inScript), nil }

func line(text string, at int) int { return 1 + strings.Count(text[:at], "\n") }

// part is a part of a file, from a line on.
type part struct {
	file string
	line int
	text string
}

// kind is the kind of text that a command stands in.
type kind int

const (
	// inSentence is a text that may name a command without its options.
	inSentence kind = iota
	// inScript is a script, and what it prints.
	inScript
	// onPage is a block of a page, where the twin of a quotation mark may stand on a later line.
	onPage
)

var (
	// begin finds the beginning of a command. A word after "-o az" is no command.
	begin   = regexp.MustCompile(`(?:^|[^\w./$-])az ([a-z][a-z-]*)`)
	comment = regexp.MustCompile(`(?m)^[ \t]*#.*\z`)
	// verbs follow az in sentences about it.
	verbs = map[string]bool{"cannot": true, "is": true, "runs": true}
)

// commands finds each az in the part, wherever it stands: a shell's words after it, up to where the shell or the sentence ends them.
func (p part) commands(k kind) (all []command) {
	for _, at := range begin.FindAllStringSubmatchIndex(p.text, -1) {
		before := p.text[:at[2]]
		if verbs[p.text[at[2]:at[3]]] || strings.HasSuffix(before, "-o az ") {
			continue
		}
		rest := p.text[at[2]:]
		open := before[strings.LastIndexByte(before, '\n')+1:]
		open = open[strings.LastIndex(open, "$(")+1:]
		if k == inScript && strings.Count(open, `"`)%2 == 1 { // the script prints it
			rest, _, _ = strings.Cut(rest, `"`)
		}
		place := fmt.Sprintf("%s:%d", p.file, p.line+strings.Count(before, "\n"))
		all = append(all, command{place, words(rest, k == onPage), k == inSentence || k == inScript && comment.MatchString(before)})
	}
	return all
}

// words takes the words of a shell's command apart. A variable, or another command in it, stays as it is written.
func words(text string, later bool) (all []string) {
	var word strings.Builder
	in := false // a word has begun
	end := func() {
		if in {
			all = append(all, word.String())
		}
		word.Reset()
		in = false
	}
	for i := 0; i < len(text); i++ {
		rest := text[i:]
		switch c := text[i]; {
		case strings.HasPrefix(rest, "\\\n"), strings.HasPrefix(rest, "\\\\\n"): // the second one in a text of a script
			end()
			i += strings.Index(rest, "\n")
		case c == ' ', c == '\t':
			end()
		case strings.IndexByte("\n|;&)`", c) >= 0, c == '#' && !in:
			end()
			return all
		case c == '<', c == '>':
			if word.Len() == 1 && word.String() >= "0" && word.String() <= "9" {
				word.Reset() // the number of the stream
				in = false
			}
			end()
			i += len(redirected.FindString(rest)) - 1
		case strings.IndexByte(".,:", c) >= 0 && (len(rest) == 1 || rest[1] == ' ' || rest[1] == '\n'): // a sentence's
			end()
			return all
		case c == '\'', c == '"':
			n := closing(rest, later)
			if n < 0 { // it ends the text around the command
				end()
				return all
			}
			in = true
			word.WriteString(strings.ReplaceAll(rest[1:n], `\"`, `"`))
			i += n
		case strings.HasPrefix(rest, "$("), strings.HasPrefix(rest, "${"):
			n := nested(rest)
			in = true
			word.WriteString(rest[:n])
			i += n - 1
		case c == '\\' && len(rest) > 1:
			in = true
			i++
			word.WriteByte(text[i])
		default:
			in = true
			word.WriteByte(c)
		}
	}
	end()
	return all
}

var redirected = regexp.MustCompile(`^[<>]+&?\s*[^\s;|&)]*`)

// closing returns where the quotation that the text begins with ends, or -1. It may end on a later line, or on this one alone.
func closing(text string, later bool) int {
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == text[0]:
			return i
		case text[i] == '\n' && !later:
			return -1
		case text[0] == '"' && text[i] == '\\':
			i++
		case text[0] == '"' && strings.HasPrefix(text[i:], "$("):
			i += nested(text[i:]) - 1
		}
	}
	return -1
}

// nested returns the length of the $(…) or ${…} that the text begins with.
func nested(text string) int {
	open, shut := text[1], byte(')')
	if open == '{' {
		shut = '}'
	}
	depth := 0
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case open:
			depth++
		case shut:
			if depth--; depth == 0 {
				return i + 1
			}
		case '\'', '"':
			if n := closing(text[i:], true); n > 0 {
				i += n
			}
		}
	}
	return len(text)
}
