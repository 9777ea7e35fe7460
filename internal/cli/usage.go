package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lifeboat/internal/cli/text"
)

// usageError says that the arguments or settings cannot be used. Its text is printed as it is.
type usageError string

func (e usageError) Error() string { return string(e) }

// misuse says why the command cannot use its arguments, and how it is used.
func misuse(c *cobra.Command, format string, args ...any) error {
	return usageError(fmt.Sprintf("%s: %s\nusage: %s\n%[1]s --help says more\n", c.CommandPath(), text.Plain(fmt.Sprintf(format, args...)), c.UseLine()))
}

// group makes a command of other commands: by itself it only says that it misses one of them. cobra would print its help for an
// unknown word and end with 0.
func group(c *cobra.Command) *cobra.Command {
	c.Args = cobra.ArbitraryArgs
	c.SuggestionsMinimumDistance = 2
	c.FParseErrWhitelist.UnknownFlags = true // they belong to the word that is unknown
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return misuse(c, "a command is missing")
		}
		return unknown(c, args[0])
	}
	return c
}

// unknown says that the command has none of that name, and names the nearest ones.
func unknown(c *cobra.Command, word string) error {
	return misuse(c, "there is no command %q%s", word, meant(c.SuggestionsFor(word)))
}

func meant(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return ": did you mean " + strings.Join(words, " or ") + "?"
}

// mostMeant is the number of words that are suggested for a wrong one.
const mostMeant = 5

// nearest returns the words that differ from this one by two characters at the most, or begin with it. cobra knows them of commands
// alone, so they become commands.
func nearest(word string, words []string) []string {
	c := &cobra.Command{SuggestionsMinimumDistance: 2}
	for _, one := range words {
		c.AddCommand(&cobra.Command{Use: one, Run: func(*cobra.Command, []string) {}})
	}
	found := c.SuggestionsFor(word)
	return found[:min(len(found), mostMeant)]
}

// wrongFlag says why a flag cannot be used, and names the nearest flags instead of an unknown one.
func wrongFlag(c *cobra.Command, err error) error {
	no, unknown := errors.AsType[*pflag.NotExistError](err)
	if !unknown {
		return misuse(c, "%v", err)
	}
	name, letters := no.GetSpecifiedName(), no.GetSpecifiedShortnames()
	if len(letters) > 1 { // -wait is -w -a -i -t, whatever other programs make of it
		name, _, _ = strings.Cut(letters, "=")
		if c.Flags().Lookup(name) != nil {
			return misuse(c, "there is no flag -%s: did you mean --%[1]s, with two dashes?", name)
		}
	}
	var flags []string
	c.Flags().VisitAll(func(f *pflag.Flag) { flags = append(flags, "--"+f.Name) })
	dashes := "--"
	if letters != "" {
		dashes = "-"
	}
	return misuse(c, "there is no flag %s%s%s", dashes, name, meant(nearest("--"+name, flags)))
}

// none refuses every argument.
func none(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return misuse(c, "it takes no arguments, and got %q", args[0])
	}
	return nil
}

// exactly wants arguments with these names. The first one is never empty: it may come from a variable that is not set.
func exactly(names ...string) cobra.PositionalArgs {
	wants := strings.Join(names, " and ")
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return misuse(c, "it wants %s", wants)
		case len(args) > len(names):
			return misuse(c, "it wants %s, and got %q besides", wants, args[len(names)])
		case args[0] == "":
			return misuse(c, "%s is empty", names[0])
		}
		return nil
	}
}
