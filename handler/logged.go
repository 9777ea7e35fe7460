package handler

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/rs/zerolog"

	"lifeboat/internal/backup"
)

// logged logs each event that goes out, as one line whose field "event" is the event's type: alerts on the log and readers of the
// queue see the same. A line may come twice, as the event may; it also comes if the queue cannot be reached. An answer on another
// queue has a line only if that queue does not take it.
type logged struct {
	backup.Queue
	log zerolog.Logger
}

// good are the events that need no action.
var good = map[string]bool{
	"lifeboat.run.succeeded": true, "lifeboat.run.canceled": true, "lifeboat.plan.accepted": true, "lifeboat.plan.changed": true, "lifeboat.plan.checked": true,
	"lifeboat.custody.changed":  true,
	"lifeboat.target.protected": true, "lifeboat.target.left": true, "lifeboat.app.replaced": true, "lifeboat.resumed": true, "lifeboat.catalog.complete": true, "lifeboat.recovery-point.accepted": true, "lifeboat.recovery-point.deleted": true, "lifeboat.recovery-point.kept": true,
	"lifeboat.recovery-point.held": true, "lifeboat.recovery-point.released": true, "lifeboat.recovery-point.changed": true,
	"lifeboat.target.forgotten": true, "lifeboat.recovery-point.softdeleted": true, "lifeboat.recovery-point.recovered": true,
	"lifeboat.backup.accepted": true, "lifeboat.restore.accepted": true, "lifeboat.restore.waiting": true, "lifeboat.restore.started": true,
	"lifeboat.restore.succeeded": true, "lifeboat.restore.previewed": true, "lifeboat.restore.canceled": true,
}

// Publish implements [backup.Queue].
func (q logged) Publish(ctx context.Context, e backup.Event) error {
	err := q.Queue.Publish(ctx, e)
	answer := e.To != ""
	if answer && err == nil {
		return nil
	}
	data, level := flat(e), zerolog.WarnLevel
	status, _ := data["status"].(string)
	attention := e.Type == "lifeboat.custody.changed" && backup.ProofStatus(status).Alarms() || e.Type == "lifeboat.run.succeeded" && data["code"] != nil || data["attention"] != nil || data["warning"] != nil || data["findings"] != nil || data["omitted"] != nil && e.Type == "lifeboat.plan.checked"
	switch {
	case errors.Is(err, backup.ErrUndeliverable):
		level = zerolog.ErrorLevel // it is never tried again
	case good[e.Type] && !attention && !answer: // the owner of a queue for answers must act
		level = zerolog.InfoLevel
	}
	line := q.log.WithLevel(level).Err(err).Str("event", e.Type).Str("id", e.ID).Time("at", e.Time)
	if answer {
		line.Str("queue", e.To)
	}
	if e.Subject != "" {
		line.Str("target", e.Subject)
	}
	line.Fields(map[string]any(data)).Msg("event")
	return err
}

// flat returns the event's data as fields of a line. A reason's parts have the same names as in other lines.
func flat(e backup.Event) fields {
	var data fields
	if err := json.Unmarshal(e.Data, &data); err != nil {
		return fields{"data": string(e.Data)}
	}
	if reason, ok := data["reason"].(map[string]any); ok {
		data["code"], data["reason"] = reason["code"], reason["message"]
		if hint, ok := reason["hint"]; ok {
			data["hint"] = hint
		}
	}
	delete(data, "recoveryPoints") // a line has less than 4 KiB
	if e.Subject != "" {
		delete(data, "target") // it is the subject
	}
	return data
}

// loggedManifests logs each manifest that could not be written: a backup succeeds without it.
type loggedManifests struct {
	backup.Manifests
	log zerolog.Logger
}

// Write implements [backup.Manifests].
func (m loggedManifests) Write(ctx context.Context, in backup.Storage, name string, content []byte) error {
	err := m.Manifests.Write(ctx, in, name, content)
	if f := backup.AsFault(err); f != nil {
		line := fields{"hint": f.Hint}
		line.say(f.Reason())
		m.log.Warn().Str("account", in.AccountName()).Str("container", in.Container).Str("manifest", name).Fields(map[string]any(line)).
			Msg("a manifest was not written; it is tried again for seven days")
	}
	return err
}
