package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/cli/client"
	"lifeboat/internal/cli/names"
	"lifeboat/internal/cli/text"
	"lifeboat/internal/cli/usage"
)

// batch is the API's answer about a batch.
type batch api.Batch

func readBatch(text []byte) (batch, error) {
	return read(text, "is no batch", func(v batch) bool { return v.ID != "" && v.Runs != nil })
}

func (v batch) id() string { return v.ID }

func (v batch) ids() []string { return each(v.Runs, func(run api.BatchRun) string { return run.ID }) }

func (v batch) over() bool { return ended(v.Status) }

func (v batch) path() string { return "/api/batches/" + url.PathEscape(v.ID) }

func (v batch) command() string { return "batch " + v.ID }

func (v batch) kind() string { return "backup" }

// progress returns a line without a time: a line comes for every change of the counts, not for every step of a run.
func (v batch) progress(text.Clock) string {
	var parts []string
	for _, state := range slices.Sorted(maps.Keys(v.Counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", v.Counts[state], text.Plain(state)))
	}
	return text.Count(len(v.Runs), "run") + ": " + strings.Join(parts, ", ")
}

func (v batch) times() (begin, end time.Time) { return v.Created, v.Ended }

// usual returns 0: batches differ.
func (v batch) usual(context.Context, remote) time.Duration { return 0 }

// labels returns the names of the runs' targets.
func (v batch) labels() []string {
	return names.Labels(each(v.Runs, func(run api.BatchRun) string { return run.Target }))
}

// why returns the reason for which the run did not succeed, if it is known.
func (v batch) why(run api.BatchRun) *api.Problem {
	if v.Error != nil {
		for i, d := range v.Error.Details {
			if backup.Same(d.Target, run.Target) {
				return &v.Error.Details[i]
			}
		}
	}
	return nil
}

// warning is of restores alone: a batch has backups.
func (batch) warning() string { return "" }

// failure lists the runs that did not succeed, each with the reason.
func (v batch) failure() error {
	if v.Status == "Succeeded" {
		return nil
	}
	lines := []string{fmt.Sprintf("batch %s of plan %s is incomplete:", v.ID, text.Plain(v.Plan))}
	for i, label := range v.labels() {
		run := v.Runs[i]
		if run.Status == "Succeeded" {
			continue
		}
		line := fmt.Sprintf("%s %s, run %s", label, run.State, run.ID)
		if why := v.why(run); why != nil {
			line += ": " + client.InWords(*why)
		}
		lines = append(lines, "  "+text.Plain(line))
	}
	return errors.New(strings.Join(lines, "\n"))
}

// batchCommand prints the runs of a batch.
func (sh Shell) batchCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "batch ID",
		Short: "Lists the runs of a batch, and their states",
		Long: `Lists the runs of a batch, and their states. A batch is made by lifeboat
backup --plan NAME.`,
		Example: "  lifeboat batch 8f5815465303ca0a3b700c07068ef3ef",
		Args:    usage.Exactly("ID"),

		ValidArgsFunction: sh.first(batchWords),
	}
	return sh.listing(c, asking(func(id string) client.Call {
		return client.Call{Method: http.MethodGet, Path: batch{ID: id}.path()}
	}, readBatch, remote.batchTable))
}

func (r remote) batchTable(ctx context.Context, v batch) error {
	table := text.NewTable(text.Column{Name: "RUN"}, text.Column{Name: "TARGET", Cut: true, Distinct: true}, text.Column{Name: "STATE"},
		text.Column{Name: "REASON", Rank: 1, Cut: true})
	targets := each(v.Runs, func(run api.BatchRun) string { return run.Target })
	if r.format != asWide {
		targets = r.labels(ctx, targets)
	}
	for i, label := range targets {
		run := v.Runs[i]
		table.Row(text.Plain(run.ID), text.Plain(label), text.Plain(run.State), text.Code(v.why(run)))
	}
	if err := r.print(table); err != nil {
		return err
	}
	_, err := fmt.Fprintf(r.Stderr, "plan %s, %s; %s\n", text.Plain(v.Plan), text.Plain(v.Status), v.progress(r.clock))
	return err
}
