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

// run is what the API tells of a run, as far as people are shown it.
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
}

type point struct {
	State    string    `json:"state"`
	Account  string    `json:"storageAccount"`
	Blob     string    `json:"blob"`
	Size     int64     `json:"sizeInBytes"`
	SHA256   string    `json:"sha256"`
	Created  time.Time `json:"createdDateTime"`
	Expires  time.Time `json:"expiresDateTime"`
	Deleted  time.Time `json:"deletedDateTime"`
	Decision string    `json:"decision"`
}

// remote is a command against the API, and what is around it.
type remote struct {
	*client
	requestID      string
	stdout, stderr io.Writer
}

// runs prints the history of a target, newest first.
func (r remote) runs(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("runs", flag.ContinueOnError)
	top := flags.Int("top", 0, "")
	all := flags.Bool("all", false, "")
	asJSON := flags.Bool("json", false, "")
	names, err := files(flags, args, 1)
	if err != nil || *top < 0 {
		return cmp.Or(err, errUsage)
	}
	query := url.Values{"target": {names[0]}}
	if *all {
		*top = cmp.Or(*top, 100)
	}
	if *top > 0 {
		query.Set("top", strconv.Itoa(*top))
	}
	type page struct {
		Value    []json.RawMessage `json:"value"`
		NextLink string            `json:"nextLink,omitempty"`
	}
	whole := page{Value: []json.RawMessage{}}
	for next := "/api/runs?" + query.Encode(); next != ""; {
		a, err := r.do(ctx, call{method: http.MethodGet, path: next, tries: 5})
		if err != nil {
			return err
		}
		var p page
		if err := json.Unmarshal(a.body, &p); err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		if p.Value == nil { // the API's empty list is there
			return errors.New("the answer is no list of runs: is LIFEBOAT_URL the address of a Lifeboat app?")
		}
		whole.Value, whole.NextLink, next = append(whole.Value, p.Value...), p.NextLink, ""
		if *all {
			next, whole.NextLink = pathOf(p.NextLink), ""
		}
	}
	if *asJSON {
		return json.NewEncoder(r.stdout).Encode(whole)
	}
	table := tabwriter.NewWriter(r.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "RUN\tSTATE\tPLAN\tSLOT\tCREATED\tENDED\tSIZE\tRECOVERY POINT\tREASON")
	for _, text := range whole.Value {
		v, err := readRun(text)
		if err != nil {
			return err
		}
		size, kept, why := "", "", ""
		if v.Point != nil {
			size, kept = bytesOf(v.Point.Size), v.Point.fate()
		}
		if p := cmp.Or(v.Error, v.Waiting); p != nil {
			why = plain(p.Code)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", v.ID, v.State, v.Plan, cmp.Or(utc(v.Slot), "by hand"),
			utc(v.Created), utc(v.Ended), size, kept, why)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if whole.NextLink != "" {
		fmt.Fprintf(r.stderr, "%s shown; there are older ones: --all, or --top up to 100\n", count(len(whole.Value), "run"))
	}
	return nil
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
				row(strings.ToLower(d.Code), d.Message)
			}
		}
	}
	row("run", v.ID)
	row("target", v.Target)
	row("plan", v.Plan)
	row("slot", cmp.Or(utc(v.Slot), "by hand"))
	row("request", v.RequestID)
	row("state", v.State)
	explain("waits for", v.Waiting)
	explain("error", v.Error)
	row("created", utc(v.Created))
	row("updated", utc(v.Updated))
	row("ended", utc(v.Ended))
	row("attempts", strconv.Itoa(v.Attempts))
	row("polls", strconv.Itoa(v.Polls))
	if p := v.Point; p != nil {
		row("recovery point", p.fate())
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
	follow := flags.Bool("wait", false, "")
	asJSON := flags.Bool("json", false, "")
	names, err := files(flags, args, 1)
	if err != nil {
		return err
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
	v, err := readRun(a.body)
	if err != nil {
		return err
	}
	if !*asJSON {
		if _, err := fmt.Fprintln(r.stdout, v.ID); err != nil {
			return err
		}
	}
	if *follow {
		if a, v, err = r.follow(ctx, a, v); err != nil {
			return err
		}
	}
	if *asJSON {
		if err := r.document(a.body); err != nil {
			return err
		}
	}
	if *follow && v.Status != "Succeeded" {
		return fmt.Errorf("run %s of %s ended %s: %w", v.ID, v.Target, v.State, cmp.Or(v.Error, &problem{Code: "Unknown"}))
	}
	return nil
}

// follow waits for the end of the run, with a line for every step that it makes.
func (r remote) follow(ctx context.Context, a answer, v run) (answer, run, error) {
	goesOn := func(err error) error {
		return fmt.Errorf("%w; the backup goes on without this command: lifeboat run %s", err, v.ID)
	}
	path := cmp.Or(a.operation, "/api/runs/"+url.PathEscape(v.ID))
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
		now, err := readRun(next.body)
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

// over: Azure's three words for the end of a long-running operation.
func (v run) over() bool {
	return v.Status == "Succeeded" || v.Status == "Failed" || v.Status == "Canceled"
}

// progress is the line about where the run stands. Its time is the app's, of the run's last step.
func (v run) progress() string {
	line := fmt.Sprintf("%s  %s", utc(v.Updated), v.State)
	switch {
	case v.Waiting != nil:
		line += ": " + plain(v.Waiting.Code+": "+v.Waiting.Message)
	case v.Point != nil:
		line += ": " + bytesOf(v.Point.Size) + ", " + v.Point.fate()
	case v.Polls > 0 && !v.over():
		line += fmt.Sprintf(", asked Azure %s", count(v.Polls, "time"))
	}
	return line
}

// fate is what became, or will become, of a recovery point.
func (p point) fate() string {
	switch {
	case !p.Deleted.IsZero():
		return "deleted " + utc(p.Deleted)
	case p.State == "live":
		return "kept until " + utc(p.Expires)
	}
	return p.State
}

func utc(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(utcForm)
}

// bytesOf is a size for people, in powers of 1024.
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
