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
		h.Log.Warn().Str("function", "execute").Str("run", out.Run).Str("target", out.Target).Str("warning", out.Warning).
			Msg("a restore has succeeded, with a warning")
	}
	return did, err
}
