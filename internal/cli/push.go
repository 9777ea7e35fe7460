package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"lifeboat/internal/backup"
	"lifeboat/internal/cli/text"
	"lifeboat/internal/cli/usage"
	"lifeboat/internal/config"
)

func (sh Shell) pushCommand() *cobra.Command {
	var to string
	var yes bool
	c := &cobra.Command{
		Use: "push FILE", Short: "Puts a plan.yaml where the app reads it",
		Long: `Checks a plan.yaml, lists the changes from the one that the app reads, as
lifeboat plan diff does, and puts it in its place: the blob whose URL is in
LIFEBOAT_PLAN, as in the app's settings, or after --to. It does so with the
sign-in here (az login), which needs the role Storage Blob Data Contributor
there, and never through the app.

On a terminal it asks before it writes. In a script say --yes. It writes only
over the text that it has shown: if that is changed in between, it writes
nothing. The same text is not written again.`,
		Example: `  lifeboat plan push plan.yaml --yes
  lifeboat plan push plan.yaml --yes --to https://contoso.blob.core.windows.net/lifeboat-config/plan.yaml`,
		Args: usage.Exactly("FILE"), ValidArgsFunction: files(1),
		RunE: func(c *cobra.Command, args []string) error {
			if !yes && (!terminal(sh.Stdin) || !terminal(sh.Stderr)) {
				return usage.Error("lifeboat plan push: the app would work by another plan.yaml, and there is no terminal to ask at: " +
					"say --yes if it may\n")
			}
			there, err := sh.planBlob(c, to, "--to")
			if err != nil {
				return err
			}
			return sh.push(c.Context(), args[0], there, yes)
		},
	}
	c.Flags().StringVar(&to, "to", "", "the `URL` of the blob, instead of LIFEBOAT_PLAN")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask: the app works by it from the next timer run on")
	return c
}

func (sh Shell) pullCommand() *cobra.Command {
	var from, to string
	var force bool
	c := &cobra.Command{
		Use: "pull", Short: "Gets the plan.yaml that the app reads",
		Long: `Prints the plan.yaml that the app reads: the blob whose URL is in
LIFEBOAT_PLAN, as in the app's settings, or after --from. With -o it writes it
to a file, and over another text there only with --force. It reads with the
sign-in here (az login), which needs the role Storage Blob Data Reader there.`,
		Example: `  lifeboat plan pull -o plan.yaml --force
  lifeboat plan pull --from https://contoso.blob.core.windows.net/lifeboat-config/plan.yaml`,
		Args: usage.None,
		RunE: func(c *cobra.Command, _ []string) error {
			there, err := sh.planBlob(c, from, "--from")
			if err != nil {
				return err
			}
			return sh.pull(c.Context(), there, to, force)
		},
	}
	c.Flags().StringVar(&from, "from", "", "the `URL` of the blob, instead of LIFEBOAT_PLAN")
	c.Flags().StringVarP(&to, "output", "o", "", "write it to this `FILE`")
	_ = c.MarkFlagFilename("output")
	c.Flags().BoolVar(&force, "force", false, "write over another text in the file")
	return c
}

// planBlob returns the plan.yaml at the URL, or at the one in LIFEBOAT_PLAN.
func (sh Shell) planBlob(c *cobra.Command, location, flag string) (*config.PlanBlob, error) {
	whence := flag
	if location == "" {
		whence, location = "LIFEBOAT_PLAN", strings.TrimSpace(sh.Getenv("LIFEBOAT_PLAN"))
	}
	switch {
	case location == "":
		return nil, usage.Misuse(c, "set LIFEBOAT_PLAN to the URL of the blob, as in the app's settings, or say %s URL", flag)
	case !strings.Contains(location, "://"):
		return nil, usage.Misuse(c, "%s is the path of a file, and not the URL of a blob: the app there reads its plan.yaml from its own folder", whence)
	}
	there, err := sh.PlanBlob(sh.Getenv, location)
	if err != nil {
		return nil, usage.Misuse(c, "%s: %v", whence, err)
	}
	return there, nil
}

