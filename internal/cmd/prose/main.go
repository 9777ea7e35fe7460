// Command prose checks the English of comments, documents and help texts, by rules that a program can check:
//
//	opening    no sentence begins with What, Who, Whoever or Of; a question in a table may
//	headless   no pronoun stands for a noun that the sentence does not have
//	doc        the comment of a declaration begins with the declared name
//	word       no word of the table in words.go: the standard word is beside it
//	relatives  no sentence has more than one relative clause
//	actor      no message of the product says nobody, somebody, anybody, whoever or by itself: it names an actor
//
// Usage:
//
//	prose [PATH...]
//
// It checks these files and folders; without arguments it checks the repository. It exits with 1 if it finds anything.
package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
)

func main() {
	os.Exit(prose(os.DirFS("."), os.Args[1:], os.Stdout, os.Stderr))
}

// finding is a breach of a rule.
type finding struct {
	offset int // in the file
	rule   string
	text   string
}

// prose checks the files in the paths, prints the findings, and returns the exit code. Without paths it checks every file.
func prose(root fs.FS, paths []string, stdout, stderr io.Writer) int {
	if len(paths) == 0 {
		paths = []string{"."}
	}
	counts := map[string]int{}
	code := 0
	for _, p := range paths {
		err := fs.WalkDir(root, path.Clean(p), func(file string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() {
				if file != "." && (strings.HasPrefix(d.Name(), ".") || slices.Contains(foreign, d.Name())) {
					return fs.SkipDir
				}
				return nil
			}
			found, src, err := checkFile(root, file)
			for _, f := range found {
				before := src[:f.offset]
				line, col := bytes.Count(before, []byte("\n"))+1, f.offset-bytes.LastIndexByte(before, '\n')
				fmt.Fprintf(stdout, "%s:%d:%d: %s: %s\n", file, line, col, f.rule, f.text)
				counts[f.rule]++
				code = 1
			}
			return err
		})
		if err != nil {
			fmt.Fprintln(stderr, err)
			return 2
		}
	}
	for _, rule := range []string{opening, headless, doc, coined, relatives, actor} {
		fmt.Fprintf(stdout, "%5d %s\n", counts[rule], rule)
	}
	return code
}

// foreign are the folders with files that are built, or come from somewhere else.
var foreign = []string{"build", "node_modules", "testdata"}

// inTools matches the files that are no part of the product.
var inTools = regexp.MustCompile(`(^|/)internal/(testing|cmd)/`)

// checkFile checks the file if it has texts that the rules are about.
func checkFile(root fs.FS, file string) (found []finding, src []byte, err error) {
	texts := makeText
	switch {
	case path.Ext(file) == ".go":
		texts = goText
	case path.Ext(file) == ".md":
		texts = markdownText
	case path.Base(file) != "Makefile":
		return nil, nil, nil
	}
	if src, err = fs.ReadFile(root, file); err != nil {
		return nil, nil, err
	}
	text, found, err := texts(src)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	found = append(found, checkText(text)...)
	if path.Ext(file) == ".go" && !strings.HasSuffix(file, "_test.go") && !inTools.MatchString(file) {
		messages, err := checkMessages(src)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", file, err)
		}
		found = append(found, messages...)
	}
	slices.SortStableFunc(found, func(a, b finding) int { return a.offset - b.offset })
	return found, src, nil
}
