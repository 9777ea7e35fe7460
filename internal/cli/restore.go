package cli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lifeboat/internal/backup"
	"lifeboat/internal/cli/client"
	"lifeboat/internal/cli/text"
	"lifeboat/internal/cli/usage"
)

// restoring has the flags of lifeboat restore.
type restoring struct {
	body                    map[string]any // the request
	before                  *string        // nil: not given
	dry, yes, wait, preempt bool
	unsecured               bool // no safety backup
}

func (sh Shell) restoreCommand() *cobra.Command {
	q := restoring{body: map[string]any{"recoveryPoint": "latest"}}
	points := 0 // an empty one, from a variable that is not set, is a mistake and does not mean the newest
	c := &cobra.Command{
		Use:   "restore TARGET",
		Short: "Restores a recovery point: the present content is LOST",
		Long: `Asks for a restore of the target's newest verified recovery point, or of the
given one, into the target itself, or into the given service, and prints the
ID of the restore. The present content of that service is LOST.

On a terminal it first shows what is lost, and asks for the name of that
service. In a script say --yes: without a terminal it restores nothing
otherwise. With --dry-run it says what the restore would overwrite, from what,
and whether it may, and changes nothing.

A TIME is a duration, such as 2h or 3d: for --before that long ago, for
--expires that long from now. Or it is a local time, such as 14:30, yesterday,
"yesterday 14:30" or 2026-01-31, or one with its zone, such as
2026-01-31T02:30:00Z. A day means its beginning.`,
		Example: `  lifeboat restore contoso-eu --dry-run
  lifeboat restore contoso-eu --before 2h --reason "a bad deployment" --yes
  lifeboat restore contoso-eu --into contoso-standby --yes --wait`,
		Args: usage.Exactly("TARGET"), ValidArgsFunction: sh.first(targetWords),
		PreRunE: func(c *cobra.Command, _ []string) error {
			switch {
			case points > 1:
				return usage.Misuse(c, "--point and --before name a recovery point: one of them is enough, once")
			case q.dry && q.wait:
				return usage.Misuse(c, "--dry-run has nothing to --wait for")
			case q.unsecured && q.body["reason"] == nil:
				return usage.Misuse(c, "--no-safety-backup wants a --reason")
			}
			return nil
		},
	}
	flags := c.Flags()
	field := func(flag, name, usage string) {
		flags.Func(flag, usage, func(value string) error { q.body[name] = value; return nil })
	}
	flags.Func("point", "the recovery point with this `ID`", func(value string) error {
		points++
		q.body["recoveryPoint"] = value
		return nil
	})
	flags.Func("before", "the newest verified one from before this `TIME`",
		func(value string) error {
			points++
			q.before = &value
			return nil
		})
	field("into", "into", "restore into this `TARGET` of the same type")
	field("key", "key", "one purged key of a Managed HSM, by its `NAME`")
	field("region", "restoreRegion", "the `REGION` to recreate a Managed CCF or ledger in")
	field("reason", "reason", "the reason in `WORDS`, for the log and the events")
	field("reply-to", "replyTo", "a `QUEUE` that the answers are sent to too")
	field("expires", "expires", "refuse it if it has not begun by this `TIME`")
	flags.BoolVar(&q.unsecured, "no-safety-backup", false, "overwrite without a backup, for the --reason")
	flags.BoolVar(&q.preempt, "preempt", false, "end a backup of the destination that waits or hangs")
	flags.BoolVar(&q.dry, "dry-run", false, "say what it would do, and change nothing")
	flags.BoolVar(&q.yes, "yes", false, "do not ask: the content of the service may be lost")
	flags.BoolVar(&q.wait, "wait", false, "show the steps until it has ended")
	_ = c.RegisterFlagCompletionFunc("into", sh.completing(intoWords))
	_ = c.RegisterFlagCompletionFunc("point", sh.completing(func(ctx context.Context, r remote, args []string, _ string) []string {
		return pointWords(ctx, r, strings.Join(args, " "), backup.Live)
	}))
	return sh.calling(c, func(ctx context.Context, r remote, args []string) error {
		if err := q.readTimes(r.clock); err != nil {
			return err
		}
		if !q.dry && !q.yes && (!terminal(r.Stdin) || !terminal(r.Stderr)) {
			return usage.Error("lifeboat restore: the present content of the destination would be lost, and there is no terminal to ask at: " +
				"say --yes if it may be, or --dry-run to see what is lost\n")
		}
		target, err := r.target(ctx, args[0])
		if err != nil {
			return err
		}
		q.body["target"] = target
		if into, ok := q.body["into"].(string); ok {
			if q.body["into"], err = r.destination(ctx, target, into); err != nil {
				return err
			}
		}
		return r.restore(ctx, q)
	})
}

