package simulation

import "slices"

// Shrink looks for a quieter and shorter world that breaks the same promise, and replays it with a trace. It runs at
// most that number of worlds. It first drops whole days, then makes whole days and tracks quiet, and then single choices.
func Shrink(found Result, tries int) Result {
	s := &shrinker{best: found, left: tries}
	for s.left > 0 {
		before := weight(s.best.ChoiceLog)
		s.dropDays()
		s.quietDays()
		s.quietTracks()
		s.quietChoices()
		s.lowerChoices()
		if weight(s.best.ChoiceLog) == before {
			break
		}
	}
	return Run(s.best.Seed, Options{Days: s.best.Days, ChoiceLog: s.best.ChoiceLog, Trace: true})
}

type shrinker struct {
	best Result
	left int
}

// weight is the sum that shrinking makes smaller: days, then choices that are not zero, then their size.
func weight(t ChoiceLog) int {
	sum := 1_000_000 * len(t)
	for _, p := range places(t) {
		sum += 1000 + int(t[p.day][p.track][p.at])
	}
	return sum
}

// try keeps the choice log if its world breaks the same promise.
func (s *shrinker) try(t ChoiceLog) bool {
	if s.left == 0 || weight(t) >= weight(s.best.ChoiceLog) {
		return false
	}
	s.left--
	r := Run(s.best.Seed, Options{Days: len(t) - 1, ChoiceLog: t})
	if r.Violation == nil || r.Violation.Invariant != s.best.Violation.Invariant || weight(r.ChoiceLog) > weight(s.best.ChoiceLog) {
		return false
	}
	s.best = r
	return true
}

// The choice log's first day makes the world; nothing happens on it.

func (s *shrinker) dropDays() {
	for size := (len(s.best.ChoiceLog) - 1) / 2; size > 0; size /= 2 {
		for at := 1; at+size < len(s.best.ChoiceLog); {
			if !s.try(slices.Delete(slices.Clone(s.best.ChoiceLog), at, at+size)) {
				at += size
			}
		}
	}
}

func (s *shrinker) quietDays() {
	for size := max(1, len(s.best.ChoiceLog)/2); size > 0; size /= 2 {
		for at := 0; at < len(s.best.ChoiceLog); at += size {
			t := slices.Clone(s.best.ChoiceLog)
			for i := at; i < min(at+size, len(t)); i++ {
				t[i] = Day{}
			}
			s.try(t)
		}
	}
}

func (s *shrinker) quietTracks() {
	for track := range tracks {
		t := slices.Clone(s.best.ChoiceLog)
		for day := range t {
			t[day][track] = nil
		}
		s.try(t)
		for day := range s.best.ChoiceLog {
			if t := slices.Clone(s.best.ChoiceLog); day < len(t) {
				t[day][track] = nil
				s.try(t)
			}
		}
	}
}

// spot is the place of a choice that is not zero.
type spot struct{ day, track, at int }

func places(t ChoiceLog) (all []spot) {
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
	for size := max(1, len(places(s.best.ChoiceLog))/2); size > 0 && s.left > 0; size /= 2 {
		for from := 0; s.left > 0; {
			all := places(s.best.ChoiceLog)
			if from >= len(all) {
				break
			}
			t := s.best.ChoiceLog.clone()
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
	for _, p := range places(s.best.ChoiceLog) {
		for _, halves := range []bool{false, true} {
			if p.day >= len(s.best.ChoiceLog) || p.at >= len(s.best.ChoiceLog[p.day][p.track]) {
				break
			}
			lower := uint32(1)
			if halves {
				lower = s.best.ChoiceLog[p.day][p.track][p.at] / 2
			}
			if lower > 0 {
				t := s.best.ChoiceLog.clone()
				t[p.day][p.track][p.at] = lower
				s.try(t)
			}
		}
	}
}
