package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/figures"
	"lifeboat/internal/testing/stack"
)

// process is the real program without a host: the test acts as the host, to decide when and how often each message arrives.
type process struct {
	url string
	pid int
}

// newProcess starts the program for an app. Several may run on the same storage account.
func newProcess(t *testing.T, a *app) *process {
	t.Helper()
	settings, err := world.Settings(a.config)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0") // to find a free port
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().(*net.TCPAddr)
	listener.Close()
	cmd := exec.Command(world.Binary)
	cmd.Env = append(world.Environment(a.config.Name), fmt.Sprintf("FUNCTIONS_CUSTOMHANDLER_PORT=%d", address.Port))
	for k, v := range settings {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(out.String())
		}
	})
	p := &process{url: "http://" + address.String(), pid: cmd.Process.Pid}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			response.Body.Close()
			return p
		}
		if ctx.Err() != nil {
			t.Fatal("the program does not listen")
		}
		pause(ctx)
	}
}

// invoke calls a function as the host does. If the status is not 200, the error is the body.
func (p *process) invoke(ctx context.Context, function, data string) error {
	body := `{"Data":` + data + `,"Metadata":{"sys":{"MethodName":"` + function + `"}}}`
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+"/"+function, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json; charset=utf-8")
	request.Header.Set("X-Azure-Functions-InvocationId", fmt.Sprintf("%016x", rand.Uint64()))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK || strings.TrimSpace(string(text)) != "{}" {
		return fmt.Errorf("%s: %s %s", function, response.Status, text)
	}
	return nil
}

const timerData = `{"timer":{"Schedule":{"AdjustForDST":true},"ScheduleStatus":null,"IsPastDue":false}}`

// deliver sends each visible message to every process, three times in all, in a random order and in parallel.
func deliver(t *testing.T, ctx context.Context, q *azqueue.QueueClient, processes []*process) int {
	t.Helper()
	hidden := int32(60)
	most := int32(32)
	answer, err := q.DequeueMessages(ctx, &azqueue.DequeueMessagesOptions{VisibilityTimeout: &hidden, NumberOfMessages: &most})
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	messages := answer.Messages
	order := rand.Perm(3 * len(messages))
	for i, n := range order {
		m := messages[n%len(messages)]
		p := processes[i%len(processes)]
		wait.Go(func() {
			data := `{"message":"` + base64.StdEncoding.EncodeToString([]byte(*m.MessageText)) + `"}`
			if err := p.invoke(ctx, "execute", data); err != nil {
				t.Errorf("delivering %s: %v", *m.MessageText, err)
			}
		})
	}
	wait.Wait()
	for _, m := range messages {
		if _, err := q.DeleteMessage(ctx, *m.MessageID, *m.PopReceipt, nil); err != nil {
			t.Fatal(err)
		}
	}
	return len(messages)
}

