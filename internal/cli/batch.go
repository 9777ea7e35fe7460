package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// batch is the API's answer about a batch, with the members that people are shown.
type batch struct {
	ID      string         `json:"id"`
	Status  string         `json:"status"`
	Plan    string         `json:"plan"`
	Updated time.Time      `json:"lastUpdatedDateTime"`
	Counts  map[string]int `json:"counts"`
	Error   *problem       `json:"error"`
	Runs    []run          `json:"runs"`
}

func readBatch(text []byte) (batch, error) {
	var v batch
	if err := json.Unmarshal(text, &v); err != nil {
		return v, fmt.Errorf("read the answer: %w", err)
	}
	if v.ID == "" || v.Runs == nil {
		return v, errors.New("the answer is no batch: is LIFEBOAT_URL the address of a Lifeboat app?")
	}
	return v, nil
}

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
	targets := make([]string, len(v.Runs))
	for i, run := range v.Runs {
		targets[i] = run.Target
	}
	return labels(targets)
}

// backupAll asks for a backup of every target of the plan, and may wait for their end.
func (r remote) backupAll(ctx context.Context, plan string, wait, asJSON bool) error {
	a, err := r.do(ctx, call{
		method: http.MethodPost, path: "/api/backups", body: map[string]string{"plan": plan}, requestID: r.requestID, tries: 5,
	})
	if errors.Is(err, errStopped) {
		return errors.New("stopped before the app had answered: lifeboat runs tells of each target whether it is backed up")
	}
	if err != nil {
		return err
	}
	v, err := readBatch(a.body)
	if err != nil {
		return err
	}
	if !asJSON {
		if _, err := fmt.Fprintln(r.stdout, v.ID); err != nil {
			return err
		}
	}
	if wait {
		if a, v, err = follow(ctx, r, a, v, readBatch); err != nil {
			return err
		}
	}
	if asJSON {
		if err := r.document(a.body); err != nil {
			return err
		}
	}
	if wait && v.Status != "Succeeded" {
		return v.incomplete()
	}
	return nil
}

// incomplete lists the runs that did not succeed, each with the reason.
func (v batch) incomplete() error {
	why := map[string]problem{}
	if v.Error != nil {
		for _, d := range v.Error.Details {
			why[strings.ToLower(d.Target)] = d
		}
	}
	lines := []string{fmt.Sprintf("batch %s of plan %s is incomplete:", v.ID, plain(v.Plan))}
	for i, label := range v.labels() {
		run := v.Runs[i]
		if run.Status == "Succeeded" {
			continue
		}
		line := fmt.Sprintf("%s %s, run %s", label, run.State, run.ID)
		if d, ok := why[strings.ToLower(run.Target)]; ok {
			line += ": " + d.Error()
		}
		lines = append(lines, "  "+plain(line))
	}
	return errors.New(strings.Join(lines, "\n"))
}

// batch prints the runs of a batch.
func (r remote) batch(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("batch", flag.ContinueOnError)
	asJSON := flags.Bool("json", false, "")
	names, err := files(flags, args, 1)
	if err != nil || names[0] == "" {
		return cmp.Or(err, errUsage)
	}
	a, err := r.do(ctx, call{method: http.MethodGet, path: batch{ID: names[0]}.path(), tries: 5})
	if err != nil {
		return err
	}
	v, err := readBatch(a.body)
	if err != nil {
		return err
	}
	if *asJSON {
		return r.document(a.body)
	}
	why := map[string]string{}
	if v.Error != nil {
		for _, d := range v.Error.Details {
			why[strings.ToLower(d.Target)] = d.Code
		}
	}
	table := tabwriter.NewWriter(r.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "RUN\tTARGET\tSTATE\tREASON")
	for i, label := range v.labels() {
		run := v.Runs[i]
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", plain(run.ID), plain(label), plain(run.State), plain(why[strings.ToLower(run.Target)]))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(r.stderr, "plan %s, %s; %s\n", plain(v.Plan), plain(v.Status), v.progress())
	return err
}
