package handler

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"lifeboat/internal/api"
	"lifeboat/internal/apps"
	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/request"
	"lifeboat/internal/restore"
)

// apiError is an error for the caller, with its status.
type apiError struct {
	api.Problem

	status int
	// cause is the error behind a 500, for the log alone: it names rows and tables.
	cause error
}

func (e *apiError) Error() string { return e.Code + ": " + e.Message }

func refuse(status int, code, target, format string, args ...any) *apiError {
	return &apiError{Problem: api.Problem{Code: code, Target: target, Message: fmt.Sprintf(format, args...)}, status: status}
}

// internalError is the error of a request that failed here. The caller gets the status and the code of storage, and none of the
// names in the error.
func internalError(err error) *apiError {
	why := ""
	if storage, ok := errors.AsType[interface {
		error
		Answer() string
	}](err); ok {
		why = ": " + storage.Answer()
	}
	e := refuse(http.StatusInternalServerError, "InternalError", "", "the request failed in Lifeboat%s; the log has the reason, at the "+
		"function and the time of the request. Ask again under the same ID", why)
	e.cause = err
	return e
}

// reason returns the error of a request for the log.
func reason(err error) error {
	if e, ok := errors.AsType[*apiError](err); ok && e.cause != nil {
		return e.cause
	}
	return err
}