// TestOneRunPerScheduledTime: the same timer run in two processes in parallel makes one run per scheduled time and target. With
// every message delivered three times, to both processes, in any order, each run starts one operation.
func TestOneRunPerScheduledTime(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	services := newServices(t, 4)
	a := prepare(t, stack.AppConfig{Plan: planFor(yearly, "1d", services...)})
	world.Grant(a.config.Name, a.config.Account)
	processes := []*process{newProcess(t, a), newProcess(t, a)}

	both := func() {
		var wait sync.WaitGroup
		for range 4 {
			for _, p := range processes {
				wait.Go(func() {
					if err := p.invoke(ctx, "schedule", timerData); err != nil {
						t.Error(err)
					}
				})
			}
		}
		wait.Wait()
	}
	both() // the plan is new: its scheduled times count from now on
	// There are two scheduled times soon, and the next in a year: the runs of the first are superseded while they wait, the
	// others have time.
	soon := time.Now().UTC().Add(3 * time.Second)
	if soon.Second() > 54 {
		soon = soon.Add(10 * time.Second)
	}
	two := fmt.Sprintf("%d,%d %d %d %d %d *", soon.Second(), soon.Second()+5, soon.Minute(), soon.Hour(), soon.Day(), soon.Month())
	a.config.Plan = planFor(two, "1d", services...)
	if _, err := world.Settings(a.config); err != nil { // writes plan.yaml, which is not read now
		t.Fatal(err)
	}
	var runs []engine.Status
	for len(runs) < 2*len(services) {
		if ctx.Err() != nil {
			t.Fatalf("only %d runs came of the timer runs", len(runs))
		}
		both()
		runs = nil
		for _, s := range services {
			history, _, err := a.engine.History(ctx, stack.Service(s), "", 100)
			if err != nil {
				t.Fatal(err)
			}
			runs = append(runs, history...)
		}
		pause(ctx)
	}
	scheduledTimes := map[string]bool{}
	for _, r := range runs {
		key := r.Run.Target + r.Run.ScheduledTime.String()
		if scheduledTimes[key] {
			t.Errorf("two runs for the scheduled time %s of %s", r.Run.ScheduledTime, r.Run.Target)
		}
		scheduledTimes[key] = true
	}

	// There are no further timer runs: the existing runs reach their ends by their messages alone.
	q := a.queue("execute")
	delivered := 0
	for {
		n := deliver(t, ctx, q, processes)
		delivered += n
		open := 0
		for _, s := range services {
			history, _, err := a.engine.History(ctx, stack.Service(s), "", 100)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range history {
				if !r.Run.State.Final() {
					open++
				}
			}
		}
		if open == 0 {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("%d runs have not ended after %d messages", open, delivered)
		}
		if n == 0 {
			pause(ctx)
		}
	}
	started, ended := 0, map[backup.State]int{}
	for _, s := range services {
		names := map[string]bool{}
		for _, o := range posts(s) {
			if names[o.BackupName] {
				t.Errorf("two POSTs for the attempt %s", o.BackupName)
			}
			names[o.BackupName] = true
			started++
		}
		history, _, err := a.engine.History(ctx, stack.Service(s), "", 100)
		if err != nil {
			t.Fatal(err)
		}
		accepted := 0
		for _, r := range history {
			ended[r.Run.State]++
			if r.Run.State == backup.Succeeded {
				accepted++
			}
			if r.Run.Lost > 0 {
				t.Errorf("run %s lost a start although nothing was killed: %+v", r.Run.ID, r.Run.Reason)
			}
		}
		if len(names) != 1 || accepted != 1 || len(history) != 2 {
			t.Errorf("%d requests for a backup, %d runs that succeeded of %d; want 1, 1, 2", len(names), accepted, len(history))
		}
	}
	figures.Report(t, "%d runs, %d messages delivered three times each, %d operations started; runs ended: %v", len(runs), delivered,
		started, ended)
}

// TestPoisonIsKept: a failing message moves to the poison queue after five deliveries, is kept as a dead letter with its body,
// and changes no run.
func TestPoisonIsKept(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "1d", newServices(t, 1)...)})
	// The table does not answer while the message is delivered: every delivery fails.
	intercept(t, a.ObjectID, func(e fakeazure.Exchange) fakeazure.Decision {
		if strings.Contains(e.Host, ".table.") && strings.Contains(e.Path, "0123456789abcdef") {
			return fakeazure.Answer(http.StatusForbidden, nil, nil)
		}
		return fakeazure.Pass
	})
	text := `{"run":"0123456789abcdef-8234567890-0123456789ab","sequence":1,"nonce":"m"}`
	q := a.queue("execute")
	if _, err := q.Create(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := q.EnqueueMessage(ctx, text, nil); err != nil {
		t.Fatal(err)
	}
	letter := awaitLetter(t, ctx, a, text)
	if !strings.Contains(letter.Reason, "five failed deliveries") || letter.Queue != "execute-poison" {
		t.Errorf("the dead letter says %+v", letter)
	}
}

// letter is a dead letter in the table.
type letter struct{ Queue, Reason, Encoding, Body1 string }

// awaitLetter waits for the dead letter with the body.
func awaitLetter(t *testing.T, ctx context.Context, a *app, body string) letter {
	t.Helper()
	for {
		rows, _, err := a.catalog.List(ctx, "deadletter", "", "~", 1000)
		if err != nil && ctx.Err() == nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			var l letter
			if err := json.Unmarshal(row.Body, &l); err != nil {
				t.Fatal(err)
			}
			if l.Body1 == body {
				return l
			}
		}
		if ctx.Err() != nil {
			t.Fatalf("no dead letter for %q; there are %d", body, len(rows))
		}
		pause(ctx)
	}
}