// push writes the plan.yaml over the one that the app reads, once the person has seen what changes.
func (sh Shell) push(ctx context.Context, path string, there *config.PlanBlob, yes bool) error {
	edited, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the plan: %w", err)
	}
	plans, warnings, err := sh.Plans.Parse(path, edited)
	if err != nil {
		return err
	}
	for _, warning := range warnings {
		fmt.Fprintln(sh.Stderr, text.Plain(warning))
	}
	now, err := there.ReadToWrite(ctx)
	if err != nil {
		return err
	}
	if now.Exists() && bytes.Equal(now.Text, edited) {
		_, err := fmt.Fprintf(sh.Stdout, "the same text is at %s: nothing was written\n", there.URL)
		return err
	}
	for _, line := range sh.edits(ctx, there.URL, now, plans) {
		if _, err := fmt.Fprintln(sh.Stdout, line); err != nil {
			return err
		}
	}
	if !yes {
		fmt.Fprintf(sh.Stderr, "\nThe app works by it from the next timer run on. Type yes to write it to %s: ", there.URL)
		typed, err := sh.line(ctx, "nothing was written")
		if err != nil {
			return err
		}
		if !strings.EqualFold(strings.TrimSpace(typed), "yes") {
			return errors.New("that is not yes: nothing was written")
		}
	}
	unheard, err := there.Write(ctx, edited, now)
	switch {
	case errors.Is(err, config.ErrPlanChanged):
		return fmt.Errorf("%w\n  See what it is now with lifeboat plan pull, and push again", err)
	case err != nil:
		return err
	case unheard != nil:
		fmt.Fprintf(sh.Stderr, "the upload had no good answer (%s), and the new text is there\n", text.Plain(unheard.Error()))
	}
	_, err = fmt.Fprintf(sh.Stdout, "written to %s: the app works by it from the next timer run on\n", there.URL)
	return err
}

// edits returns what the edited plans change, a line each.
func (sh Shell) edits(ctx context.Context, location string, now config.PlanText, edited []backup.Plan) []string {
	if !now.Exists() {
		return append([]string{"there is no plan.yaml yet at " + location}, sh.changes(ctx, nil, edited)...)
	}
	old, _, err := sh.Plans.Parse(location, now.Text)
	if err != nil { // the app goes on by the last good one, which is not here
		lines := []string{"the text there is no good plan.yaml, so that this one counts as the first:"}
		for line := range strings.Lines(err.Error()) {
			lines = append(lines, "  "+text.Plain(strings.TrimSuffix(line, "\n")))
		}
		return append(lines, sh.changes(ctx, nil, edited)...)
	}
	return sh.changes(ctx, old, edited)
}

// pull prints the plan.yaml that the app reads, or writes it to a file.
func (sh Shell) pull(ctx context.Context, there *config.PlanBlob, path string, force bool) error {
	now, err := there.Read(ctx)
	switch {
	case err != nil:
		return err
	case !now.Exists():
		return fmt.Errorf("there is no plan.yaml yet at %s", there.URL)
	case path == "":
		_, err := sh.Stdout.Write(now.Text)
		return err
	}
	here, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = create(path, now.Text)
	case err != nil:
		return err
	case bytes.Equal(here, now.Text):
		_, err := fmt.Fprintf(sh.Stdout, "%s has the same text already\n", path)
		return err
	case !force:
		return fmt.Errorf("%s has another text, and was left alone: see lifeboat plan pull | diff %[1]s -, or say --force", path)
	default:
		err = replace(path, now.Text)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(sh.Stdout, "%s written\n", path)
	return err
}

// create writes a file where none is; it leaves no half of one, and touches none of another program's.
func create(path string, content []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	return written(file, content)
}

// replace writes a file in place of another, which is there until the new one is whole.
func replace(path string, content []byte) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".lifeboat-")
	if err != nil {
		return err
	}
	if err := written(file, content); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err == nil {
		err = os.Chmod(file.Name(), info.Mode().Perm())
	}
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}

// written writes all into a new file, or removes it.
func written(file *os.File, content []byte) error {
	_, err := io.Copy(file, bytes.NewReader(content))
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}
