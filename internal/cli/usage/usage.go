// Package usage says how commands are used: their help, their completion, and the answers to arguments that cannot be used.
package usage

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lifeboat/internal/cli/names"
	"lifeboat/internal/cli/text"
)

// Error says that the arguments or settings cannot be used. Its text is printed as it is.
type Error string

// Error returns the text.
func (e Error) Error() string { return string(e) }

// Exit is an error with an exit code of its own. Its text is printed as it is.
type Exit struct {
	Code int
	Text string
}

// Error returns the text.
func (e Exit) Error() string { return e.Text }

// Misuse says why the command cannot use its arguments, and how it is used.
func Misuse(c *cobra.Command, format string, args ...any) error {
	return Error(fmt.Sprintf("%s: %s\nusage: %s\n%[1]s --help says more\n", c.CommandPath(), text.Plain(fmt.Sprintf(format, args...)), c.UseLine()))
}

// Group makes a command of other commands: by itself it only says that it misses one of them. cobra would print its help for an
// unknown word and end with 0.
func Group(c *cobra.Command) *cobra.Command {
	c.Args = cobra.ArbitraryArgs
	c.SuggestionsMinimumDistance = 2
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return Misuse(c, "a command is missing")
		}
		return unknown(c, args[0])
	}
	return c
}

// unknown says that the command has none of that name, and names the nearest ones.
func unknown(c *cobra.Command, word string) error {
	return Misuse(c, "there is no command %q%s", word, meant(c.SuggestionsFor(word)))
}

func meant(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return ": did you mean " + strings.Join(words, " or ") + "?"
}

// WrongFlag says why a flag cannot be used, and names the nearest flags instead of an unknown one.
func WrongFlag(c *cobra.Command, err error) error {
	no, wrongName := errors.AsType[*pflag.NotExistError](err)
	if !wrongName {
		return Misuse(c, "%v", err)
	}
	if words := c.Flags().Args(); c.HasSubCommands() && len(words) > 0 {
		return unknown(c, words[0]) // the flag belongs to that word
	}
	name, letters := no.GetSpecifiedName(), no.GetSpecifiedShortnames()
	if len(letters) > 1 { // -wait is -w -a -i -t, whatever other programs make of it
		name, _, _ = strings.Cut(letters, "=")
		if c.Flags().Lookup(name) != nil {
			return Misuse(c, "there is no flag -%s: did you mean --%[1]s, with two dashes?", name)
		}
	}
	var flags []string
	c.Flags().VisitAll(func(f *pflag.Flag) { flags = append(flags, "--"+f.Name) })
	dashes := "--"
	if letters != "" {
		dashes = "-"
	}
	return Misuse(c, "there is no flag %s%s%s", dashes, name, meant(names.Nearest("--"+name, flags)))
}

// None refuses every argument.
func None(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return Misuse(c, "it takes no arguments, and got %q", args[0])
	}
	return nil
}

// Exactly wants arguments with these names. The first one is never empty: it may come from a variable that is not set.
func Exactly(names ...string) cobra.PositionalArgs {
	wants := strings.Join(names, " and ")
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return Misuse(c, "it wants %s", wants)
		case len(args) > len(names):
			return Misuse(c, "it wants %s, and got %q besides", wants, args[len(names)])
		case args[0] == "":
			return Misuse(c, "%s is empty", names[0])
		}
		return nil
	}
}

// Optional wants one argument of the name at the most. It is never empty: it may come from a variable that is not set.
func Optional(name string) cobra.PositionalArgs {
	one := Exactly(name)
	return func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return one(c, args)
	}
}
