package handler

import "context"

// execute makes the next step of the run that the message names.
func (h *handler) execute(ctx context.Context, in invocation, message []byte) (fields, error) {
	out, err := h.Engine.Execute(ctx, in.ID, message)
	did := fields{"run": out.Run, "target": out.Target, "plan": out.Plan, "from": out.From, "to": out.To}
	if out.Note != "" {
		did["note"] = out.Note
	}
	did.say(out.Reason)
	if out.Warning != "" {
		did["warning"] = out.Warning
	}
	return did, err
}
