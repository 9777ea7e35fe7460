package health

import (
	"slices"
	"time"

	"lifeboat/internal/backup"
)

// Restored is a restore into a target, or into another service that a plan allows.
type Restored struct {
	ID string `json:"id"`
	// Target is the destination, and Source the service that was backed up.
	Target string       `json:"-"`
	Source string       `json:"source"`
	Plan   string       `json:"plan"`
	State  backup.State `json:"state"`
	// Created is the time at which it was asked for.
	Created time.Time     `json:"created"`
	Ended   time.Time     `json:"ended,omitzero"`
	Extent  backup.Extent `json:"extent,omitempty"`
}

// newRestored returns what is kept of the restore.
func newRestored(r backup.Run) Restored {
	return Restored{
		ID: r.ID, Target: r.Target, Source: r.Restore.Source, Plan: r.Plan, State: r.State, Created: r.Created, Ended: r.Ended, Extent: r.Extent(),
	}
}

// mostRestores is the greatest number of restores under way that are kept: each is read by itself at each look, and has up to 500 of the 32 Ki
// characters of a column.
const mostRestores = 60

// newestRestores returns the restores under way, and the newest that has ended; all are newest first. If very many are under way, the newest
// of these are left out: the others have waited longer.
func newestRestores(all []Restored) (some []Restored) {
	omit, ended := -mostRestores, false
	for _, r := range all {
		if !r.State.Final() {
			omit++
		}
	}
	for _, r := range all {
		switch {
		case r.State.Final() && ended:
			continue
		case r.State.Final():
			ended = true
		case omit > 0:
			omit--
			continue
		}
		some = append(some, r)
	}
	return some
}

// Older returns the restores of the former facts that are older than the newest rows, and still count.
func (s Snapshot) Older(was Facts) (older []Restored) {
	ended := slices.ContainsFunc(s.Restores, func(r Restored) bool { return r.State.Final() })
	for _, r := range was.Restores {
		seen := slices.ContainsFunc(s.Restores, func(o Restored) bool { return o.ID == r.ID })
		if !seen && (!r.State.Final() || !ended) {
			r.Target = s.Target
			older = append(older, r)
		}
	}
	return older
}
