package handler

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"lifeboat/internal/api"
	"lifeboat/internal/apps"
	"lifeboat/internal/backup"
	"lifeboat/internal/health"
	"lifeboat/internal/request"
	"lifeboat/internal/restore"
)

// ownsTime is the time for which this process takes its app for the owner of the catalog after it last read that, and accepts
// requests. A run asks again before its first step.
const ownsTime = time.Minute

// standing remembers when this process last read that its app owns the catalog. It only saves requests.
type standing struct {
	mu    sync.Mutex
	owned time.Time
}

// learn records the outcome of a question that was asked at the time, and returns it.
func (s *standing) learn(err error, asked time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, no := errors.AsType[*apps.NotOwner](err); no {
		s.owned = time.Time{}
	} else if err == nil {
		s.owned = asked
	}
	return err
}

func (s *standing) owns(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return now.Sub(s.owned).Abs() < ownsTime
}

// owns returns nil if the app owns the catalog, and an [apps.NotOwner] if another one does.
func (h *handler) owns(ctx context.Context) error {
	now := h.Now()
	if h.standing.owns(now) {
		return nil
	}
	return h.standing.learn(h.Engine.Ownership().Check(ctx), now)
}

// owners serves a request only if the app owns the catalog.
func owners(serve func(*handler, http.ResponseWriter, *http.Request) error) func(*handler, http.ResponseWriter, *http.Request) error {
	return func(h *handler, w http.ResponseWriter, r *http.Request) error {
		if err := h.owns(r.Context()); err != nil {
			return err
		}
		return serve(h, w, r)
	}
}

// owned leaves a message of the queue to the app that owns the catalog: this app sends it to the queue once more. A request keeps
// the time at which it was sent.
func (h *handler) owned(queue string, handle messageHandler) messageHandler {
	return func(ctx context.Context, in invocation, message []byte) (fields, error) {
		err := h.owns(ctx)
		no, ok := errors.AsType[*apps.NotOwner](err)
		switch {
		case err == nil:
			return handle(ctx, in, message)
		case !ok:
			return h.unowned(ctx, in, queue, message, err)
		}
		dated, delay := request.Original(message, in.Inserted), h.Engine.Timings.PollMax
		if text := dated.Encode(); len(text) <= request.Longest && queue != backup.ExecuteQueue+backup.Poison {
			message, delay = text, h.Engine.Timings.PutBackDelay(h.Now().Sub(dated.Sent))
		}
		return fields{"queue": queue, "note": no.Error() + ": put back"}, h.Engine.Queue.Requeue(ctx, queue, message, delay)
	}
}

// unowned handles a message while nothing shows which app owns the catalog: the host delivers it again. A request that the host gave
// up is put off, so that it outlives an outage of the catalog. No app refuses it without asking.
func (h *handler) unowned(ctx context.Context, in invocation, queue string, message []byte, err error) (fields, error) {
	did := fields{"queue": queue}
	requests, given := strings.CutSuffix(queue, backup.Poison)
	if !given || requests == backup.ExecuteQueue {
		return did, err
	}
	original := request.Original(message, in.Inserted)
	if requests == backup.RestoreQueue {
		q, _ := restore.ParseRequest(original.Message, "")
		did["request"] = q.ID
	} else {
		q, _ := request.ParseBackup(original.Message, "")
		did["request"] = q.ID
	}
	later, failed := h.Engine.PutOff(ctx, requests, original)
	if later {
		did["note"] = "put off: it is tried again later"
		return did, nil
	}
	return did, errors.Join(err, failed)
}

// stands turns the outcome of a timer run of an app that does not own the catalog into a note, since it is no failure.
func (f fields) stands(err error) error {
	no, ok := errors.AsType[*apps.NotOwner](err)
	if !ok {
		return err
	}
	f["app"], f["owner"], f["note"] = no.App, no.Owner, no.Error()
	return nil
}

// notOwner is the answer to a request that another app must get.
func notOwner(no *apps.NotOwner) *apiError {
	why := health.Apps{App: no.App, Owner: no.Owner, Since: no.Since}.Reason()
	e := refuse(http.StatusConflict, "NotOwner", no.Owner, "%s", why.Message)
	e.Details = details(why)
	return e
}

// takeOver makes this app the owner of the catalog in place of the named one. A repeat answers the same.
func (h *handler) takeOver(w http.ResponseWriter, r *http.Request) error {
	texts, err := readTexts(r, "from")
	if err != nil {
		return err
	}
	if texts["from"] == "" {
		return refuse(http.StatusBadRequest, "InvalidBody", "from", `the body must name the app that loses the catalog: {"from": "its name"}`)
	}
	taken, err := h.Engine.Ownership().TakeOver(r.Context(), texts["from"], h.caller(r))
	if errors.Is(err, apps.ErrNotLoser) {
		return refuse(http.StatusConflict, "NotTakenOver", texts["from"], "%v", err)
	}
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, api.Takeover{Owner: taken.Owner, From: taken.From, Since: taken.Since})
	return nil
}
