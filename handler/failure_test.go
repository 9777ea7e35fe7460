package handler

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/memory"
)

// unreadableCatalog is a catalog that answers every read with an error.
type unreadableCatalog struct {
	*memory.Catalog
	err error
}

func (r *unreadableCatalog) Get(context.Context, backup.Key) (backup.Row, time.Time, error) {
	return backup.Row{}, time.Time{}, r.err
}

func (r *unreadableCatalog) List(context.Context, string, string, string, int) ([]backup.Row, time.Time, error) {
	return nil, time.Time{}, r.err
}

// storageError is an answer of storage, as the adapters return it.
type storageError struct{}

func (storageError) Error() string {
	return storageError{}.Answer() + ": the secret table lifeboat says no"
}

func (storageError) Answer() string { return "answer 403 AuthorizationFailure of Azure Table Storage" }

// TestAFailureIsInTheLogAndNamesNoTable: the answer has the status and code of storage, and the log the whole error.
func TestAFailureIsInTheLogAndNamesNoTable(t *testing.T) {
	const run = "/api/runs/0c650536f8140ca3-8225311599-2b0ae8d7f072"
	for name, c := range map[string]struct {
		err    error
		answer string
	}{
		"storage refuses": {fmt.Errorf("read the row run-1 of the table lifeboat: %w", storageError{}), "answer 403 AuthorizationFailure of Azure Table Storage; the log"},
		"anything else":   {errors.New("the row run-1 of the table lifeboat is broken"), "failed in Lifeboat; the log"},
	} {
		t.Run(name, func(t *testing.T) {
			catalog := &unreadableCatalog{Catalog: memory.NewCatalog(time.Now), err: c.err}
			d := newApp(func(c *Config) { c.Engine.Catalog = catalog })
			w := d.call("GET", run, "")
			if w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), c.answer) ||
				strings.Contains(w.Body.String(), "table lifeboat") || strings.Contains(w.Body.String(), "run-1") {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			wants(t, d.lastLine(t), map[string]any{"level": "error", "error": "load run 0c650536f8140ca3-8225311599-2b0ae8d7f072: " + c.err.Error(), "status": 500.0})
		})
	}
}

// TestACallerThatHangsUpIsNoError: the log notes it, and nothing alarms.
func TestACallerThatHangsUpIsNoError(t *testing.T) {
	ctx, hangUp := context.WithCancel(t.Context())
	hangUp()
	d := newApp(func(c *Config) {
		c.Engine.Catalog = &unreadableCatalog{memory.NewCatalog(time.Now), fmt.Errorf("read: %w", context.Canceled)}
	})
	r := httptest.NewRequestWithContext(ctx, "GET", "http://127.0.0.1:8080/api/runs/0c650536f8140ca3-8225311599-2b0ae8d7f072", strings.NewReader(""))
	d.ServeHTTP(httptest.NewRecorder(), r)
	wants(t, d.lastLine(t), map[string]any{"level": "info", "error": nil, "note": "the caller hung up"})
	// An error that is not of the hanging up stays one.
	d = newApp(func(c *Config) {
		c.Engine.Catalog = &unreadableCatalog{memory.NewCatalog(time.Now), errors.New("broken")}
	})
	d.ServeHTTP(httptest.NewRecorder(), r)
	if line := d.lastLine(t); line["level"] != "error" || !strings.HasSuffix(fmt.Sprint(line["error"]), "broken") {
		t.Errorf("%v", line)
	}
}

// dying is a catalog whose process dies right after it has saved that a restore has succeeded.
type dying struct {
	*memory.Catalog
	saved, dead bool
}

func (c *dying) Apply(ctx context.Context, writes ...backup.Write) ([]string, error) {
	if c.saved && !c.dead {
		c.dead = true
		panic("killed")
	}
	etags, err := c.Catalog.Apply(ctx, writes...)
	for _, w := range writes {
		c.saved = c.saved || err == nil && strings.HasPrefix(w.Row, "run-") && strings.Contains(string(w.Body), `"could not overwrite: 1"`)
	}
	return etags, err
}

// TestTheLogWarnsOfAPartialRestoreAfterADeath: the process dies after it has saved the end of a partial restore; the message comes again. A
// line of the log warns all the same.
func TestTheLogWarnsOfAPartialRestoreAfterADeath(t *testing.T) {
	catalog := &dying{}
	d, service, _ := restoreHandler(t, false, func(c *Config) {
		catalog.Catalog = c.Engine.Catalog.(*watched).Catalog
		c.Engine.Catalog = catalog
	})
	service.begin = func() (backup.Operation, error) {
		return backup.Operation{Done: true, Warning: "could not overwrite: 1", Partly: true}, nil
	}
	d.call("POST", "/api/restores", orderText)
	messages := d.queue.Receive("execute", 32, 7*24*time.Hour)
	for range 2 {
		for _, m := range messages {
			d.send("execute", m.Body)
		}
	}
	warned, ended := false, false
	for _, line := range d.lines(t) {
		ended = ended || line["event"] == "lifeboat.restore.succeeded"
		warned = warned || line["level"] == "warn" && line["warning"] == "could not overwrite: 1"
	}
	if !catalog.dead || !ended || !warned {
		t.Errorf("died %t, ended %t, warned %t", catalog.dead, ended, warned)
	}
}
