package backup

import (
	"context"
	"sync"
)

// Unseen collects the facts that a preflight could not look at, for want of a right. A run goes on without them: Azure refuses the
// start then. A person who asks whether all is well must know.
type Unseen struct {
	mu   sync.Mutex
	what []string
}

type unseenKey struct{}

// Watch returns a context whose preflights note what they could not look at.
func Watch(ctx context.Context) (context.Context, *Unseen) {
	u := &Unseen{}
	return context.WithValue(ctx, unseenKey{}, u), u
}

// NotSeen notes that the preflight could not look at the resource. Without a watch it does nothing.
func NotSeen(ctx context.Context, what string) {
	if u, ok := ctx.Value(unseenKey{}).(*Unseen); ok {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.what = append(u.what, what)
	}
}

// What returns the resources that were not seen.
func (u *Unseen) What() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.what
}
