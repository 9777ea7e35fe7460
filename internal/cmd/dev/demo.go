package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"text/tabwriter"
	"time"
)

// run is what the demo reads of the API's answers.
type run struct {
	ID       string    `json:"id"`
	Status   string    `json:"status"`
	State    string    `json:"state"`
	Slot     time.Time `json:"slot"`
	Created  time.Time `json:"createdDateTime"`
	Ended    time.Time `json:"endedDateTime"`
	Attempts int       `json:"attempts"`
	Polls    int       `json:"polls"`
	Error    *struct{ Code, Message string }
	Point    *struct {
		State    string `json:"state"`
		Blob     string `json:"blob"`
		Size     int64  `json:"sizeInBytes"`
		SHA256   string `json:"sha256"`
		Decision string `json:"decision"`
		Note     string `json:"note"`
	} `json:"recoveryPoint"`

	target target
}

// demoTime is far more than the demo needs.
const demoTime = 3 * time.Minute

// demo follows the scheduled runs, asks for one more, waits until an old recovery point expired, and checks it all.
func demo(ctx context.Context, s *scene) error {
	ctx, cancel := context.WithTimeout(ctx, demoTime)
	defer cancel()
	s.say("ready. Plan \"often\": %d targets, a slot every 12 s, kept %s, but the newest always", len(targets), within)
	s.say("a minute of Azure passes in half a second; nothing waits for it: the program is called, makes a step, returns")
	seen := map[string]string{}
	asked := ""
	var last []run
	for {
		history, err := s.history(ctx)
		if ctx.Err() != nil {
			showTable(last)
			return fmt.Errorf("stopped after %.0f s; still missing: %s", time.Since(s.began).Seconds(), lacks(last, asked))
		}
		if err != nil {
			return err
		}
		last = history
		s.showNews(history, seen)
		if asked == "" && succeeded(history, targets[0]) > 0 {
			if asked, err = s.ask(ctx, targets[0]); err != nil {
				return err
			}
		}
		if lacks(history, asked) == "" {
			fmt.Println()
			showTable(history)
			return s.check(ctx, history, asked)
		}
		select {
		case <-time.After(400 * time.Millisecond):
		case <-ctx.Done():
		case <-s.app.Done():
			return errors.New("the Functions host shut itself down: see " + s.log.Name())
		}
	}
}

// lacks says what is still to come, "" if nothing is.
func lacks(history []run, asked string) string {
	for _, t := range targets {
		switch {
		case succeeded(history, t) < 2:
			return "a second scheduled backup of " + t.name
		case expired(history, t) == 0:
			return "a recovery point of " + t.name + " that expires"
		}
	}
	for _, r := range history {
		if r.ID == asked && r.State == "succeeded" {
			return ""
		}
	}
	return "the end of the backup on demand"
}

// succeeded counts the scheduled runs of a target that left a recovery point.
func succeeded(history []run, t target) (n int) {
	for _, r := range history {
		if r.target == t && r.State == "succeeded" && !r.Slot.IsZero() {
			n++
		}
	}
	return n
}

// expired counts the recovery points of a target that have expired.
func expired(history []run, t target) (n int) {
	for _, r := range history {
		if r.target == t && r.Point != nil && r.Point.State == "expired" {
			n++
		}
	}
	return n
}

// showNews prints what changed since the last look.
func (s *scene) showNews(history []run, seen map[string]string) {
	for i := len(history) - 1; i >= 0; i-- {
		r := history[i]
		text := r.State
		switch {
		case r.Point != nil && r.Point.State != "live":
			text = "recovery point " + r.Point.State + ": " + r.Point.Decision
		case r.Point != nil:
			text = fmt.Sprintf("succeeded: %d KiB, SHA-256 %.12s…", r.Point.Size/1024, r.Point.SHA256)
		case r.Error != nil:
			text = r.State + ": " + r.Error.Message
		}
		if seen[r.ID] != text {
			seen[r.ID] = text
			s.say("%-12s %-14s %s", r.target.name, r.cause(), text)
		}
	}
}

func (r run) cause() string {
	if r.Slot.IsZero() {
		return "on demand"
	}
	return "slot " + r.Slot.Format("15:04:05")
}

func showTable(history []run) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TARGET\tSERVICE\tCAUSE\tSTATE\tTOOK\tATTEMPTS\tPOLLS\tRECOVERY POINT\tBLOB OR FOLDER")
	for _, r := range history {
		took, point, blob := "", "", ""
		if !r.Ended.IsZero() {
			took = r.Ended.Sub(r.Created).Round(100 * time.Millisecond).String()
		}
		if r.Point != nil {
			point, blob = r.Point.State, r.Point.Blob
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\n", r.target.name, r.target.kind, r.cause(), r.State, took, r.Attempts, r.Polls, point, blob)
	}
	w.Flush()
}

// history is what the API tells about all targets, newest first.
func (s *scene) history(ctx context.Context) ([]run, error) {
	var all []run
	for _, t := range targets {
		var page struct{ Value []run }
		if _, err := s.call(ctx, "GET", "/api/runs?"+url.Values{"target": {t.id()}}.Encode(), nil, &page); err != nil {
			return nil, err
		}
		for _, r := range page.Value {
			r.target = t
			all = append(all, r)
		}
	}
	return all, nil
}

// ask wants a backup by HTTP, twice with the same request ID, as somebody would who saw no answer.
func (s *scene) ask(ctx context.Context, t target) (string, error) {
	body := []byte(`{"target": "` + t.id() + `"}`)
	var first, second run
	header, err := s.call(ctx, "POST", "/api/backups", body, &first)
	if err != nil {
		return "", err
	}
	if _, err := s.call(ctx, "POST", "/api/backups", body, &second); err != nil {
		return "", err
	}
	if first.ID == "" || first.ID != second.ID {
		return "", fmt.Errorf("the same request made two runs: %q and %q", first.ID, second.ID)
	}
	s.say("%-12s POST /api/backups, sent twice: 202, one run, Operation-Location %s", t.name, header.Get("Operation-Location"))
	return first.ID, nil
}

func (s *scene) call(ctx context.Context, method, path string, body []byte, into any) (http.Header, error) {
	request, err := http.NewRequestWithContext(ctx, method, s.app.URL()+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("x-functions-key", s.app.Key("api"))
	request.Header.Set("Repeatability-Request-ID", "demo")
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, response.Status, text)
	}
	return response.Header, json.Unmarshal(text, into)
}
