package handler

import (
	"context"

	"github.com/rs/zerolog"
)

// execute makes the next step of the run that the message names.
func (h *handler) execute(ctx context.Context, in invocation, line *zerolog.Event) error {
	message, err := in.message("message")
	if err != nil {
		return err
	}
	out, err := h.Engine.Execute(ctx, in.ID, message)
	line.Str("run", out.Run).Str("target", out.Target).Str("from", string(out.From)).Str("to", string(out.To))
	if out.Note != "" {
		line.Str("note", out.Note)
	}
	if out.Reason.Code != "" {
		line.Str("code", out.Reason.Code).Str("reason", out.Reason.Message)
	}
	return err
}