// readTimes replaces the times that the person wrote with those that the API reads.
func (q *restoring) readTimes(clock text.Clock) error {
	read := func(flag, written string, sign time.Duration) (string, error) {
		t, err := clock.Read(written, sign)
		switch {
		case err != nil:
		case sign < 0 && t.After(clock.Now):
			err = fmt.Errorf("%q is %s, which is still to come: write a time that has passed, such as \"yesterday 23:59\"",
				text.Plain(written), clock.Ago(t))
		case sign > 0 && t.Before(clock.Now):
			err = fmt.Errorf("%q is %s, which has passed: write a time to come, such as 2h", text.Plain(written), clock.Ago(t))
		}
		if err != nil {
			return "", usage.Error(fmt.Sprintf("lifeboat restore: --%s: %v\n", flag, err))
		}
		return t.UTC().Format(time.RFC3339), nil
	}
	if q.before != nil {
		before, err := read("before", *q.before, -1)
		if err != nil {
			return err
		}
		q.body["recoveryPoint"] = "latest before " + before
	}
	if written, ok := q.body["expires"].(string); ok {
		expires, err := read("expires", written, 1)
		if err != nil {
			return err
		}
		q.body["expires"] = expires
	}
	return nil
}

// restore asks for a restore, and may wait for its end; or for its plan alone.
func (r remote) restore(ctx context.Context, q restoring) error {
	if q.body["key"] != nil {
		q.body["kind"] = backup.RestoreKey
	}
	if q.preempt {
		q.body["preempt"] = true
	}
	if q.unsecured {
		q.body["noSafetyBackup"] = true
	}
	runs := fmt.Sprintf("%s shows whether the restore began", cmp.Or(q.body["into"], q.body["target"]))
	if q.dry {
		q.body["dryRun"] = true
		a, err := r.ask(ctx, "/api/restores", q.body, runs)
		if err != nil {
			return err
		}
		return r.dryRun(a)
	}
	if !q.yes {
		if err := r.agreed(ctx, q.body); err != nil {
			return err
		}
	}
	a, err := r.ask(ctx, "/api/restores", q.body, runs)
	if err != nil {
		return err
	}
	return await(ctx, r, a, readRun, q.wait)
}

// agreed shows what the restore would do, and returns nil if the person then types the name of the destination. The request gets the
// recovery point that the person has seen: the newest may be another one by now.
func (r remote) agreed(ctx context.Context, body map[string]any) error {
	dry := maps.Clone(body)
	dry["dryRun"] = true
	a, err := r.Do(ctx, client.Call{Method: http.MethodPost, Path: "/api/restores", Body: dry})
	if err != nil {
		return err
	}
	p, err := readPreview(a.Body)
	if err != nil {
		return err
	}
	shown := r
	shown.Stdout = r.Stderr
	if err := shown.previewTable(p); err != nil {
		return err
	}
	if err := refusal(p); err != nil {
		return err
	}
	name := p.Destination[strings.LastIndex(p.Destination, "/")+1:]
	lost := "The content of " + name
	if p.Kind == backup.RestoreKey {
		lost = "The key " + p.Key + " of " + name
	}
	if p.Point != nil {
		body["recoveryPoint"] = p.Point.ID
		lost += " since " + r.clock.Ago(p.Point.Written) + ","
	}
	fmt.Fprintf(r.Stderr, "\n%s is LOST. Type %s to go on: ", text.Plain(lost), text.Plain(name))
	typed, err := r.line(ctx, "nothing was restored")
	if err != nil {
		return err
	}
	if typed = strings.TrimSpace(typed); !strings.EqualFold(typed, name) && !strings.EqualFold(typed, p.Destination) {
		return errors.New("that is not its name: nothing was restored")
	}
	return nil
}

