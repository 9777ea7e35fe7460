package plans

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/diff"
	"lifeboat/internal/event"
)

// Past is a text that was active until then.
type Past struct {
	Hash  string    `json:"hash"`
	Until time.Time `json:"until"`
}

const (
	// Remembered is the time for which a text that is active no more counts as one of the past.
	Remembered = 7 * 24 * time.Hour
	// mostPast is the greatest number of these texts: health and a timer run may read each.
	mostPast = 50
)

// then returns the head after a good text has taken the place of the active one, or has come back after a refused text.
func (h Head) then(hash string, now time.Time) Head {
	next := Head{Hash: hash, Since: now, Carried: h.Carried}
	all := h.Before
	if h.Hash != "" && h.Hash != hash {
		all = append([]Past{{h.Hash, now}}, all...)
	}
	for i, p := range all {
		again := slices.ContainsFunc(all[:i], func(newer Past) bool { return newer.Hash == p.Hash })
		if !again && now.Sub(p.Until) < Remembered && len(next.Before) < mostPast {
			next.Before = append(next.Before, p)
		}
	}
	return next
}

// changed makes the event about an edit that becomes active; none for the first plan, a refused text, or an edit without an effect. If
// the old text cannot be read, the event says that instead.
func (b *Store) changed(ctx context.Context, was Head, file revision, now time.Time) ([]backup.Event, error) {
	if was.Hash == "" || was.Hash == file.hash || file.err != nil {
		return nil, nil
	}
	e := event.PlanEdit{Old: was.Hash, New: file.hash, OldSince: was.Since, Found: now}
	switch old, err := b.text(ctx, was.Hash); {
	case errors.Is(err, errLoad):
		return nil, fmt.Errorf("tell what an edit of plan.yaml changes: %w", err) // the next timer run saves the edit
	case err != nil:
		e.Changes, e.Attention = []string{"! the changes cannot be told: " + backup.Bounded(err.Error())}, []string{diff.TargetsGo}
	default:
		edit := diff.Edit{Old: old.plans, New: file.plans, Default: b.Default}
		e.Changes, e.Attention = edit.Lines(diff.Assumed(old.plans, now, "")), edit.Attention()
	}
	if len(e.Changes) == 0 {
		return nil, nil
	}
	return []backup.Event{event.PlanChanged(e)}, nil
}

// text returns a kept text, from memory if this process has read it before. If this version refuses it, the revision has its hash and
// no plans, beside the error.
func (b *Store) text(ctx context.Context, hash string) (revision, error) {
	b.mu.Lock()
	known, ok := b.past[hash]
	for _, one := range []revision{b.asked, b.file, b.kept} {
		if one.hash == hash && one.err == nil {
			known, ok = one, true
		}
	}
	b.mu.Unlock()
	if ok {
		return known, known.err
	}
	found, err := b.fetch(ctx, hash)
	if err != nil && found.hash == "" {
		return found, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.past == nil || len(b.past) > mostPast {
		b.past = map[string]revision{}
	}
	b.past[hash] = found
	return found, found.err
}

// Left is a target that a plan had in the last seven days, and has no more.
type Left struct {
	Plan, Target string
	// At is the time at which the text that had it was active last.
	At time.Time
	// Gone tells that no plan has it.
	Gone bool
	// Back is the time at which the plan got it again; zero if the plan has not got it. Then At is zero if no known text had it before.
	Back time.Time
}

// Left returns what has left the plans, by the row of the active plan, newest first, and what came back into them. It makes a request for each text that this process has
// not read yet. A text that cannot be read is left out, and named by the error. A text that this version refuses, as an older one did not,
// is left out without: no later timer run could do better.
func (b *Store) Left(ctx context.Context, head Head, plans []backup.Plan, now time.Time) (left []Left, err error) {
	type place struct{ plan, target string } // the plan "" is any
	at := func(plan, target string) place { return place{plan, strings.ToLower(target)} }
	has := map[place]bool{}
	for _, p := range plans {
		for _, target := range p.Targets {
			has[at(p.Name, target)], has[at("", target)] = true, true
		}
	}
	var since returns
	for _, past := range append([]Past{{head.Hash, now}}, head.Before...) { // plan.yaml may have another text than the row by now
		if past.Hash == "" || now.Sub(past.Until) >= Remembered {
			continue
		}
		text, unread := b.text(ctx, past.Hash)
		if unread != nil && text.hash == "" {
			err = errors.Join(err, fmt.Errorf("what has left plan.yaml since %s is not known: %w", past.Until.UTC().Format(time.RFC3339), unread))
			continue
		}
		if unread == nil {
			left = append(left, since.before(text.plans, plans, past.Until)...)
		}
		for _, old := range text.plans {
			for _, target := range old.Targets {
				if here := at(old.Name, target); !has[here] {
					has[here] = true
					left = append(left, Left{Plan: old.Name, Target: target, At: past.Until, Gone: !has[at("", target)]})
				}
			}
		}
	}
	return append(left, since.unknown()...), err
}

// returns finds what came back into the plans, text by text, from the newest to the oldest.
type returns struct {
	// came has what the texts since did not have, by the plan's name and the target; seen are the targets that a text had in any plan.
	came map[[2]string]Left
	seen map[string]bool
}

// before goes on with a text that was active until then. It returns what that text had, and a later one did not.
func (r *returns) before(text, plans []backup.Plan, until time.Time) (back []Left) {
	if r.came == nil {
		r.came, r.seen = map[[2]string]Left{}, map[string]bool{}
	}
	had := map[[2]string]bool{}
	for _, old := range text {
		for _, target := range old.Targets {
			target = strings.ToLower(target)
			had[[2]string{old.Name, target}], r.seen[target] = true, true
		}
	}
	for _, p := range plans {
		for _, target := range p.Targets {
			here := [2]string{p.Name, strings.ToLower(target)}
			one, away := r.came[here]
			switch {
			case !had[here] && !away:
				r.came[here] = Left{Plan: p.Name, Target: target, Back: until}
			case had[here] && away:
				one.At = until
				back = append(back, one)
				delete(r.came, here)
			}
		}
	}
	return back
}

// unknown returns what no text had before it came.
func (r *returns) unknown() (back []Left) {
	for here, one := range r.came {
		if !r.seen[here[1]] {
			back = append(back, one)
		}
	}
	return back
}
