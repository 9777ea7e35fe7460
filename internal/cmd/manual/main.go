// Command manual writes the documents about lifeboat's commands, from their help texts:
//
//	manual cli.md      writes the page of the documentation to that file
//	manual man FOLDER  writes a man page for each command into that folder
//
// It exits with 1 if a file cannot be written.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lifeboat/internal/cli"
)

func main() {
	var err error
	switch root := cli.Commands(cli.Shell{}); {
	case len(os.Args) == 2:
		err = os.WriteFile(os.Args[1], []byte(markdown(root)), 0o644)
	case len(os.Args) == 3 && os.Args[1] == "man":
		err = writeMan(root, os.Args[2])
	default:
		fmt.Fprintln(os.Stderr, "usage: manual FILE.md | manual man FOLDER")
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// all returns the command and the ones below it, in the order of the help.
func all(c *cobra.Command) []*cobra.Command {
	found := []*cobra.Command{c}
	for _, sub := range c.Commands() {
		found = append(found, all(sub)...)
	}
	return found
}

// flags calls do with each flag of the command: its names, the word for its value, and the help.
func flags(c *cobra.Command, do func(names, value, usage string)) {
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		names := "--" + f.Name
		if f.Shorthand != "" {
			names = "-" + f.Shorthand + ", " + names
		}
		value, usage := pflag.UnquoteUsage(f)
		do(names, value, usage)
	})
}

// paragraphs returns the paragraphs of a help text. A block of lines that begin with spaces stays as it is.
func paragraphs(c *cobra.Command) []string {
	text := c.Long
	if text == "" {
		text = c.Short + "."
	}
	return strings.Split(text, "\n\n")
}

// examples returns the examples of a command, without the spaces before them.
func examples(c *cobra.Command) string {
	return strings.ReplaceAll(strings.TrimPrefix(c.Example, "  "), "\n  ", "\n")
}

// markdown returns the page about all commands.
func markdown(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString("# The commands\n\nThis page is for people who use the commands. `make manual` makes it from their help texts; change those.\n")
	for _, c := range all(root) {
		fmt.Fprintf(&b, "\n## %s\n", c.CommandPath())
		for _, p := range paragraphs(c) {
			if strings.HasPrefix(p, "  ") {
				p = "```\n" + strings.ReplaceAll(strings.TrimPrefix(p, "  "), "\n  ", "\n") + "\n```"
			}
			b.WriteString("\n" + p + "\n")
		}
		if !c.HasSubCommands() {
			fmt.Fprintf(&b, "\n```\n%s\n```\n", c.UseLine())
		}
		table := ""
		flags(c, func(names, value, usage string) {
			if value != "" {
				value = " " + value
			}
			table += fmt.Sprintf("| `%s%s` | %s |\n", names, value, usage)
		})
		if table != "" {
			b.WriteString("\n| flag | means |\n|---|---|\n" + table)
		}
		fmt.Fprintf(&b, "\nFor example:\n\n```\n%s\n```\n", examples(c))
	}
	b.WriteString("\n## Other pages\n\n[README](../README.md) · [Operate](operate.md) · [The plan](plan.md) · [Restores](restore.md)\n")
	return b.String()
}

// writeMan writes a man page for each command.
func writeMan(root *cobra.Command, folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for _, c := range all(root) {
		path := filepath.Join(folder, page(c)+".1")
		if err := os.WriteFile(path, []byte(man(c)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// page returns the name of the command's man page.
func page(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// roff returns a text for troff: a backslash and a hyphen mean something else there, and so do a dot and a quote at the beginning of
// a line.
func roff(text string) string {
	lines := strings.Split(strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}

// man returns the man page of the command.
func man(c *cobra.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %q 1 \"\" Lifeboat\n.SH NAME\n%s \\- %s\n.SH SYNOPSIS\n.B %s\n.SH DESCRIPTION\n",
		strings.ToUpper(page(c)), roff(page(c)), roff(c.Short), roff(c.UseLine()))
	for i, p := range paragraphs(c) {
		switch {
		case strings.HasPrefix(p, "  "):
			fmt.Fprintf(&b, ".PP\n.nf\n%s\n.fi\n", roff(p))
		case i == 0:
			b.WriteString(roff(p) + "\n")
		default:
			b.WriteString(".PP\n" + roff(p) + "\n")
		}
	}
	if c.HasSubCommands() {
		b.WriteString(".SH COMMANDS\n")
		for _, sub := range c.Commands() {
			fmt.Fprintf(&b, ".TP\n.BR %s (1)\n%s\n", roff(page(sub)), roff(sub.Short))
		}
	}
	options := ""
	flags(c, func(names, value, usage string) {
		if value != "" {
			value = ` \fI` + roff(value) + `\fR`
		}
		options += fmt.Sprintf(".TP\n\\fB%s\\fR%s\n%s\n", roff(names), value, roff(usage))
	})
	if options != "" {
		b.WriteString(".SH OPTIONS\n" + options)
	}
	fmt.Fprintf(&b, ".SH EXAMPLES\n.nf\n%s\n.fi\n", roff(examples(c)))
	if c.HasParent() {
		fmt.Fprintf(&b, ".SH SEE ALSO\n.BR %s (1)\n", roff(page(c.Parent())))
	}
	return b.String()
}
