package backup

import (
	"context"
	"strings"
)

// Preflight asks the target's provider whether the plan could back it up now, as every run does before it starts. Its
// error is a *Fault: Refused, with the service's reason and what to do, or Deferred. It is ErrNoProvider where no
// provider serves the target.
func (e *Engine) Preflight(ctx context.Context, p Plan, target string) error {
	provider, err := e.provider(target)
	if err != nil {
		return err
	}
	return provider.Preflight(ctx, Run{Target: target, Settings: p.Settings}.attempt(""))
}

// preflight asks whether the service can be backed up at all, before the first intent of the run is saved. The answer
// is not kept: if the process dies here, or another run holds the target, it is asked for again. Half a lease is
// enough for it, and leaves time to begin.
func (s *step) preflight(ctx context.Context, provider Provider) error {
	look, cancel := context.WithTimeout(ctx, s.Waits.Lease/2)
	defer cancel()
	before := s.Now()
	f := AsFault(provider.Preflight(look, s.run.attempt("")))
	// The lease and the deadline of the start count from here: the time that the look took is not theirs.
	took := s.Now().Sub(before)
	s.now, s.read = s.now.Add(took), s.read.Add(took)
	switch {
	case f == nil:
		return s.attempt(ctx, provider)
	case f.Kind == Refused:
		return s.end(ctx, refuses, f.reason())
	default:
		return s.postpone(ctx, f.wait(), f.reason())
	}
}

// notIncluded are what backups of a type of resource, in lower case, do not contain. API Management: Azure's
// documentation of its backup and restore.
var notIncluded = map[string][]string{
	"microsoft.apimanagement/service": {
		"usage data for analytics",
		"custom domain TLS certificates",
		"custom CA certificates",
		"virtual network settings",
		"managed identity configuration",
		"Azure Monitor diagnostics settings",
		"protocol and cipher settings",
		"developer portal content",
	},
}

// NotIncluded lists what a backup of the target does not contain, in words for people: after a restore it has to come
// from elsewhere. It is empty for what Lifeboat does not back up.
func NotIncluded(target string) []string {
	r, err := ParseResource(target)
	if err != nil {
		return nil
	}
	return notIncluded[strings.ToLower(r.Type)]
}
