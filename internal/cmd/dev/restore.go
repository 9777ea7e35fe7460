package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"lifeboat/internal/testing/stack"
)

// request is a request for a restore.
type request struct {
	target target
	// form is the encoding of its message.
	form string
	body map[string]any
}

func (r request) id() string { return r.body["id"].(string) }

// ask returns a request for the newest recovery point before the time, with its answers on a queue.
func ask(id string, t target, before time.Time, form, reason string) request {
	return request{t, form, map[string]any{
		"id": id, "target": t.id(), "recoveryPoint": "latest before " + before.UTC().Format(time.RFC3339Nano),
		"requestedBy": "the demo", "reason": reason, "replyTo": answersQueue,
	}}
}

// with adds a field.
func (r request) with(name string, value any) request {
	r.body[name] = value
	return r
}

// These are the encodings that clients use for messages.
const (
	plainJSON  = "plain JSON"
	base64JSON = "JSON in base64"
	cloudEvent = "a CloudEvent in base64"
)

// message returns the text of the request as it is sent.
func (r request) message() (string, error) {
	var content any = r.body
	if r.form == cloudEvent {
		content = map[string]any{
			"specversion": "1.0", "id": r.id(), "source": "urn:contoso:soar", "type": "contoso.restore.wanted",
			"datacontenttype": "application/json", "data": r.body,
		}
	}
	text, err := json.Marshal(content)
	if r.form == plainJSON {
		return string(text), err
	}
	return base64.StdEncoding.EncodeToString(text), err
}

// send puts the message into the queue of requests, twice, like a sender that got no response.
func (s *scene) send(ctx context.Context, r request) error {
	queue, err := s.queue(owner, requestsQueue)
	if err != nil {
		return err
	}
	text, err := r.message()
	if err != nil {
		return err
	}
	for range 2 {
		if _, err := queue.EnqueueMessage(ctx, text, nil); err != nil {
			return err
		}
	}
	s.say("%-14s request %s on %s, twice, as %s", r.target.name, r.id(), requestsQueue, r.form)
	return nil
}

// follow prints the answers until each request has its last one, and returns the last answers by the requests' IDs.
func (s *scene) follow(ctx context.Context, requests []request) (map[string]event, error) {
	ends := map[string]event{}
	for len(ends) < len(requests) {
		news, err := s.receive(ctx, answersQueue)
		if err != nil {
			return ends, err
		}
		for _, e := range news {
			if slices.ContainsFunc(s.answers, func(old event) bool { return old.ID == e.ID }) {
				continue // an answer that came twice counts once
			}
			s.answers = append(s.answers, e)
			s.say("%-14s answer to %s: %s%s", named(e.Subject).name, e.Data.Request, e.word(), e.words())
			if e.last() {
				ends[e.Data.Request] = e
			}
		}
		if err := s.pause(ctx); err != nil {
			return ends, err
		}
	}
	return ends, nil
}

// words returns the important details of an answer, besides its result.
func (e event) words() string {
	switch {
	case e.word() == "succeeded" && e.Data.SafetyBackup != "":
		return fmt.Sprintf(" after %s; the previous content is kept as %s", took(e), e.Data.SafetyBackup)
	case e.word() == "succeeded":
		return " after " + took(e)
	case e.last():
		return ": " + e.Data.Reason.Code
	}
	return ""
}

func took(e event) string {
	return e.Data.Ended.Sub(e.Data.Created).Round(100 * time.Millisecond).String()
}

// restored is the result of the demo's restores.
type restored struct {
	requests []request
	ends     map[string]event
	// before, damaged and after are the services' contents at these times.
	before, damaged, after map[target]map[string]string
}

// survey reads the contents of the targets that the demo damages.
func (s *scene) survey(ctx context.Context) (map[target]map[string]string, error) {
	found := map[target]map[string]string{}
	for _, t := range []target{apim, hsm, ccf} {
		state, err := s.state(ctx, t)
		if err != nil {
			return nil, err
		}
		found[t] = state
	}
	return found, nil
}

// showStates prints the targets' contents then and now. A thing that does not exist is shown as gone.
func showStates(was, is string, then, now map[target]map[string]string) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\n  SERVICE\t\tWHAT\t%s\t%s\n", was, is)
	for _, t := range targets {
		things := maps.Clone(then[t])
		maps.Copy(things, now[t])
		for _, thing := range slices.Sorted(maps.Keys(things)) {
			fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\n", t.kind, t.name, thing, orGone(then[t][thing]), orGone(now[t][thing]))
		}
	}
	w.Flush()
	fmt.Println()
}

func orGone(value string) string {
	if value == "" {
		return gone
	}
	return value
}

// restore damages three services, and has them restored by messages like those from other systems.
func (s *scene) restore(ctx context.Context) (r restored, err error) {
	if r.before, err = s.survey(ctx); err != nil {
		return r, err
	}
	at := time.Now()
	if err := s.damage(ctx); err != nil {
		return r, err
	}
	if r.damaged, err = s.survey(ctx); err != nil {
		return r, err
	}
	s.say("an API was changed and one deleted; a key was deleted and purged; the application was deleted")
	showStates("BEFORE", "NOW", r.before, r.damaged)
	r.requests = []request{
		ask("incident-1", apim, at, plainJSON, "a deployment changed one API and deleted another"),
		ask("incident-2", hsm, at, cloudEvent, "somebody purged a key").with("kind", "selective").with("key", key),
		ask("incident-3", ccf, at, base64JSON, "the application was deleted"),
	}
	for _, q := range r.requests {
		if err := s.send(ctx, q); err != nil {
			return r, err
		}
	}
	if r.ends, err = s.follow(ctx, r.requests); err != nil {
		return r, err
	}
	for id, e := range r.ends {
		if e.word() != "succeeded" {
			err = errors.Join(err, fmt.Errorf("%s was %s: %s: %s", id, e.word(), e.Data.Reason.Code, e.Data.Reason.Message))
		}
	}
	if err != nil {
		return r, err
	}
	if r.after, err = s.survey(ctx); err != nil {
		return r, err
	}
	showStates("DAMAGED", "NOW", r.damaged, r.after)
	return r, nil
}

// refuse requests restores that must be refused, and prints the guards' reasons.
func (s *scene) refuse(ctx context.Context) (r restored, err error) {
	now := time.Now()
	r.requests = []request{
		ask("incident-4", apim, now, plainJSON, "to make the other region alike").with("into", standby.id()),
		ask("incident-5", ledger, now, plainJSON, "to go back to last week"),
	}
	for _, q := range r.requests {
		if err := s.send(ctx, q); err != nil {
			return r, err
		}
	}
	r.ends, err = s.follow(ctx, r.requests)
	fmt.Println()
	for _, q := range r.requests {
		why := r.ends[q.id()].Data.Reason
		fmt.Printf("  %s  %s\n    %s\n    %s\n", q.id(), why.Code, strings.ReplaceAll(why.Message, stack.Scope+"/providers", "…"), why.Hint)
	}
	fmt.Println()
	return r, err
}