// writeError is the one place where an error becomes a status.
func writeError(w http.ResponseWriter, err error) {
	e, ok := errors.AsType[*apiError](err)
	no, another := errors.AsType[*apps.NotOwner](err)
	switch {
	case ok:
	case another:
		e = notOwner(no)
	case errors.Is(err, backup.ErrNotFound):
		e = refuse(http.StatusNotFound, "RunNotFound", "", "%v", err)
	case errors.Is(err, engine.ErrRequestReused):
		e = refuse(http.StatusConflict, "RequestIdReused", "Repeatability-Request-ID", "%v", err)
	default:
		e = internalError(err)
	}
	writeJSON(w, e.status, map[string]api.Problem{"error": e.Problem})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// call serves a caller's request, logs it, and recovers from a panic. The query may hold a key: it is not logged.
func (h *handler) call(w http.ResponseWriter, r *http.Request) {
	started := h.Now()
	seen := &statusWriter{ResponseWriter: w, status: http.StatusOK, about: fields{}}
	function, serve := find(r)
	var failed error
	err := h.recovered(function, func() error {
		if failed = serve(h, seen, r); failed != nil {
			writeError(seen, failed)
		}
		return nil
	})
	if err != nil && !seen.written {
		if !errors.Is(err, errPanic) {
			no := refuse(http.StatusServiceUnavailable, "NotConfigured", "", "%v", err)
			if r.URL.Path == "/api/health" {
				no.Details = poisonDetails(h.poisoned(r.Context(), nil))
			}
			err = no
		}
		writeError(seen, err)
	}
	// If an answer comes before the end of a long body, the host's proxy replaces it with an empty 502. The answer above is
	// sent only at the return.
	_, _ = io.Copy(io.Discard, r.Body)
	level := zerolog.InfoLevel
	switch {
	case r.Context().Err() != nil && errors.Is(cmp.Or(err, reason(failed)), context.Canceled):
		seen.about["note"], err = "the caller hung up", nil
	case seen.status >= 500:
		level, err = zerolog.ErrorLevel, cmp.Or(err, reason(failed))
	}
	h.Log.WithLevel(level).Err(err).Str("function", function).Str("invocation", hostInvocation(r)).Str("method", r.Method).
		Str("path", r.URL.Path).Int("status", seen.status).Dur("ms", h.Now().Sub(started)).
		Fields(map[string]any(seen.about)).Msg(function)
}

// statusWriter remembers, for the log, the status of the answer, and the run or batch that it is about.
type statusWriter struct {
	http.ResponseWriter
	status  int
	written bool
	about   fields
}

func (w *statusWriter) WriteHeader(status int) {
	w.status, w.written = status, true
	w.ResponseWriter.WriteHeader(status)
}

// note adds the run of a request to its log line.
func note(w http.ResponseWriter, r backup.Run) {
	if seen, ok := w.(*statusWriter); ok {
		seen.about["run"], seen.about["target"], seen.about["plan"], seen.about["state"] = r.ID, r.Target, r.Plan, r.State
	}
}

// largestRequest is far more than any request to the API needs.
const largestRequest = 64 << 10

// postBackup asks for a backup of one target, or of all targets of a plan, as a message of the queue does; if the body has no ID,
// the HTTP request's ID counts.
func (h *handler) postBackup(w http.ResponseWriter, r *http.Request) error {
	text, err := requestOf(r)
	if err != nil {
		return err
	}
	q, err := request.ParseBackup(text, h.requestID(r))
	if err != nil {
		return invalid(err)
	}
	active, err := h.Plans.Current(r.Context())
	if err != nil {
		return planError(err)
	}
	b, now, err := h.Engine.Backup(r.Context(), q, active.Plans)
	switch {
	case err != nil:
		return err
	case b.Refused != nil:
		return &apiError{Problem: *viewReason(*b.Refused, cmp.Or(q.Target, q.Plan)), status: http.StatusBadRequest}
	case q.Target == "":
		h.acceptBatch(w, r, b, now)
	default:
		note(w, b.Runs[0])
		h.accept(w, r, "/api/runs/"+b.Runs[0].ID, b.Runs[0])
	}
	return nil
}

// invalid is the answer to a request that cannot be read.
func invalid(err error) error {
	if wrong, ok := errors.AsType[*request.Error](err); ok {
		return refuse(http.StatusBadRequest, request.InvalidRequest, wrong.Field, "%s", wrong.Message)
	}
	return err
}

// requestID is the caller's ID, or else the ID of the invocation: the host repeats a request under the same ID of its own
// when a connection breaks.
func (h *handler) requestID(r *http.Request) string {
	return cmp.Or(r.Header.Get("Repeatability-Request-ID"), h.caller(r))
}

// caller names the invocation, since a key does not identify the caller.
func (h *handler) caller(r *http.Request) string {
	return "invocation " + cmp.Or(hostInvocation(r), h.Engine.NewID())
}

// accept answers the request that made the run, and every repeat of it.
func (h *handler) accept(w http.ResponseWriter, r *http.Request, operation string, run backup.Run) {
	v := h.view(engine.Status{Run: run})
	v.Status = unended(v.Status)
	w.Header().Set("Repeatability-Result", "accepted")
	h.underWay(w, r, operation, time.Second, v)
}

// unended is the status that a 202 may have: the answer to a repeat says Running even if the operation has ended, so that the
// caller asks for the end. Python's pollers take a 202 that says Failed or Canceled for a success (azure-core 1.41.0), and ask
// no more.
func unended(status string) string {
	switch status {
	case "Succeeded", "Failed", "Canceled":
		return "Running"
	}
	return status
}

// underWay answers 202, with the operation's path and the time after which to ask again. It limits the time to 1 to 60 seconds,
// as some pollers give up on more. Each of Azure's pollers knows one or two of the three headers, and prefers another one.
func (h *handler) underWay(w http.ResponseWriter, r *http.Request, operation string, after time.Duration, body any) {
	for _, name := range []string{"Operation-Location", "Azure-AsyncOperation", "Location"} {
		w.Header().Set(name, h.origin(r)+operation)
	}
	after = min(max(after, time.Second), time.Minute)
	w.Header().Set("Retry-After", strconv.Itoa(int(after.Seconds())))
	writeJSON(w, http.StatusAccepted, body)
}

// bodyOf returns the text of a body that must be JSON, or have another type for JSON.
func bodyOf(r *http.Request, others ...string) ([]byte, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" && !slices.Contains(others, media) {
		return nil, refuse(http.StatusUnsupportedMediaType, "UnsupportedMediaType", "Content-Type",
			"the body must be application/json, not %q; a CloudEvent of it is %s or has headers ce-…, one event a request",
			r.Header.Get("Content-Type"), structured)
	}
	text, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, largestRequest))
	_, tooLarge := errors.AsType[*http.MaxBytesError](err)
	switch {
	case tooLarge:
		return nil, refuse(http.StatusRequestEntityTooLarge, "RequestBodyTooLarge", "", "the body is longer than %d bytes",
			largestRequest)
	case err != nil:
		return nil, refuse(http.StatusBadRequest, "InvalidBody", "", "the body cannot be read: %v", err)
	case len(bytes.TrimSpace(text)) == 0:
		return nil, refuse(http.StatusBadRequest, "InvalidBody", "", "the body is empty")
	}
	return inUTF8(text), nil
}

// structured is the type of a CloudEvent in one JSON object, as CloudEvents' own clients send it.
const structured = "application/cloudevents+json"

// requestOf returns the text of a body that is a request. A CloudEvent in binary mode, whose attributes are headers, comes back in
// one JSON object. Its data are in base64 there, so that no body can add an attribute.
func requestOf(r *http.Request) ([]byte, error) {
	body, err := bodyOf(r, structured)
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	event := map[string]string{}
	for name := range r.Header {
		if attribute, ok := strings.CutPrefix(strings.ToLower(name), "ce-"); ok {
			value := r.Header.Get(name)
			if plain, err := url.PathUnescape(value); err == nil { // as the HTTP protocol binding of CloudEvents 1.0 wants it
				value = plain
			}
			event[attribute] = value
		}
	}
	if err != nil || len(event) == 0 || media == structured {
		return body, err
	}
	event["data_base64"] = base64.StdEncoding.EncodeToString(body)
	return backup.Encode(event), nil
}

