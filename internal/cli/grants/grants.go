// Package grants prints the roles that a plan.yaml needs, as a table or as what gives them.
package grants

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"lifeboat/internal/backup"
	"lifeboat/internal/cli/names"
	"lifeboat/internal/cli/text"
	"lifeboat/internal/cli/usage"
	"lifeboat/internal/config"
	"lifeboat/internal/roles"
)

// Shell is the environment of the command.
type Shell struct {
	Stdout io.Writer
	Plans  *config.Reader
	// Width returns the columns of the terminal; 0 means any number.
	Width func() int
	// Files completes so many names of files.
	Files func(int) cobra.CompletionFunc
	// Resolve gives plans that select targets those targets, in place, and returns a line for each whose targets are not known.
	Resolve func(context.Context, ...[]backup.Plan) []string
	Stderr  io.Writer
}

// forms are the forms of the answer.
var forms = []string{"table", "az", "bicep"}

// Command returns the command plan roles.
func Command(sh Shell) *cobra.Command {
	var principal, was, form string
	c := &cobra.Command{
		Use:   "roles FILE",
		Short: "Lists the roles that a plan.yaml needs, or prints what gives them",
		Long: `Lists the roles that the app and the services need for a plan.yaml, each at
its smallest scope. Backups and restores succeed without the optional ones, and
Lifeboat sees less.

With -o az it prints a script for a shell with Azure CLI. The script makes the
roles of Lifeboat's own, which permit nothing else, makes missing containers,
and gives all roles; run again, it changes nothing. With
-o bicep it prints a template of the same for the folder infra of the project.
Azure refuses that template where the script has given a role already.

With --was, the file as it was before an edit, it also names the roles that
only the old file needed, and the script takes them away: see first that
nothing else needs them. While recovery points of earlier backups are left,
the app needs its roles on their storage, so the script only names those.

A plan that selects targets has the ones of the last look of the app at
LIFEBOAT_URL, which needs a key of the function api in LIFEBOAT_KEY.`,
		Example: `  lifeboat plan roles plan.yaml
  lifeboat plan roles plan.yaml --principal 0c0ffee0-0000-4000-8000-000000000001 -o az
  lifeboat plan roles plan.yaml --was old.yaml`,
		Args: usage.Exactly("FILE"), ValidArgsFunction: sh.Files(1),
	}
	c.Flags().StringVar(&principal, "principal", "", "the object ID of the app's identity")
	c.Flags().StringVar(&was, "was", "", "the plan.yaml before an edit")
	c.Flags().StringVarP(&form, "output", "o", forms[0], strings.Join(forms, ", "))
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(forms, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("principal", cobra.NoFileCompletions)
	_ = c.RegisterFlagCompletionFunc("was", sh.Files(1))
	c.RunE = func(c *cobra.Command, args []string) error {
		switch {
		case !slices.Contains(forms, form):
			return usage.Misuse(c, "-o is one of %s", strings.Join(forms, ", "))
		case principal != "" && !backup.IsUUID(principal):
			return usage.Misuse(c, "--principal is not the object ID of an identity, a UUID such as 0c0ffee0-0000-4000-8000-000000000001")
		case principal == "" && form != forms[0]:
			return usage.Misuse(c, "-o %s needs --principal, the object ID of the app's identity", form)
		}
		return sh.print(c.Context(), args[0], was, principal, form)
	}
	return c
}

func (sh Shell) print(ctx context.Context, path, was, principal, form string) error {
	plans, _, err := sh.Plans.File(path, 1)
	if err != nil {
		return err
	}
	var old []backup.Plan
	if was != "" {
		if old, _, err = sh.Plans.File(was, 1); err != nil {
			return err
		}
	}
	if unknown := strings.Join(sh.Resolve(ctx, plans, old), "\n"); unknown != "" {
		if was != "" { // a target that is selected now would seem to have left
			return errors.New(unknown)
		}
		fmt.Fprintln(sh.Stderr, unknown)
	}
	needed := roles.Of(plans, sh.Plans.Services)
	var revoke []roles.Assignment
	if was != "" {
		_, revoke = roles.Compare(roles.Of(old, sh.Plans.Services), needed)
	}
	label := labels(needed, revoke)
	switch form {
	case "az":
		_, err = io.WriteString(sh.Stdout, roles.Az(needed, revoke, principal))
		return err
	case "bicep":
		_, err = io.WriteString(sh.Stdout, roles.Bicep(needed, principal))
		return err
	}
	if err := sh.table(needed, label); err != nil || len(revoke) == 0 {
		return err
	}
	fmt.Fprintln(sh.Stdout, "\nNo longer needed:")
	return sh.table(revoke, label)
}

// labels returns the shortest names of the services, among themselves.
func labels(lists ...[]roles.Assignment) func(id string) string {
	var ids []string
	for _, list := range lists {
		for _, a := range list {
			ids = append(ids, a.Targets...)
		}
	}
	return names.New(ids...).Label
}

func (sh Shell) table(all []roles.Assignment, label func(id string) string) error {
	table := text.NewTable(text.Column{Name: "IDENTITY", Cut: true, Distinct: true}, text.Column{Name: "ROLE"},
		text.Column{Name: "ON", Cut: true, Distinct: true}, text.Column{Name: "FOR", Rank: 1, Cut: true})
	for _, a := range all {
		purpose := strings.Join(a.For, "; ")
		if a.Optional {
			purpose = "optional: " + purpose
		}
		table.Row(a.Whom(label), a.Role.Name, a.Place(label), purpose)
	}
	return table.Print(sh.Stdout, sh.Width())
}

// Lines tell of the roles that an edit needs, and of the roles that nothing needs any more.
func Lines(give, revoke []roles.Assignment) (lines []string) {
	label := labels(give, revoke)
	for _, a := range give {
		optional := ""
		if a.Optional {
			optional = ", optional"
		}
		lines = append(lines, fmt.Sprintf("+ %s needs the role %s on %s%s", whom(a, label), a.Role.Name, a.Place(label), optional))
	}
	for _, a := range revoke {
		if a.Keeps() {
			lines = append(lines, fmt.Sprintf("- %s needs the role %s on %s for earlier backups alone", whom(a, label), a.Role.Name, a.Place(label)))
			continue
		}
		lines = append(lines, fmt.Sprintf("- %s no longer needs the role %s on %s", whom(a, label), a.Role.Name, a.Place(label)))
	}
	return lines
}

// whom names the identity within a sentence.
func whom(a roles.Assignment, label func(id string) string) string {
	if words := a.Whom(label); !strings.Contains(words, ", ") {
		return words
	}
	return a.Whom(label) + ","
}
