package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"lifeboat/handler"
	"lifeboat/internal/backup"
	"lifeboat/internal/cli"
	"lifeboat/internal/config"
	"lifeboat/internal/engine"
	"lifeboat/internal/plans"
	"lifeboat/internal/services"
	"lifeboat/internal/testing/memory"
)

// nightsPlan is the plan of the month.
const nightsPlan = `version: 1
defaults: {storage: {account: /subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/backups/providers/Microsoft.Storage/storageAccounts/contosobackups, container: lifeboat}}
plans:
  - name: nightly
    schedule: "30 2 * * *"
    keep: {daily: 5, weekly: 3}
    softDelete: 3d
    targets: [/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/prod/providers/Microsoft.KeyVault/managedHSMs/contoso-hsm]
`

// month is the engine of the program and its API, on a clock that jumps to whatever comes next. Its storage is memory, and its service
// answers at once: it shows what becomes of recovery points, and no acts of Azure.
type month struct {
	out    io.Writer
	now    time.Time
	ids    int
	plans  []backup.Plan
	queue  *memory.Queue
	engine *engine.Engine
	url    string
}

// nights plays a month: a backup each night, which the plan's counts thin, a hold, an undo and an explanation.
func nights(ctx context.Context, out io.Writer) error {
	m := &month{out: out, now: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
	end, err := m.open(ctx)
	if err != nil {
		return err
	}
	defer end()
	target := m.plans[0].Targets[0]
	held := ""
	for night := range 31 {
		id, err := m.night(ctx)
		if err != nil {
			return err
		}
		if night == 10 {
			held = id
			if err := m.types(ctx, "hold", id, "--reason", "before the new keys"); err != nil {
				return err
			}
		}
	}
	if err := m.types(ctx, "retention", "preview", "contoso-hsm"); err != nil {
		return err
	}
	points, _, err := m.engine.RecoveryPoints(ctx, target, "", 100)
	if err != nil {
		return err
	}
	marked, oldest := "", ""
	for _, p := range points { // the newest first
		switch {
		case p.IsSoftDeleted():
			marked = cmp.Or(marked, p.ID)
		case p.State == backup.Live && len(p.Holds) == 0:
			oldest = p.ID
		}
	}
	for _, line := range [][]string{
		{"undelete", marked, "--reason", "its keys are wanted back"},
		{"explain", marked},
		{"explain", oldest},
	} {
		if err := m.types(ctx, line...); err != nil {
			return err
		}
	}
	return m.check(ctx, target, held, marked)
}

// open makes the engine and its API, which listens on this machine alone. The caller ends it.
func (m *month) open(ctx context.Context) (end func(), err error) {
	clock := func() time.Time { return m.now }
	all := services.All().Known()
	if m.plans, _, err = config.NewReader(all).Parse("plan.yaml", []byte(nightsPlan)); err != nil {
		return nil, err
	}
	catalog := memory.NewCatalog(clock)
	m.queue = memory.NewQueue(clock)
	m.engine = &engine.Engine{
		Catalog: catalog, Queue: m.queue, Manifests: &memory.Manifests{}, Timings: engine.DefaultTimings(), Zone: config.Zone, Now: clock,
		App: appName, Services: all, Providers: map[string]backup.Provider{"microsoft.keyvault/managedhsms": prompt{month: m}},
		NewID: func() string { m.ids++; return fmt.Sprint("id", m.ids) },
	}
	store := &plans.Store{
		Catalog: catalog, Read: func(context.Context) ([]byte, error) { return []byte(nightsPlan), nil },
		Parse: func([]byte) ([]backup.Plan, error) { return m.plans, nil },
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	m.url = "http://" + listener.Addr().String()
	server := &http.Server{
		Handler:           handler.New(handler.Config{Engine: m.engine, Plans: store, Log: zerolog.Nop(), Now: clock}),
		ReadHeaderTimeout: time.Minute,
	}
	go server.Serve(listener)                //nolint:errcheck // it ends with Close
	_, err = m.engine.Schedule(ctx, m.plans) // a new plan begins with the next scheduled time
	return func() { _ = server.Close() }, err
}

// night lets the next scheduled time come, with all that follows from it, and returns the run's ID.
func (m *month) night(ctx context.Context) (string, error) {
	m.now = m.plans[0].Schedule.Next(m.now)
	report, err := m.engine.Schedule(ctx, m.plans)
	if err == nil && len(report.Created) != 1 {
		err = fmt.Errorf("the timer run at %s made %d runs", m.now, len(report.Created))
	}
	if err != nil {
		return "", err
	}
	for {
		next, waits := m.queue.Next(backup.ExecuteQueue)
		if !waits {
			break
		}
		if m.now.Before(next) {
			m.now = next
		}
		for _, message := range m.queue.Receive(backup.ExecuteQueue, 1, time.Hour) {
			if _, err := m.engine.Execute(ctx, message.ID, message.Body); err != nil {
				return "", err
			}
			if err := m.queue.Delete(backup.ExecuteQueue, message.ID, message.Receipt); err != nil {
				return "", err
			}
		}
	}
	m.now = m.now.Truncate(time.Hour).Add(time.Hour)
	_, err = m.engine.Cleanup(ctx)
	return report.Created[0], err
}

// types runs a command of the program, and shows it as a person at a terminal sees it.
func (m *month) types(ctx context.Context, args ...string) error {
	fmt.Fprintf(m.out, "%s  $ lifeboat %s\n", m.now.Format(time.DateOnly), strings.Join(quoted(args), " "))
	settings := map[string]string{"LIFEBOAT_URL": m.url, "LIFEBOAT_KEY": "any", "COLUMNS": "100"}
	code := cli.Run(ctx, args, cli.Shell{
		Getenv: func(name string) string { return settings[name] }, Stdin: strings.NewReader(""), Stdout: m.out, Stderr: m.out, Now: m.now,
		Plans: config.NewReader(m.engine.Services), RequestID: fmt.Sprint("request-", m.ids),
	})
	fmt.Fprintln(m.out)
	if code != 0 {
		return fmt.Errorf("lifeboat %s ends with %d", strings.Join(args, " "), code)
	}
	return nil
}

// quoted puts arguments with spaces in quotes.
func quoted(args []string) []string {
	words := make([]string, len(args))
	for i, word := range args {
		if words[i] = word; strings.Contains(word, " ") {
			words[i] = `"` + word + `"`
		}
	}
	return words
}

// check lets a further month pass without a backup, and checks that the two points of people are there, and how many others.
func (m *month) check(ctx context.Context, target string, theirs ...string) error {
	m.now = m.now.Add(31 * 24 * time.Hour)
	if _, err := m.engine.Cleanup(ctx); err != nil {
		return err
	}
	points, _, err := m.engine.RecoveryPoints(ctx, target, "", 100)
	if err != nil {
		return err
	}
	left := 0
	for _, p := range points {
		if p.State == backup.Live {
			left++
			for i, id := range theirs {
				if id == p.ID {
					theirs[i] = ""
				}
			}
		}
	}
	if strings.Join(theirs, "") != "" {
		return errors.New("a recovery point that a person holds is gone")
	}
	fmt.Fprintf(m.out, "after another month without a backup: %d of 31 recovery points are there, the two of people among them\n", left)
	return nil
}

// prompt is a service that backs up at once, a folder of 20 MiB each time.
type prompt struct {
	backup.Provider
	*month
}

func (prompt) Preflight(context.Context, backup.Attempt) error { return nil }

func (prompt) Prepare(context.Context, backup.Attempt, string) (backup.Operation, error) {
	return backup.Operation{Done: true}, nil
}

func (prompt) Begin(_ context.Context, a backup.Attempt) (backup.Operation, error) {
	return backup.Operation{Done: true, Artifact: a.Run}, nil
}

func (p prompt) Hash(_ context.Context, a backup.Attempt, _ backup.Hashing) (backup.Verification, error) {
	return backup.Verification{
		Done: true, Hashing: backup.Hashing{ETag: a.Run}, Size: 20 << 20, SHA256: strings.Repeat("c0ffee00", 8), Modified: p.now,
		Files: []backup.File{{Name: "keys", Size: 20 << 20, ETag: a.Run}},
	}, nil
}

func (prompt) Prove(context.Context, backup.Attempt, string) (backup.Operation, error) {
	return backup.Operation{Done: true, Asked: true}, nil
}

func (prompt) Delete(context.Context, backup.Attempt, string, bool) error { return nil }