// readTexts reads a body that may have the fields of these names, all text, and no others.
func readTexts(r *http.Request, names ...string) (map[string]string, error) {
	text, err := bodyOf(r)
	if err != nil {
		return nil, err
	}
	fields := request.NewReader(request.Read(text, ""))
	texts := fields.Texts(names...)
	fields.End()
	if err := fields.Err(); err != nil {
		return nil, invalid(err)
	}
	return texts, nil
}

// planError lists the mistakes in plan.yaml, a detail for each line.
func planError(err error) *apiError {
	e := refuse(http.StatusServiceUnavailable, "PlanInvalid", "plan.yaml", "the plan cannot be used: %v", err)
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		e.Message = "the plan cannot be used; nothing new is scheduled, runs under way go on"
		for _, one := range all.Unwrap() {
			e.Details = append(e.Details, api.Problem{Code: "PlanInvalid", Message: one.Error()})
		}
	}
	if errors.Is(err, context.Canceled) {
		e.cause = err
	}
	return e
}

// origin is the scheme and host of the app's public address.
func (h *handler) origin(r *http.Request) string {
	scheme := "http"
	if h.Secure || r.Header.Get("X-Forwarded-Proto") == "https" { // Azure ends TLS before the host, so the host says http
		scheme = "https"
	}
	// The host puts the caller's host name here when it proxies a request; when it forwards one, it leaves the name in Host.
	host := cmp.Or(r.Header.Get("X-Forwarded-Host"), r.Host)
	if h.Host != "" && (host == "" || strings.HasPrefix(host, "127.0.0.1:") && h.Secure) {
		host = h.Host
	}
	return scheme + "://" + host
}

// meant returns the ID of the run that the path means; find knows a run by its request's ID too. The host passes a slash in an ID
// on as %252F, so an ID that is not known may have been escaped once more.
func meant(r *http.Request, find func(ctx context.Context, id string) (string, error)) (string, error) {
	id, err := find(r.Context(), r.PathValue("id"))
	if plain, bad := url.PathUnescape(r.PathValue("id")); errors.Is(err, backup.ErrNotFound) && bad == nil && plain != r.PathValue("id") {
		if other, err := find(r.Context(), plain); err == nil {
			return other, nil
		}
	}
	return id, err
}

// getRun answers 202 while the run is under way and 200 once it has ended, as Azure's pollers expect of an operation.
func (h *handler) getRun(w http.ResponseWriter, r *http.Request) error {
	id, err := meant(r, h.Engine.BackupID)
	var status engine.Status
	var now time.Time
	if err == nil {
		status, now, err = h.Engine.Status(r.Context(), id)
	}
	if errors.Is(err, backup.ErrNotFound) {
		return noRun(r, err)
	}
	if err != nil {
		return err
	}
	h.answerStatus(w, r, "/api/runs/", status, now)
	return nil
}

func noRun(r *http.Request, err error) error {
	return refuse(http.StatusNotFound, "RunNotFound", r.PathValue("id"), "there is no run %s%s", r.PathValue("id"), because(err))
}

// abandonRun ends a run that hangs, a backup or a restore.
func (h *handler) abandonRun(w http.ResponseWriter, r *http.Request) error {
	id, err := meant(r, h.Engine.BackupID)
	var run backup.Run
	if err == nil {
		run, err = h.Engine.Abandon(r.Context(), id, h.caller(r))
	}
	switch {
	case errors.Is(err, backup.ErrNotFound):
		return noRun(r, err)
	case errors.Is(err, engine.ErrOver):
		return refuse(http.StatusConflict, "RunEnded", r.PathValue("id"), "%v", err)
	case errors.Is(err, engine.ErrStarting):
		return refuse(http.StatusConflict, "RunStarting", r.PathValue("id"), "%v", err)
	case errors.Is(err, restore.ErrBegun):
		return refuse(http.StatusConflict, "RestoreBegun", r.PathValue("id"), "%v", err)
	case err != nil:
		return err
	}
	note(w, run)
	writeJSON(w, http.StatusOK, h.view(engine.Status{Run: run}))
	return nil
}

// because returns the reason behind an ErrNotFound, if it has one for the caller.
func because(err error) string {
	if err == nil {
		return ""
	}
	if _, why, ok := strings.Cut(err.Error(), backup.ErrNotFound.Error()+": the request "); ok {
		return ": the request " + why
	}
	return ""
}

func (h *handler) answerStatus(w http.ResponseWriter, r *http.Request, collection string, status engine.Status, now time.Time) {
	note(w, status.Run)
	if status.Run.State.Final() {
		writeJSON(w, http.StatusOK, h.view(status))
		return
	}
	h.underWay(w, r, collection+status.Run.ID, status.Run.Due.Sub(now), h.view(status))
}

// listRuns lists a target's runs, newest first.
func (h *handler) listRuns(w http.ResponseWriter, r *http.Request) error {
	return list(h, w, r, h.Engine.History, h.view)
}
