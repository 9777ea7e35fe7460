package fakehost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"
)

// These are the headers that the host adds to requests to the handler, and the host's own name.
const (
	invocationHeader  = "X-Azure-Functions-InvocationId"
	hostVersionHeader = "X-Azure-Functions-HostVersion"
	hostVersion       = "4.1045.200"
	userAgent         = "Azure-Functions-Host/" + hostVersion
)

// invoke calls a function with the Data and Metadata protocol, and sends its queue outputs. It returns when the host would
// count the invocation as done. After an answer without a body that is only at functionTimeout.
func (l *life) invoke(f *function, value any, metadata bindingData) (result, error) {
	id := uuid.NewString()
	started := time.Now()
	category := "Function." + f.name
	l.log.add(Entry{Level: Information, Category: category, Invocation: id, Text: "Executing 'Functions." + f.name + "'"})
	r, err := l.call(id, f, value, metadata)
	for _, line := range r.logs {
		l.log.add(Entry{Level: Information, Category: category + ".User", Invocation: id, Text: line})
	}
	if err == nil {
		err = l.sendOutputs(f, r)
	}
	l.report(id, f, time.Since(started), err)
	return r, err
}

// report logs the end of an invocation.
func (l *life) report(id string, f *function, took time.Duration, err error) {
	e := Entry{Level: Information, Category: "Function." + f.name, Invocation: id}
	e.Text = fmt.Sprintf("Executed 'Functions.%s' (Succeeded, Duration=%dms)", f.name, took.Milliseconds())
	if err != nil {
		e.Level = Error
		e.Text = fmt.Sprintf("Executed 'Functions.%s' (Failed, Duration=%dms): %v", f.name, took.Milliseconds(), err)
	}
	l.log.add(e)
}

// await waits for the handler until the context ends. If it never comes, the host stops.
func (l *life) await(ctx context.Context) error {
	err := l.worker.await(ctx)
	if errors.Is(err, errInitialization) {
		l.fail(err)
	}
	return err
}

func (l *life) call(id string, f *function, value any, metadata bindingData) (result, error) {
	body, err := envelope(f, value, metadata)
	if err != nil {
		return result{}, fmt.Errorf("body for %s: %w", f.name, err)
	}
	// The host may have taken this message or timer run while it ended: it still waits for the handler, which never comes.
	if err := l.await(l.broken); err != nil {
		return result{}, err
	}
	ctx, cancel := l.limited(l.broken)
	defer cancel()
	r, err := l.post(ctx, id, f, body)
	if errors.Is(err, errNoResult) {
		<-ctx.Done()
	}
	return r, because(ctx, err)
}

// because puts the cause of a context's end before the error that it led to.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

func (l *life) post(ctx context.Context, id string, f *function, body []byte) (result, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, l.worker.url()+"/"+f.name, bytes.NewReader(body))
	if err != nil {
		return result{}, err
	}
	request.GetBody = nil // the host does not repeat a POST
	request.Header.Set("Content-Type", "application/json; charset=utf-8")
	request.Header.Set(invocationHeader, id)
	request.Header.Set(hostVersionHeader, hostVersion)
	request.Header.Set("User-Agent", userAgent)
	response, err := l.client.Do(request)
	if err != nil {
		return result{}, fmt.Errorf("invoke %s: %w", f.name, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return result{}, fmt.Errorf("read the answer of %s: %w", f.name, err)
	}
	return parseResult(response.StatusCode, response.Header, response.ContentLength, answer)
}

// newHandlerClient returns the host's client to the handler: no redirects, no compression, any number of connections, idle
// ones kept for a minute, and a minute more time than a function has.
func newHandlerClient(functionTimeout time.Duration) *http.Client {
	client := &http.Client{
		Transport: &http.Transport{
			DisableCompression:  true,
			MaxIdleConnsPerHost: 1000,
			IdleConnTimeout:     time.Minute,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if functionTimeout > 0 {
		client.Timeout = functionTimeout + time.Minute
	}
	return client
}
