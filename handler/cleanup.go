package handler

import (
	"context"
	"errors"

	"github.com/rs/zerolog"
)

// cleanup deletes what is past its time.
func (h *handler) cleanup(ctx context.Context, _ invocation, line *zerolog.Event) error {
	report, err := h.Engine.Cleanup(ctx)
	decisions := zerolog.Arr()
	for _, d := range report.Decisions {
		decisions.Dict(zerolog.Dict().Str("run", d.Point.ID).Str("target", d.Point.Target).Bool("keep", d.Keep).
			Str("reason", d.Reason))
	}
	line.Int("targets", report.Looked).Array("decisions", decisions)
	return errors.Join(append(report.Failed, err)...)
}
