package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"lifeboat/internal/cli/client"
	"lifeboat/internal/cli/text"
	"lifeboat/internal/cli/usage"
)

// remote is a command's environment, the app whose API it calls, and the form in which it prints the answer.
type remote struct {
	Shell
	client.Client

	format format
	clock  text.Clock
	width  int // the columns of the terminal; 0 means any number
}

// format is the form of an answer. It is the value of the flag --output.
type format string

// These are the forms: a table that fits the terminal, all of it, the API's document, and the IDs alone.
const (
	asTable format = "table"
	asWide  format = "wide"
	asJSON  format = "json"
	asYAML  format = "yaml"
	asName  format = "name"
)

var formats = []string{string(asTable), string(asWide), string(asJSON), string(asYAML), string(asName)}

// String returns the form.
func (f *format) String() string { return string(*f) }

// Type returns the word for the form in the help.
func (f *format) Type() string { return "FORM" }

// Set reads the form; the error lists all of them.
func (f *format) Set(value string) error {
	if !slices.Contains(formats, value) {
		return errors.New("it is one of " + strings.Join(formats, ", "))
	}
	*f = format(value)
	return nil
}

// calling makes the function of a command that calls the API, and its flags for the form of the answer.
func (sh Shell) calling(c *cobra.Command, run func(ctx context.Context, r remote, args []string) error) *cobra.Command {
	form := asTable
	utc := c.Flags().Bool("utc", false, "show times in UTC")
	c.Flags().VarP(&form, "output", "o", "table, wide, json, yaml or name")
	document := c.Flags().Bool("json", false, "the same as -o json")
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	c.GroupID = ofApp
	c.RunE = func(c *cobra.Command, args []string) error {
		x, err := client.New(sh.Getenv, c.Name() == "health", sh.Stderr)
		if err != nil {
			return usage.Error(err.Error() + "\n")
		}
		if *document {
			form = asJSON
		}
		return run(c.Context(), remote{Shell: sh, Client: x, format: form, clock: sh.clock(*utc), width: sh.width()}, args)
	}
	return c
}

// clock returns the clock of the person.
func (sh Shell) clock(utc bool) text.Clock {
	if utc {
		return text.Clock{Now: sh.now()}
	}
	return text.Clock{Zone: sh.Local, Now: sh.now()}
}

// now returns the time now.
func (sh Shell) now() time.Time {
	if sh.Clock == nil {
		return sh.Now
	}
	return sh.Clock()
}

// watchPause is the time between two prints of a watched list.
const watchPause = 5 * time.Second

// listing is calling for a command that prints a list: it has the flag --watch.
func (sh Shell) listing(c *cobra.Command, run func(ctx context.Context, r remote, args []string) error) *cobra.Command {
	watch := c.Flags().Bool("watch", false, "print it again every 5 seconds, until Ctrl-C")
	return sh.calling(c, func(ctx context.Context, r remote, args []string) error {
		if !*watch {
			return run(ctx, r, args)
		}
		before := ""
		if terminal(r.Stdout) {
			before = "\x1b[H\x1b[2J\x1b[3J" // as clear does
		}
		for {
			var page bytes.Buffer
			next := r
			next.Stdout, next.Stderr, next.clock.Now, next.width = &page, &page, r.now(), r.Shell.width()
			err := run(ctx, next, args)
			if ctx.Err() != nil {
				return nil // the person wants no more
			}
			if bad, ok := errors.AsType[alarm](err); ok {
				fmt.Fprintln(&page, bad)
			} else if err != nil {
				return err
			}
			if _, err := fmt.Fprint(r.Stdout, before, page.String()); err != nil {
				return err
			}
			if before == "" {
				before = "\n"
			}
			if !client.Sleep(ctx, watchPause) {
				return nil
			}
		}
	})
}

// terminal tells whether it is one.
func terminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// width returns the width of the terminal: COLUMNS, if it is set. It is 0 if there is none, as in a pipe: a program wants
// whole lines.
func (sh Shell) width() int {
	if n, err := strconv.Atoi(sh.Getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	if file, ok := sh.Stdout.(*os.File); ok {
		if n, _, err := term.GetSize(int(file.Fd())); err == nil {
			return n
		}
	}
	return 0
}

// print prints the table, or all of it.
func (r remote) print(t *text.Table) error {
	if r.format == asWide {
		return t.Print(r.Stdout, 0)
	}
	return t.Print(r.Stdout, r.width)
}

// show prints an answer: the API's document as it came, the IDs alone, or for people by the function.
func (r remote) show(document []byte, ids []string, people func() error) error {
	switch r.format {
	case asJSON, asYAML:
		return r.document(document)
	case asName:
		for _, id := range ids {
			if _, err := fmt.Fprintln(r.Stdout, text.Plain(id)); err != nil {
				return err
			}
		}
		return nil
	default:
		return people()
	}
}

// document prints the API's JSON as it came, or as YAML.
func (r remote) document(document []byte) error {
	document = append(bytes.TrimSpace(document), '\n')
	if r.format == asYAML {
		var err error
		if document, err = text.YAML(document); err != nil {
			return err
		}
	}
	_, err := r.Stdout.Write(document)
	return err
}

// documents tells whether the answer is a document for programs.
func (r remote) documents() bool { return r.format == asJSON || r.format == asYAML }
