// Package cli has the commands: the program runs one of them if it is started with arguments, without a host.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"lifeboat/internal/backup"
	"lifeboat/internal/cli/grants"
	"lifeboat/internal/cli/ledger"
	"lifeboat/internal/cli/prove"
	"lifeboat/internal/cli/securitydomain"
	"lifeboat/internal/cli/support"
	"lifeboat/internal/cli/usage"
	"lifeboat/internal/config"
	"lifeboat/internal/engine"
	shares "lifeboat/internal/services/ledger"
)

// Shell is the environment of a command.
type Shell struct {
	Getenv         func(string) string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Now is the time at which the command begins, and Clock tells the time while it waits; nil: it is always Now.
	Now   time.Time
	Clock func() time.Time
	// CompletionTime is the longest time that a person waits for a completion, or for what a command could also do without; 0 means two
	// seconds.
	CompletionTime time.Duration
	// Local is the zone of the person; nil means UTC.
	Local *time.Location
	// RequestID is the ID of the request for a backup: give another one each time.
	RequestID string
	// Version is the version of the program's source.
	Version string
	// Zone loads a time zone from this machine's own data; nil if the command does not use them.
	Zone func(name string) (*time.Location, error)
	// Plans reads plan.yaml.
	Plans *config.Reader
	// PlanBlob opens the plan.yaml at a URL, with the identity of the environment.
	PlanBlob func(getenv func(string) string, location string) (*config.PlanBlob, error)
	// Find searches the subscriptions for services that Lifeboat backs up, with the identity of the environment; all that it sees, if
	// there are none.
	Find func(ctx context.Context, getenv func(string) string, subscriptions []string) (backup.Inventory, error)
	// Markers makes what lifeboat prove damages services with, by the resource type in lower case, with the identity of the environment.
	Markers func(getenv func(string) string) (map[string]backup.Marker, error)
	// Makers makes what makes services for lifeboat prove, in the same way.
	Makers func(getenv func(string) string) (map[string]backup.Maker, error)
	// Shares makes what reads the file shares of recovery points of ledgers, in the same way.
	Shares func(getenv func(string) string) (shares.Reader, error)
	// Look makes an engine that can check Azure's services, with the identity of the environment.
	Look func(getenv func(string) string) (*engine.Engine, error)
}

// Run runs the command in the arguments and returns the exit code: 0, 1 if the answer is no, 2 if the arguments or settings
// cannot be used, and others where a command's help says so. The context ends all waiting.
func Run(ctx context.Context, args []string, sh Shell) int {
	root, out := Commands(sh), &output{Writer: sh.Stdout}
	root.SetOut(out)
	root.SetArgs(append([]string{}, args...)) // never nil: then cobra would take the arguments of the process
	err := root.ExecuteContext(ctx)
	if err == nil {
		err = out.failed // help and completion do not say so themselves
	}
	wrong, notUnderstood := errors.AsType[usage.Error](err)
	own, ends := errors.AsType[usage.Exit](err)
	switch {
	case ends:
		fmt.Fprint(sh.Stderr, own.Text)
		return own.Code
	case notUnderstood:
		fmt.Fprint(sh.Stderr, wrong)
		return 2
	case err != nil:
		fmt.Fprintln(sh.Stderr, err)
		return 1
	}
	return 0
}

// output remembers that something could not be written, such as to a full disk.
type output struct {
	io.Writer
	failed error
}

func (o *output) Write(text []byte) (int, error) {
	n, err := o.Writer.Write(text)
	if err != nil {
		o.failed = err
	}
	return n, err
}

// These are the groups of the commands in the help.
const (
	ofPlan = "plan"
	ofApp  = "app"
)

