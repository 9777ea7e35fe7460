package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// run is the API's answer about a run, with the members that people are shown.
type run struct {
	ID          string    `json:"id"`
	Status      string    `json:"status"`
	State       string    `json:"state"`
	Plan        string    `json:"plan"`
	Target      string    `json:"target"`
	Slot        time.Time `json:"slot"`
	RequestID   string    `json:"requestId"`
	Created     time.Time `json:"createdDateTime"`
	Updated     time.Time `json:"lastUpdatedDateTime"`
	Ended       time.Time `json:"endedDateTime"`
	Attempts    int       `json:"attempts"`
	Polls       int       `json:"polls"`
	Waiting     *problem  `json:"waiting"`
	Error       *problem  `json:"error"`
	Point       *point    `json:"recoveryPoint"`
	NotIncluded []string  `json:"notIncluded"`
	// Kind is backup or restore; Restore describes a restore.
	Kind    string    `json:"kind"`
	Restore *restored `json:"restore"`
}

// remote is a command against the API, and its environment.
type remote struct {
	*client
	requestID      string
	stdout, stderr io.Writer
}

// runs prints the history of a target, newest first.
func (r remote) runs(ctx context.Context, args []string) error {
	return r.list(ctx, args, list{
		path: "/api/runs", what: "run", head: "RUN\tSTATE\tPLAN\tSLOT\tCREATED\tENDED\tSIZE\tRECOVERY POINT\tREASON",
		row: func(text []byte) (string, error) {
			v, err := readRun(text)
			if err != nil {
				return "", err
			}
			size, kept, why := "", "", cmp.Or(v.Error, v.Waiting)
			if v.Point != nil {
				size, kept = bytesOf(v.Point.Size), v.Point.fate()
				if v.Point.State == suspect {
					why = v.Point.Suspicion
				}
			}
			return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s", v.ID, v.State, v.Plan, v.slot(),
				utc(v.Created), utc(v.Ended), size, kept, why.code()), nil
		},
	})
}

// show prints one run in detail.
func (r remote) show(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	asJSON := flags.Bool("json", false, "")
	names, err := files(flags, args, 1)
	if err != nil || names[0] == "" {
		return cmp.Or(err, errUsage)
	}
	a, err := r.do(ctx, call{method: http.MethodGet, path: "/api/runs/" + url.PathEscape(names[0]), tries: 5})
	if err != nil {
		return err
	}
	v, err := readRun(a.body)
	if err != nil {
		return err
	}
	if *asJSON {
		return r.document(a.body)
	}
	table := tabwriter.NewWriter(r.stdout, 0, 0, 2, ' ', 0)
	row := func(name string, values ...string) {
		if text := plain(strings.TrimSpace(strings.Join(values, " "))); text != "" {
			fmt.Fprintf(table, "%s\t%s\n", name, text)
		}
	}
	explain := func(name string, p *problem) {
		if p != nil {
			row(name, p.Code+":", p.Message)
			for _, d := range p.Details {
				if d.Code != said {
					row(strings.ToLower(d.Code), d.Message)
				}
			}
		}
	}
	row("run", v.ID)
	row("target", v.Target)
	row("plan", v.Plan)
	row("slot", v.slot())
	row("request", v.RequestID)
	row("state", v.State)
	explain("waits for", v.Waiting)
	explain("error", v.Error)
	row("created", utc(v.Created))
	row("updated", utc(v.Updated))
	row("ended", utc(v.Ended))
	row("attempts", strconv.Itoa(v.Attempts))
	row("polls", strconv.Itoa(v.Polls))
	left := "recovery point"
	if q := v.Restore; q != nil {
		row("restores", q.Source)
		row("from", q.Point)
		row("kind", q.Kind, q.Key)
		row("region", q.Region)
		row("asked by", q.RequestedBy)
		row("asked why", q.Reason)
		row("begins until", utc(q.Expires))
		row("left out", q.Warning)
		if left = "safety backup"; v.Point == nil {
			row(left, map[bool]string{true: "none yet: it comes before the restore", false: "none"}[q.Safety])
		}
	}
	if p := v.Point; p != nil {
		if p.CopyOnly {
			left = "copy"
		}
		row(left, p.fate())
		row("note", p.Note)
		explain("suspicion", p.Suspicion)
		row("accepted", utc(p.Accepted), p.AcceptedBy, p.AcceptReason)
		row("decision", p.Decision)
		row("account", p.Account)
		row("blob", p.Blob)
		row("size", bytesOf(p.Size))
		row("sha256", p.SHA256)
	}
	for _, text := range v.NotIncluded {
		row("not included", text)
	}
	return table.Flush()
}

