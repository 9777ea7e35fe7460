package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
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

// about makes a command about one thing of the app, whose ID is the one argument: it makes the call, and shows the answer, or
// prints it as it came.
func about[T any](
	sh Shell, c *cobra.Command, request func(id string) call, read func(text []byte) (T, error), show func(r remote, v T) error,
) *cobra.Command {
	asJSON := jsonFlag(c)
	c.GroupID, c.Args = ofApp, exactly("ID")
	c.RunE = sh.calling(func(ctx context.Context, r remote, args []string) error {
		a, err := r.do(ctx, request(args[0]))
		if err != nil {
			return err
		}
		v, err := read(a.body)
		if err != nil {
			return err
		}
		if *asJSON {
			return r.document(a.body)
		}
		return show(r, v)
	})
	return c
}

func jsonFlag(c *cobra.Command) *bool {
	return c.Flags().Bool("json", false, "print JSON, for programs")
}

// document prints the API's JSON as it came.
func (r remote) document(text []byte) error {
	_, err := fmt.Fprintln(r.Stdout, strings.TrimSpace(string(text)))
	return err
}

// operation is a run or a batch: a command can wait for its end.
type operation interface {
	id() string
	// over tells whether it has ended, failure why it has not succeeded; that is nil if it has.
	over() bool
	failure() error
	// progress returns a line about its state.
	progress() string
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
func (r remote) ask(ctx context.Context, path string, body any, runs string) (answer, error) {
	a, err := r.do(ctx, call{method: http.MethodPost, path: path, body: body, requestID: r.RequestID})
	if errors.Is(err, errStopped) {
		return a, errors.New("stopped before the app had answered: lifeboat runs " + runs)
	}
	return a, err
}

// await prints the ID of the operation that was accepted, and may wait for its end.
func await[T operation](ctx context.Context, r remote, a answer, read func(text []byte) (T, error), wait, asJSON bool) error {
	v, err := read(a.body)
	if err != nil {
		return err
	}
	if !asJSON {
		if _, err := fmt.Fprintln(r.Stdout, v.id()); err != nil {
			return err
		}
	}
	if wait {
		if a, v, err = follow(ctx, r, a, v, read); err != nil {
			return err
		}
	}
	if asJSON {
		if err := r.document(a.body); err != nil {
			return err
		}
	}
	if wait {
		return v.failure()
	}
	return nil
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
			fmt.Fprintln(r.Stderr, line)
			last = line
		}
		if v.over() {
			return a, v, nil
		}
		if !sleep(ctx, cmp.Or(a.retryAfter, 5*time.Second)) {
			return a, v, goesOn(errStopped)
		}
		next, err := r.do(ctx, call{method: http.MethodGet, path: path, following: true})
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