// line reads a line of the person's. If the person stops it, the error says what came of it.
func (sh Shell) line(ctx context.Context, outcome string) (string, error) {
	typed := make(chan string, 1)
	go func() { // a terminal cannot be read with a context
		line, _ := bufio.NewReader(sh.Stdin).ReadString('\n')
		typed <- line
	}()
	select {
	case <-ctx.Done():
		return "", errors.New("stopped: " + outcome)
	case line := <-typed:
		return line, nil
	}
}

func (sh Shell) cancelCommand() *cobra.Command {
	return sh.change("restores", &cobra.Command{
		Use: "cancel ID", Short: "Cancels a restore that has not begun yet",
		Long: `Cancels a restore, as long as it has not begun. If its safety backup is being
made, the restore ends behind that: the service is at work on it until then.
Its recovery point is kept. A second call changes nothing.`,
		Example:           "  lifeboat cancel 0c650536f8140ca3-8225300859-a660ff3845ee",
		ValidArgsFunction: sh.first(runWords(func(v run) bool { return v.Restore != nil && !v.over() })),
	})
}

func (sh Shell) abandonCommand() *cobra.Command {
	return sh.change("runs", &cobra.Command{
		Use: "abandon ID", Short: "Ends a run that hangs, and frees its target",
		Long: `Ends a backup or a restore that hangs, and frees its target and its permits at
once. The run ends unknown, since Azure may still be at work on it, or
canceled if nothing was begun. Azure may refuse other work on the service
until that operation has ended.

A restore that was begun is abandoned only if Azure answers that it shows
nothing of it. A second call changes nothing.`,
		Example:           "  lifeboat abandon 0c650536f8140ca3-8225300859-a660ff3845ee",
		ValidArgsFunction: sh.first(runWords(func(v run) bool { return !v.over() })),
	})
}

func (sh Shell) confirmCommand() *cobra.Command {
	return sh.change("restores", &cobra.Command{
		Use: "confirm ID", Short: "Says that a restore is right: its safety backup may go",
		Long: `Says that a restore is as it should be, once it has ended: its safety backup
is held no longer. A second call changes nothing.`,
		Example:           "  lifeboat confirm 0c650536f8140ca3-8225311599-2b0ae8d7f072",
		ValidArgsFunction: sh.first(runWords(func(v run) bool { return v.Restore != nil && v.over() })),
	})
}

// change makes the command for an action of a run or restore, the last part of the path; a second call changes nothing.
func (sh Shell) change(collection string, c *cobra.Command) *cobra.Command {
	return about(sh, c, func(id string) client.Call {
		return client.Call{Method: http.MethodPost, Path: "/api/" + collection + "/" + url.PathEscape(id) + "/" + c.Name()}
	}, readRun, func(r remote, _ context.Context, v run) error {
		line := fmt.Sprintf("%s  %s", v.ID, v.State)
		if v.Restore != nil && v.Restore.CanceledBy != "" && !v.over() {
			line += "; it ends canceled once its safety backup has ended"
		}
		if v.Point != nil {
			line += "; safety backup: " + text.Fate(r.clock, *v.Point)
		}
		_, err := fmt.Fprintln(r.Stdout, text.Plain(line))
		return err
	})
}
