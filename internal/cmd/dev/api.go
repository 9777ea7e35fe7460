package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// run is a run in the API's answers, as far as the demo reads it.
type run struct {
	ID            string    `json:"id"`
	Status        string    `json:"status"`
	State         string    `json:"state"`
	Kind          string    `json:"kind"`
	Request       string    `json:"requestId"`
	ScheduledTime time.Time `json:"scheduledTime"`
	Created       time.Time `json:"createdDateTime"`
	Ended         time.Time `json:"endedDateTime"`
	Attempts      int       `json:"attempts"`
	Polls         int       `json:"polls"`
	Error         *struct{ Code, Message string }
	// Point is the recovery point that a backup made, or the safety backup of a restore.
	Point *struct {
		State    string    `json:"state"`
		Blob     string    `json:"blob"`
		Size     int64     `json:"sizeInBytes"`
		SHA256   string    `json:"sha256"`
		Decision string    `json:"decision"`
		Note     string    `json:"note"`
		Safety   bool      `json:"safetyBackup"`
		Held     time.Time `json:"heldUntilDateTime"`
	} `json:"recoveryPoint"`

	target target
}

// ended tells whether the run has reached its last state.
func (r run) ended() bool { return !r.Ended.IsZero() }

func (r run) cause() string {
	switch {
	case r.Kind == "restore":
		return r.Request
	case r.ScheduledTime.IsZero():
		return "on demand"
	}
	return "scheduled for " + r.ScheduledTime.Format("15:04:05")
}

// history returns the runs of all targets from the API, newest first.
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

// onDemand requests a backup by HTTP, twice with the same request ID, like a client that got no response.
func (s *scene) onDemand(ctx context.Context, t target) (string, error) {
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
	s.say("%-14s POST /api/backups, sent twice: 202, one run, Operation-Location %s", t.name, header.Get("Operation-Location"))
	return first.ID, nil
}

func (s *scene) call(ctx context.Context, method, path string, body []byte, into any) (http.Header, error) {
	request, err := http.NewRequestWithContext(ctx, method, s.app.URL()+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("x-functions-key", s.app.Key("api"))
	request.Header.Set("Repeatability-Request-ID", hashOf(string(body))) // a repeat has the same
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
