package simulation

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/health"
	"lifeboat/internal/plans"
)

// alarm is an alarm about a target of a plan that was told. By is the event that says that it is over, "" if none does.
type alarm struct {
	plan, target, by string
	told             bool
}

// evaluatedSince reports whether the targets of the plan were evaluated since the instant, by plan.yaml as it is.
func (w *World) evaluatedSince(plan string, since time.Time) bool {
	row, _, _ := w.catalog.Get(context.Background(), backup.EvaluatedKey(plan))
	active, _, _ := w.catalog.Get(context.Background(), backup.ActivePlanKey)
	v, err := health.DecodeEvaluation(row)
	head, unread := plans.ReadHead(active)
	return err == nil && unread == nil && v.At.After(since) && v.At.After(head.Since)
}

// alarmsEnd checks that each alarm is over by one event at most. In the end every target that is unprotected has one alarm, and no other
// target of its plan has any.
func alarmsEnd(w *World, moment any) string {
	switch m := moment.(type) {
	case told:
		kind, ok := strings.CutPrefix(m.event.Type, "lifeboat.target.")
		if !ok || kind != "unprotected" && kind != "protected" && kind != "left" {
			return ""
		}
		var data struct{ Plan, Target, Alarm string }
		if err := json.Unmarshal(m.event.Data, &data); err != nil {
			return fmt.Sprintf("told %s, which nobody can read", m.event.Data)
		}
		id := data.Alarm
		if kind == "unprotected" {
			id = m.event.ID
		}
		a := w.ledger.alarms[id]
		if a == nil {
			a = &alarm{plan: data.Plan, target: data.Target}
			w.ledger.alarms[id] = a
		}
		switch {
		case a.plan != data.Plan || a.target != data.Target:
			return fmt.Sprintf("%s is of %s and of %s", id, a.target, data.Target)
		case kind == "unprotected":
			a.told = true
		case a.by != "" && a.by != m.event.ID:
			return fmt.Sprintf("%s is over by %s and by %s", id, a.by, m.event.ID)
		default:
			a.by = m.event.ID
		}
	case over:
		type place struct{ plan, target string }
		holds := map[place]string{}
		for _, id := range slices.Sorted(maps.Keys(w.ledger.alarms)) {
			a := w.ledger.alarms[id]
			switch here := (place{a.plan, a.target}); {
			case !a.told:
				return fmt.Sprintf("%s is over by %s, and was never told", id, a.by)
			case a.by != "":
			case holds[here] != "":
				return fmt.Sprintf("%s and %s hold at once", id, holds[here])
			default:
				holds[here] = id
			}
		}
		_, seen := w.healthOf(w.ledger.evaluated)
		for _, h := range seen {
			here := place{h.Plan, h.Target}
			id := holds[here]
			delete(holds, here)
			switch ill := h.Status == health.Unprotected; {
			case ill && id == "" && w.evaluatedSince(h.Plan, h.Deadline):
				return fmt.Sprintf("%s is unprotected since %s, and no alarm holds", w.service(h.Target).name, h.Deadline.Format(time.RFC3339))
			case !ill && id != "" && w.evaluatedSince(h.Plan, time.Time{}):
				return fmt.Sprintf("%s is %s, and the alarm %s holds", w.service(h.Target).name, h.Status, id)
			}
		}
		for here, id := range holds {
			return fmt.Sprintf("no plan %s has %s any more, and the alarm %s holds", here.plan, w.service(here.target).name, id)
		}
	}
	return ""
}
