package backup

import (
	"context"
	"sync"
)

// Notes collects the facts that stop no run, and that a person who asks whether all is well must know: the things that a preflight
// could not look at, for want of a right, and warnings.
type Notes struct {
	mu       sync.Mutex
	unseen   []string
	warnings []Reason
}

type notesKey struct{}

// Watch returns a context whose preflights make notes. A run has no use for them: its preflights ask Azure nothing for a note alone.
func Watch(ctx context.Context) (context.Context, *Notes) {
	n := &Notes{}
	return context.WithValue(ctx, notesKey{}, n), n
}

// Watched says whether a person reads the notes.
func Watched(ctx context.Context) bool {
	_, ok := ctx.Value(notesKey{}).(*Notes)
	return ok
}

// NotSeen notes that the preflight could not look at the resource. Without a watch it does nothing.
func NotSeen(ctx context.Context, what string) {
	note(ctx, func(n *Notes) { n.unseen = append(n.unseen, what) })
}

// Warn notes a warning. Without a watch it does nothing.
func Warn(ctx context.Context, why *Reason) {
	note(ctx, func(n *Notes) { n.warnings = append(n.warnings, *why) })
}

func note(ctx context.Context, add func(*Notes)) {
	if n, ok := ctx.Value(notesKey{}).(*Notes); ok {
		n.mu.Lock()
		defer n.mu.Unlock()
		add(n)
	}
}

// Unseen returns the resources that were not seen.
func (n *Notes) Unseen() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.unseen
}

// Warnings returns the warnings, in the order in which they were noted.
func (n *Notes) Warnings() []Reason {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.warnings
}
