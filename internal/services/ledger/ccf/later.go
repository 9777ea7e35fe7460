package ccf

import "sync"

// mostLater bounds the work that is under way: each piece keeps a signature.
const mostLater = 16

// later is work on other processors, and its consequences.
type later struct {
	work   sync.WaitGroup
	finish func()
}

// after begins work on other processors: it must touch nothing that the verifier reads meanwhile. The consequences follow in turn, before
// anything else is told, so that a report does not depend on the number of processors.
func (v *Verifier) after(finish func(), work ...func()) {
	l := &later{finish: finish}
	for _, w := range work {
		l.work.Go(w)
	}
	if v.later = append(v.later, l); len(v.later) > mostLater {
		v.finishNext()
	}
}

// finishNext waits for the oldest work.
func (v *Verifier) finishNext() {
	l := v.later[0]
	v.later = v.later[1:]
	l.work.Wait()
	v.finishing = true
	l.finish()
	v.finishing = false
}

// catchUp waits for all work.
func (v *Verifier) catchUp() {
	for len(v.later) > 0 && !v.finishing {
		v.finishNext()
	}
}
