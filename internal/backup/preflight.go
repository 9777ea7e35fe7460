package backup

import (
	"context"
	"strings"
)

// Preflight asks the target's provider whether the plan could back it up now, as every run does before it starts, and
// changes nothing. It cannot see what only a write shows: whether our identity may make the container,
// and whether the service may write to it. The error is a *Fault: Refused, with the service's reason and what to do, or
// Deferred. It is ErrNoProvider where no provider serves the target.
func (e *Engine) Preflight(ctx context.Context, p Plan, target string) error {
	provider, err := e.provider(target)
	if err != nil {
		return err
	}
	_, err = within(ctx, func(ctx context.Context) (any, error) {
		return nil, provider.Preflight(ctx, Run{Target: target, Settings: p.Settings}.attempt(""))
	})
	return err
}

// preflight asks whether the service can be backed up at all, and makes what the backup needs, before the first intent
// of the run is saved. The answer is not kept: if the process dies here, or another run holds the target, it is asked for
// again. Half a lease is enough for it, and leaves time to begin. Where the service itself looks, and takes its time over
// that, the run keeps its permits meanwhile.
func (s *step) preflight(ctx context.Context, provider Provider) error {
	r := &s.run
	if why := checkKeep(r.Settings); why != nil {
		return s.end(ctx, refuses, *why)
	}
	look, cancel := context.WithTimeout(ctx, s.Waits.Lease/2)
	defer cancel()
	before := s.Now()
	var f *Fault
	if r.Check == "" {
		f = AsFault(provider.Preflight(look, r.attempt("")))
	}
	prepared := Operation{}
	if f == nil {
		var err error
		prepared, err = provider.Prepare(look, r.attempt(""), r.Check)
		f = AsFault(err)
	}
	// The lease and the deadline of the start count from here: the time that the look took is not theirs.
	took := s.Now().Sub(before)
	s.now, s.read = s.now.Add(took), s.read.Add(took)
	if r.Check == "" {
		r.CheckSince = s.now
	}
	r.Check = prepared.Token
	switch {
	case f == nil && prepared.Done:
		return s.attempt(ctx, provider)
	case f == nil:
		r.Reason = reason("Preparing", "the service looks whether it can make the backup", "")
		return s.advance(ctx, s.pollDelay(r.CheckSince, prepared.RetryAfter))
	case f.Kind == Refused:
		return s.end(ctx, refuses, f.reason())
	default:
		return s.postpone(ctx, f)
	}
}

// notIncluded are what backups of a type of resource, in lower case, do not contain. API Management: Azure's
// documentation of its backup and restore. Managed HSM: a backup holds all keys, versions, attributes, tags and local role
// assignments, says the documentation, and a restore needs the same security domain. Managed CCF and Confidential Ledger:
// ledger files and snapshots, and of an export the service's certificate.
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
	managedHSM: {
		"the security domain, without which no backup can be restored",
		"network settings, private endpoints and diagnostics settings",
		"the managed identity that the HSM reaches storage with",
	},
	managedCCF: {
		"transactions that were not committed when the backup was made",
		"private keys of members and users",
		"role assignments, locks, tags and diagnostics settings of the resource",
	},
	confidentialLedger: {
		"a way back: Azure restores no ledger from exported files",
		"transactions that were not committed when the files were copied",
		"the ledger's users and roles, and the settings of the resource",
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
