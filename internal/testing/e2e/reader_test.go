package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"
	"github.com/google/uuid"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/storage/queue"
	"lifeboat/internal/testing/fakehost"
	"lifeboat/internal/testing/stack"
)

// readerFile is the variable by which the test's own program becomes the custom handler of a reader. It has the file for messages.
const readerFile = "LIFEBOAT_E2E_READER"

// serveReader is that handler: it takes each message, and writes it into the file as a line.
func serveReader(file string) error {
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("FUNCTIONS_CUSTOMHANDLER_PORT"))
	if err != nil {
		return err
	}
	return http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { //nolint:gosec // only the host calls it
		var in struct {
			Data struct{ Event json.RawMessage }
		}
		if r.Method == http.MethodPost && json.NewDecoder(r.Body).Decode(&in) == nil {
			text := in.Data.Event
			for once := ""; json.Unmarshal(text, &once) == nil; {
				text = json.RawMessage(once)
			}
			f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
			if err == nil {
				_, err = fmt.Fprintln(f, strings.ReplaceAll(string(text), "\n", " "))
				_ = f.Close()
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("{}"))
	}))
}

// reader is a Functions app that reads a queue of Lifeboat's account.
type reader struct {
	*app
	file string

	mu sync.Mutex
	// warnings are the lines of its host that are more than information.
	warnings []string
}

// newReader starts a reader of the queue on the account, with further lines in its host.json.
func newReader(t *testing.T, account, queue, lines string) *reader {
	t.Helper()
	folder, program := t.TempDir(), filepath.Base(os.Args[0])
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"host.json": `{"version": "2.0", ` + lines + `"customHandler": {"description": {"defaultExecutablePath": "` + program + `"}},
			"extensionBundle": {"id": "Microsoft.Azure.Functions.ExtensionBundle", "version": "[4.*, 5.0.0)"}}`,
		"read/function.json": `{"bindings": [{"type": "queueTrigger", "direction": "in", "name": "event", "queueName": "` + queue + `",
			"connection": "AzureWebJobsStorage"}]}`,
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(folder, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(self, filepath.Join(folder, program)); err != nil {
		t.Fatal(err)
	}
	r := &reader{file: filepath.Join(folder, "messages")}
	show := logTo(t)
	r.app = prepare(t, stack.AppConfig{
		Name: "reader" + uuid.NewString()[:8], Account: account, Folder: folder, Program: program, Settings: map[string]string{readerFile: r.file},
		Log: func(e fakehost.Entry) {
			show(e)
			r.mu.Lock()
			defer r.mu.Unlock()
			if e.Level == fakehost.Warning || e.Level == fakehost.Error {
				r.warnings = append(r.warnings, e.String())
			}
		},
	})
	r.start(t)
	t.Cleanup(func() { _ = r.Stop() })
	return r
}

// read returns the IDs of the events that the reader has got.
func (r *reader) read(t *testing.T) (ids []string) {
	t.Helper()
	text, err := os.ReadFile(r.file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var e struct{ SpecVersion, ID string }
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.SpecVersion != "1.0" {
			t.Errorf("the reader got %q, %v", line, err)
		}
		ids = append(ids, e.ID)
	}
	return ids
}

// given returns the reason in health for the messages in the poison queue; the zero value if there is none.
func (a *app) given(ctx context.Context, t *testing.T, queue string) api.Poison {
	t.Helper()
	_, text, err := a.request(ctx, "GET", "/api/health", "", map[string]string{"x-functions-key": a.Key("health")})
	var v api.Health
	if err != nil || json.Unmarshal(text, &v) != nil {
		return api.Poison{} // the program may have just been started
	}
	if i := slices.IndexFunc(v.Poison, func(p api.Poison) bool { return p.Queue == queue }); i >= 0 {
		return v.Poison[i]
	}
	return api.Poison{}
}

// put puts the messages of a poison queue back into its queue, as the hint says, and returns the IDs of their events.
func (a *app) put(ctx context.Context, t *testing.T, name string) (ids []string) {
	t.Helper()
	most := int32(32)
	for {
		from := a.queue(name + "-poison")
		got, err := from.DequeueMessages(ctx, &azqueue.DequeueMessagesOptions{NumberOfMessages: &most})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Messages) == 0 {
			return ids
		}
		for _, m := range got.Messages {
			var e struct{ ID string }
			if err := json.Unmarshal([]byte(*m.MessageText), &e); err != nil || e.ID == "" {
				t.Errorf("the poison queue has %q: %v", *m.MessageText, err)
			}
			ids = append(ids, e.ID)
			_, err := a.queue(name).EnqueueMessage(ctx, *m.MessageText, nil)
			if err == nil {
				_, err = from.DeleteMessage(ctx, *m.MessageID, *m.PopReceipt, nil)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// oneLine is the line of the README that a reader needs in its host.json.
func oneLine(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(world.Root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile("(?m)^" + `("extensions": .*)$`).FindString(string(text))
	if line == "" {
		t.Fatal("README.md does not say what a reader of the events needs")
	}
	return line + ", "
}

// inBase64 sends an event as Lifeboat does with LIFEBOAT_EVENTS_ENCODING=base64.
func (a *app) inBase64(ctx context.Context, t *testing.T, id string) {
	t.Helper()
	service, err := azqueue.NewServiceClient("https://"+a.config.Account+".queue.core.windows.net", world.Sim.Credential(probe),
		&azqueue.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: transport()}})
	if err != nil {
		t.Fatal(err)
	}
	q := queue.New(service, "urn:test")
	q.Base64 = true
	if err := q.Publish(ctx, backup.Event{ID: id, Type: "lifeboat.of.a.test", Time: time.Now(), Data: []byte(`{"text":"Zürich"}`)}); err != nil {
		t.Fatal(err)
	}
}

// TestReaders: a reader with a default host.json gets events in base64 alone, and health says so of all others. With the line of the
// README it gets the events, those too that were put back. It is the same for the local host and for Azure's own ("make host-test").
func TestReaders(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	until := func(what string, seen func() bool) {
		t.Helper()
		for ; !seen(); pause(ctx) {
			if ctx.Err() != nil {
				t.Fatalf("never: %s", what)
			}
		}
	}
	service := newServices(t, 1)[0]
	a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "1d", service)})
	ignorant := newReader(t, a.config.Account, "lifeboat-events", "")
	run, err := a.backup(ctx, service, uuid.NewString())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.await(ctx, run); err != nil {
		t.Fatal(err)
	}
	a.inBase64(ctx, t, "in-base64")
	until("what health says of the events that the reader does not take", func() bool {
		p := a.given(ctx, t, "lifeboat-events-poison")
		return p.Messages > 0 && p.Reason.Code == "EventsPoisoned" && strings.Contains(p.Reason.Details[0].Message, "messageEncoding") &&
			slices.Contains(ignorant.read(t), "in-base64")
	})
	if got := ignorant.read(t); len(got) != 1 {
		t.Errorf("a reader with a default host.json got %q", got)
	}
	if err := ignorant.Stop(); err != nil {
		t.Error(err)
	}
	if !slices.ContainsFunc(ignorant.warnings, func(line string) bool { return strings.Contains(line, "MaxDequeueCount of 5") }) {
		t.Errorf("docs/api.md says what its host logs: %q", ignorant.warnings)
	}
	told := newReader(t, a.config.Account, "lifeboat-events", oneLine(t))
	ids := a.put(ctx, t, "lifeboat-events")
	if !slices.Contains(ids, run+".succeeded") {
		t.Errorf("the poison queue had %q", ids)
	}
	until("the events at their reader", func() bool {
		got := told.read(t)
		return !slices.ContainsFunc(ids, func(id string) bool { return !slices.Contains(got, id) })
	})
	until("an empty poison queue in health", func() bool { return a.given(ctx, t, "lifeboat-events-poison").Queue == "" })
}