// Commands returns the command lifeboat with all the others below it.
func Commands(sh Shell) *cobra.Command {
	root := usage.Group(&cobra.Command{
		Use:   "lifeboat",
		Short: "Backs up and restores Azure services that Azure Backup does not cover",
		Long: `Lifeboat backs up and restores Azure services that Azure Backup does not
cover.

The commands check plan.yaml, or call the API of a Lifeboat app. Without
arguments the program is that app: the Functions host starts it in this way.

The commands that call the app read LIFEBOAT_URL, its address, such as
https://contoso.azurewebsites.net, and LIFEBOAT_KEY, a key of its function
api. The command health reads LIFEBOAT_HEALTH_KEY, a key of its function
health.

The exit code is 0 if it is done, 1 if it failed, and 2 if the arguments or
settings cannot be used.`,
		Example: `  lifeboat help restore
  lifeboat --version`,
	})
	root.SilenceErrors, root.SilenceUsage = true, true // Run prints an error once, and no help after it
	root.CompletionOptions.DisableDefaultCmd = true    // completion is a command with a help of its own
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	root.SetOut(sh.Stdout)
	root.SetErr(sh.Stderr)
	root.SetFlagErrorFunc(usage.WrongFlag)
	root.PersistentFlags().BoolP("help", "h", false, "show the help of the command")
	number := root.Flags().Bool("version", false, "print the version of the program")
	others := root.RunE
	root.RunE = func(c *cobra.Command, args []string) error {
		if *number && len(args) == 0 {
			return sh.version()
		}
		return others(c, args)
	}
	root.AddGroup(&cobra.Group{ID: ofPlan, Title: "About plan.yaml:"}, &cobra.Group{ID: ofApp, Title: "About the app at LIFEBOAT_URL:"})
	plan := usage.Group(&cobra.Command{
		Use: "plan", GroupID: ofPlan, Short: "Checks a plan.yaml, its edits and roles, and puts it in place",
		Example: "  lifeboat plan check plan.yaml",
	})
	plan.AddCommand(sh.checkCommand(), sh.nextCommand(), sh.diffCommand(), sh.pushCommand(), sh.pullCommand(),
		grants.Command(grants.Shell{Stdout: sh.Stdout, Stderr: sh.Stderr, Resolve: sh.resolve, Plans: sh.Plans, Width: sh.width, Files: files}))
	bugs := support.Command(support.Shell{Getenv: sh.Getenv, Stdout: sh.Stdout, Stderr: sh.Stderr, Now: sh.now, Version: sh.Version})
	bugs.GroupID = ofApp
	proof := prove.Command(prove.Shell{
		Getenv: sh.Getenv, Stdout: sh.Stdout, Stderr: sh.Stderr, Now: sh.now, Version: sh.Version, RequestID: sh.RequestID, Services: sh.services(),
		Markers: sh.Markers, Makers: sh.Makers, Asks: func() bool { return terminal(sh.Stdin) && terminal(sh.Stderr) }, Line: sh.line,
	})
	proof.GroupID = ofApp
	copied := ledger.Command(ledger.Shell{
		Getenv: sh.Getenv, Stdout: sh.Stdout, Stderr: sh.Stderr, Shares: sh.Shares, Now: sh.now, Width: sh.width, Watched: func() bool { return terminal(sh.Stderr) },
	})
	domain := securitydomain.Command(securitydomain.Shell{Stdout: sh.Stdout, Stderr: sh.Stderr, Now: sh.now, Width: sh.width, Version: sh.Version, Password: sh.password})
	domain.AddCommand(sh.attestCommand())
	root.AddCommand(
		plan, sh.initCommand(), sh.healthCommand(), sh.coverageCommand(), sh.selectionCommand(), sh.runsCommand(), sh.runCommand(), sh.backupCommand(), sh.batchCommand(), sh.pointsCommand(), sh.retentionCommand(), sh.explainCommand(),
		sh.acceptCommand(), sh.holdCommand(), sh.releaseCommand(), sh.deleteCommand(), sh.forgetCommand(), sh.undeleteCommand(), sh.restoreCommand(), sh.cancelCommand(), sh.confirmCommand(), sh.abandonCommand(), sh.stopCommand(), sh.resumeCommand(), sh.takeoverCommand(), sh.appCheckCommand(),
		versionCommand(sh), usage.CompletionCommand(), bugs, proof, copied, domain,
	)
	root.SetHelpCommand(usage.HelpCommand())
	root.InitDefaultHelpCmd() // now, and not only when a command runs: the documentation has it too
	return root
}

// services returns the services that plan.yaml may have.
func (sh Shell) services() backup.Services {
	if sh.Plans == nil {
		return nil
	}
	return sh.Plans.Services
}

func versionCommand(sh Shell) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Prints the version of the program and of its time zones", Example: "  lifeboat version", Args: usage.None,
		RunE: func(*cobra.Command, []string) error { return sh.version() },
	}
}

func (sh Shell) version() error {
	_, err := fmt.Fprintf(sh.Stdout, "lifeboat %s %s %s/%s, time zones %s\n", sh.Version, runtime.Version(), runtime.GOOS,
		runtime.GOARCH, config.TimeZones())
	return err
}

// scheduledTimes returns the next n scheduled times of the plan; none while it is paused.
func scheduledTimes(p backup.Plan, after time.Time, n int) []time.Time {
	var found []time.Time
	for t := p.Schedule.Next(after); !p.Paused && !t.IsZero() && len(found) < n; t = p.Schedule.Next(t) {
		found = append(found, t)
	}
	return found
}
