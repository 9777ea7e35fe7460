package cli

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
)

// batch is the API's answer about a batch.
type batch api.Batch

func readBatch(text []byte) (batch, error) {
	return read(text, "is no batch", func(v batch) bool { return v.ID != "" && v.Runs != nil })
}

func (v batch) id() string { return v.ID }

func (v batch) over() bool { return ended(v.Status) }

func (v batch) path() string { return "/api/batches/" + url.PathEscape(v.ID) }

func (v batch) command() string { return "batch " + v.ID }

func (v batch) kind() string { return "backup" }

// progress returns a line without a time: a line comes for every change of the counts, not for every step of a run.
func (v batch) progress() string {
	var parts []string
	for _, state := range slices.Sorted(maps.Keys(v.Counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", v.Counts[state], plain(state)))
	}
	return count(len(v.Runs), "run") + ": " + strings.Join(parts, ", ")
}

// labels returns the names of the runs' targets.
func (v batch) labels() []string {
	return labels(each(v.Runs, func(run api.BatchRun) string { return run.Target }))
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

// failure lists the runs that did not succeed, each with the reason.
func (v batch) failure() error {
	if v.Status == "Succeeded" {
		return nil
	}
	lines := []string{fmt.Sprintf("batch %s of plan %s is incomplete:", v.ID, plain(v.Plan))}
	for i, label := range v.labels() {
		run := v.Runs[i]
		if run.Status == "Succeeded" {
			continue
		}
		line := fmt.Sprintf("%s %s, run %s", label, run.State, run.ID)
		if why := v.why(run); why != nil {
			line += ": " + inWords(*why)
		}
		lines = append(lines, "  "+plain(line))
	}
	return errors.New(strings.Join(lines, "\n"))
}

// batchCommand prints the runs of a batch.
func (sh Shell) batchCommand() *cobra.Command {
	return about(sh, &cobra.Command{
		Use:     "batch ID",
		Short:   "Lists the runs of a batch, and their states",
		Long:    `Lists the runs of a batch, and their states. A batch is made by lifeboat backup --plan NAME.`,
		Example: "  lifeboat batch c0ffee000003",
	}, func(id string) call {
		return call{method: http.MethodGet, path: batch{ID: id}.path()}
	}, readBatch, remote.batchTable)
}

func (r remote) batchTable(v batch) error {
	table := newTable(r.Stdout, "RUN", "TARGET", "STATE", "REASON")
	for i, label := range v.labels() {
		run := v.Runs[i]
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", plain(run.ID), plain(label), plain(run.State), code(v.why(run)))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(r.Stderr, "plan %s, %s; %s\n", plain(v.Plan), plain(v.Status), v.progress())
	return err
}