// backup asks for a backup, and may wait for its end.
func (r remote) backup(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("backup", flag.ContinueOnError)
	plan := flags.String("plan", "", "")
	wait := flags.Bool("wait", false, "")
	asJSON := flags.Bool("json", false, "")
	names, err := names(flags, args)
	switch {
	case err != nil:
		return err
	case len(names) == 0 && *plan != "":
		return r.backupAll(ctx, *plan, *wait, *asJSON)
	case len(names) != 1:
		return errUsage
	}
	body := map[string]string{"target": names[0]}
	if *plan != "" {
		body["plan"] = *plan
	}
	a, err := r.do(ctx, call{
		method: http.MethodPost, path: "/api/backups", body: body, requestID: r.requestID, tries: 5,
	})
	if errors.Is(err, errStopped) {
		return fmt.Errorf("stopped before the app had answered: lifeboat runs %s tells whether it makes a backup", names[0])
	}
	if err != nil {
		return err
	}
	return r.await(ctx, a, *wait, *asJSON)
}

// await prints the ID of the run that was accepted, and may wait for its end.
func (r remote) await(ctx context.Context, a answer, wait, asJSON bool) error {
	v, err := readRun(a.body)
	if err != nil {
		return err
	}
	if !asJSON {
		if _, err := fmt.Fprintln(r.stdout, v.ID); err != nil {
			return err
		}
	}
	if wait {
		if a, v, err = follow(ctx, r, a, v, readRun); err != nil {
			return err
		}
	}
	if asJSON {
		if err := r.document(a.body); err != nil {
			return err
		}
	}
	if wait && v.Status != "Succeeded" {
		return fmt.Errorf("run %s of %s ended %s: %w", v.ID, v.Target, v.State, cmp.Or(v.Error, &problem{Code: "Unknown"}))
	}
	return nil
}

// operation is a run or a batch: a command can wait for its end.
type operation interface {
	// over tells whether it has ended.
	over() bool
	// progress returns a line about its state.
	progress() string
	// path returns its path in the API, and command the command that shows it.
	path() string
	command() string
	// kind returns backup or restore.
	kind() string
}

// follow waits for the end of the operation, with a line for every change.
func follow[T operation](
	ctx context.Context, r remote, a answer, v T, read func(text []byte) (T, error),
) (answer, T, error) {
	goesOn := func(err error) error {
		return fmt.Errorf("%w; the %s goes on without this command: lifeboat %s", err, v.kind(), v.command())
	}
	path := cmp.Or(a.operation, v.path())
	for last := ""; ; {
		if line := v.progress(); line != last {
			fmt.Fprintln(r.stderr, line)
			last = line
		}
		if v.over() {
			return a, v, nil
		}
		if !sleep(ctx, cmp.Or(a.retryAfter, 5*time.Second)) {
			return a, v, goesOn(errStopped)
		}
		next, err := r.do(ctx, call{method: http.MethodGet, path: path, tries: 10, following: true})
		if err != nil {
			return a, v, goesOn(err)
		}
		now, err := read(next.body)
		if err != nil {
			return a, v, goesOn(err)
		}
		a, v = next, now
	}
}

// document prints the API's JSON as it came.
func (r remote) document(text []byte) error {
	_, err := fmt.Fprintln(r.stdout, strings.TrimSpace(string(text)))
	return err
}

func readRun(text []byte) (run, error) {
	var v run
	if err := json.Unmarshal(text, &v); err != nil {
		return v, fmt.Errorf("read the answer: %w", err)
	}
	if v.ID == "" {
		return v, errors.New("the answer is no run: is LIFEBOAT_URL the address of a Lifeboat app?")
	}
	return v, nil
}

func (v run) over() bool { return ended(v.Status) }

// ended tells whether the word is one of Azure's three for the end of a long-running operation.
func ended(status string) bool {
	return status == "Succeeded" || status == "Failed" || status == "Canceled"
}

func (v run) path() string { return "/api/runs/" + url.PathEscape(v.ID) }

func (v run) command() string { return "run " + v.ID }

func (v run) kind() string { return plain(cmp.Or(v.Kind, "backup")) }

// slot returns the slot of the run, or says that the run is a restore or was made by hand.
func (v run) slot() string {
	switch {
	case v.Restore != nil:
		return "restore"
	case v.Slot.IsZero():
		return "by hand"
	}
	return utc(v.Slot)
}

// progress returns the line about the state of the run. Its time is the app's, of the run's last step.
func (v run) progress() string {
	line := fmt.Sprintf("%s  %s", utc(v.Updated), v.State)
	switch {
	case v.Waiting != nil:
		line += ": " + plain(v.Waiting.Code+": "+v.Waiting.Message)
	case v.Point != nil:
		line += ": " + bytesOf(v.Point.Size) + ", " + v.Point.fate()
		if v.Point.State == suspect && v.Point.Suspicion != nil {
			line += ": " + plain(v.Point.Suspicion.Message)
		}
	case v.Polls > 0 && !v.over():
		line += fmt.Sprintf(", asked Azure %s", count(v.Polls, "time"))
	}
	return line
}

func utc(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(utcForm)
}

// bytesOf returns a size for people, in powers of 1024.
func bytesOf(n int64) string {
	size, unit := float64(n), 0
	for ; size >= 1024 && unit < 4; unit++ {
		size /= 1024
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %ciB", size, "KMGT"[unit-1])
}
