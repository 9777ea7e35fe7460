package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"lifeboat/internal/cli/client"
	"lifeboat/internal/cli/text"
	"lifeboat/internal/cli/usage"
)

// read reads an answer of the API. If it lacks what every such answer has, the error says what it is not: "is no run".
func read[T any](text []byte, not string, has func(T) bool) (T, error) {
	var v T
	if err := json.Unmarshal(text, &v); err != nil {
		return v, fmt.Errorf("read the answer: %w", err)
	}
	if !has(v) {
		return v, fmt.Errorf("the answer %s: is LIFEBOAT_URL the address of a Lifeboat app?", not)
	}
	return v, nil
}

// about makes a command about one thing of the app, whose ID is the one argument: it makes the call, and shows the answer.
func about[T interface{ ids() []string }](
	sh Shell, c *cobra.Command, request func(id string) client.Call, read func(text []byte) (T, error), people func(r remote, ctx context.Context, v T) error,
) *cobra.Command {
	c.Args = usage.Exactly("ID")
	return sh.calling(c, asking(request, read, people))
}

func asking[T interface{ ids() []string }](
	request func(id string) client.Call, read func(text []byte) (T, error), people func(r remote, ctx context.Context, v T) error,
) func(ctx context.Context, r remote, args []string) error {
	return func(ctx context.Context, r remote, args []string) error {
		a, err := r.Do(ctx, request(args[0]))
		if err != nil {
			return err
		}
		v, err := read(a.Body)
		if err != nil {
			return err
		}
		return r.show(a.Body, v.ids(), func() error { return people(r, ctx, v) })
	}
}

// operation is a run or a batch: a command can wait for its end.
type operation interface {
	id() string
	// over tells whether it has ended, failure why it has not succeeded; that is nil if it has.
	over() bool
	failure() error
	// warning says what it left out although it has succeeded; "" if nothing.
	warning() string
	// progress returns a line about its state.
	progress(clock text.Clock) string
	// times returns the times of its beginning and of its end; zero: not yet.
	times() (begin, end time.Time)
	// usual returns how long it usually takes; 0 if that is not known.
	usual(ctx context.Context, r remote) time.Duration
	// path returns its path in the API, and command the command that shows it.
	path() string
	command() string
	// kind returns backup or restore.
	kind() string
}

// ended tells whether the word is one of Azure's three for the end of a long-running operation.
func ended(status string) bool {
	return status == "Succeeded" || status == "Failed" || status == "Canceled"
}

// ask asks for an operation. If it is stopped, the error says which targets' runs tell whether the app has begun.
func (r remote) ask(ctx context.Context, path string, body any, runs string) (client.Answer, error) {
	a, err := r.Do(ctx, client.Call{Method: http.MethodPost, Path: path, Body: body, RequestID: r.RequestID})
	if errors.Is(err, client.ErrStopped) {
		return a, errors.New("stopped before the app had answered: lifeboat runs " + runs)
	}
	return a, err
}

// await prints the ID of the operation that was accepted, and may wait for its end.
func await[T operation](ctx context.Context, r remote, a client.Answer, read func(text []byte) (T, error), wait bool) error {
	v, err := read(a.Body)
	if err != nil {
		return err
	}
	if !r.documents() {
		if _, err := fmt.Fprintln(r.Stdout, v.id()); err != nil {
			return err
		}
	}
	if wait {
		if a, v, err = follow(ctx, r, a, v, read); err != nil {
			return err
		}
	}
	if r.documents() {
		if err := r.document(a.Body); err != nil {
			return err
		}
	}
	if wait {
		if warning := v.warning(); warning != "" {
			fmt.Fprintln(r.Stderr, "warning: "+text.Plain(warning))
		}
		return v.failure()
	}
	return nil
}

// elapsed returns the end of a line of progress: how long it has taken so far, and usually takes.
func elapsed(v operation, usual time.Duration, now time.Time) string {
	begin, end := v.times()
	switch {
	case v.over() && !end.Before(begin) && !begin.IsZero():
		return "; took " + text.Age(int64(end.Sub(begin).Seconds()))
	case v.over() || begin.IsZero() || now.Before(begin):
		return ""
	}
	line := "; " + text.Age(int64(now.Sub(begin).Seconds())) + " so far"
	if usual > 0 {
		line += ", usually " + text.Age(int64(usual.Seconds()))
	}
	return line
}

// follow waits for the end of the operation, with a line for every change. On a terminal the line goes on telling the time.
func follow[T operation](
	ctx context.Context, r remote, a client.Answer, v T, read func(text []byte) (T, error),
) (client.Answer, T, error) {
	goesOn := func(err error) error {
		return fmt.Errorf("%w; the %s goes on without this command: lifeboat %s", err, v.kind(), v.command())
	}
	path, usual := cmp.Or(a.Operation, v.path()), v.usual(ctx, r)
	again := "" // makes a line take the place of the last one
	if terminal(r.Stderr) {
		again = "\x1b[1A\x1b[2K"
	}
	for last := ""; ; {
		switch line := v.progress(r.clock); {
		case line != last:
			fmt.Fprintln(r.Stderr, line+elapsed(v, usual, r.now()))
			last = line
		case again != "" && utf8.RuneCountInString(line)+len("; 23h59m so far, usually 23h59m") < cmp.Or(r.width, 80):
			fmt.Fprintln(r.Stderr, again+line+elapsed(v, usual, r.now()))
		}
		if v.over() {
			return a, v, nil
		}
		if !client.Sleep(ctx, cmp.Or(a.RetryAfter, 5*time.Second)) {
			return a, v, goesOn(client.ErrStopped)
		}
		next, err := r.Do(ctx, client.Call{Method: http.MethodGet, Path: path, Following: true})
		if err != nil {
			return a, v, goesOn(err)
		}
		now, err := read(next.Body)
		if err != nil {
			return a, v, goesOn(err)
		}
		a, v = next, now
	}
}
