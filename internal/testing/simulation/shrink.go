package simulation

import "slices"

// Shrink looks for a quieter and shorter world that breaks the same promise, and replays it with a trace. It runs at
// most that number of worlds. It first drops whole days, then makes whole days and tracks quiet, and then single choices.
func Shrink(found Result, tries int) Result {
	s := &shrinker{best: found, left: tries}
	for s.left > 0 {
		before := weight(s.best.Tape)
		s.dropDays()
		s.quietDays()
		s.quietTracks()
		s.quietChoices()
		s.lowerChoices()
		if weight(s.best.Tape) == before {
			break
		}
	}
	return Run(s.best.Seed, Options{Days: s.best.Days, Tape: s.best.Tape, Trace: true})
}

type shrinker struct {
	best Result
	left int
}

// weight is the sum that shrinking makes smaller: days, then choices that are not zero, then their size.
func weight(t Tape) int {
	sum := 1_000_000 * len(t)
	for _, p := range places(t) {
		sum += 1000 + int(t[p.day][p.track][p.at])
	}
	return sum
}

// try keeps the tape if its world breaks the same promise.
func (s *shrinker) try(t Tape) bool {
	if s.left == 0 || weight(t) >= weight(s.best.Tape) {
		return false
	}
	s.left--
	r := Run(s.best.Seed, Options{Days: len(t) - 1, Tape: t})
	if r.Violation == nil || r.Violation.Invariant != s.best.Violation.Invariant || weight(r.Tape) > weight(s.best.Tape) {
		return false
	}
	s.best = r
	return true
}

// The tape's first day makes the world; nothing happens on it.

func (s *shrinker) dropDays() {
	for size := (len(s.best.Tape) - 1) / 2; size > 0; size /= 2 {
		for at := 1; at+size < len(s.best.Tape); {
			if !s.try(slices.Delete(slices.Clone(s.best.Tape), at, at+size)) {
				at += size
			}
		}
	}
}

func (s *shrinker) quietDays() {
	for size := max(1, len(s.best.Tape)/2); size > 0; size /= 2 {
		for at := 0; at < len(s.best.Tape); at += size {
			t := slices.Clone(s.best.Tape)
			for i := at; i < min(at+size, len(t)); i++ {
				t[i] = Day{}
			}
			s.try(t)
		}
	}
}

func (s *shrinker) quietTracks() {
	for track := range tracks {
		t := slices.Clone(s.best.Tape)
		for day := range t {
			t[day][track] = nil
		}
		s.try(t)
		for day := range s.best.Tape {
			if t := slices.Clone(s.best.Tape); day < len(t) {
				t[day][track] = nil
				s.try(t)
			}
		}
	}
}

// spot is the place of a choice that is not zero.
type spot struct{ day, track, at int }

func places(t Tape) (all []spot) {
	for day := range t {
		for track := range t[day] {
			for at, v := range t[day][track] {
				if v != 0 {
					all = append(all, spot{day, track, at})
				}
			}
		}
	}
	return all
}

func (s *shrinker) quietChoices() {
	for size := max(1, len(places(s.best.Tape))/2); size > 0 && s.left > 0; size /= 2 {
		for from := 0; s.left > 0; {
			all := places(s.best.Tape)
			if from >= len(all) {
				break
			}
			t := s.best.Tape.clone()
			for _, p := range all[from:min(from+size, len(all))] {
				t[p.day][p.track][p.at] = 0
			}
			if !s.try(t) {
				from += size
			}
		}
	}
}

func (s *shrinker) lowerChoices() {
	for _, p := range places(s.best.Tape) {
		for _, halves := range []bool{false, true} {
			if p.day >= len(s.best.Tape) || p.at >= len(s.best.Tape[p.day][p.track]) {
				break
			}
			lower := uint32(1)
			if halves {
				lower = s.best.Tape[p.day][p.track][p.at] / 2
			}
			if lower > 0 {
				t := s.best.Tape.clone()
				t[p.day][p.track][p.at] = lower
				s.try(t)
			}
		}
	}
}