// TestReadersOfBase64: with LIFEBOAT_EVENTS_ENCODING=base64, readers with a default host.json get the events and the answers. The other
// reader gets what it cannot read; a message that is no event lands in its poison queue, and health says so of the queue for answers.
func TestReadersOfBase64(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	service := newServices(t, 1)[0]
	plan := planFor(yearly, "1d", service) + "    onDemand: {replyTo: [deploys]}\n"
	a := newApp(t, stack.AppConfig{Plan: plan, Settings: map[string]string{"LIFEBOAT_EVENTS_ENCODING": "base64"}})
	events, answers := newReader(t, a.config.Account, "lifeboat-events", ""), newReader(t, a.config.Account, "deploys", "")
	id := uuid.NewString()
	body := text(map[string]any{"id": id, "target": stack.Service(service), "requestedBy": "a test", "reason": "a test", "replyTo": "deploys"})
	a.senderTo(ctx, t, "backup-requests")(body)
	for ctx.Err() == nil && (len(events.read(t)) < 2 || len(answers.read(t)) < 2) {
		pause(ctx)
	}
	for who, r := range map[string]*reader{"events": events, "answers": answers} {
		got := r.read(t)
		slices.Sort(got)
		if len(got) != 2 || !strings.HasPrefix(got[1], "backup-request-") && !strings.HasPrefix(got[0], "backup-request-") {
			t.Errorf("the reader of %s got %q", who, got)
		}
	}
	if p := a.given(ctx, t, "deploys-poison"); p.Queue != "" {
		t.Errorf("health says of a queue whose reader takes all: %+v", p)
	}
	if _, err := a.queue("deploys").EnqueueMessage(ctx, `{"plain": true}`, nil); err != nil {
		t.Fatal(err)
	}
	for p := (api.Poison{}); p.Messages != 1 || p.Reason.Code != "EventsPoisoned"; p = a.given(ctx, t, "deploys-poison") {
		if ctx.Err() != nil {
			t.Fatalf("health says of a message that the reader of answers could not take: %+v", p)
		}
		pause(ctx)
	}
}
