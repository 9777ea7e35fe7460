package simulation

import (
	"math/rand/v2"
	"slices"
)

// ChoiceLog holds all choices of a world. Its first day has the choices that make the world, and every further day has the
// choices of a day of the world. Zero always means that nothing special happens, and a missing choice is zero. So a shorter
// choice log, or a choice log with more zeros, is a quieter world. Each day, and in a day each chooser, has its own track, so
// that a change to one does not garble the others.
type ChoiceLog []Day

// Day has the choices of one day, by the track.
type Day [tracks][]uint32

// These are the tracks, one for each chooser.
const (
	ofTheDay = iota
	ofTheHost
	ofTimers
	ofCleanup
	ofRequests
	ofRestores
	ofApps
	// ofTargets is the track of the first target's runs; the second target's track is the next.
	ofTargets
	tracks = ofTargets + mostTargets
)

// choices draws choices from the seed, or reads them from a choice log.
type choices struct {
	seed   uint64
	replay ChoiceLog
	draw   *rand.Rand // nil: replayed
	taken  ChoiceLog
	// track is the track of the next choice.
	track int
	// quiet says that every choice is zero from now on.
	quiet bool
}

func newChoices(seed uint64, replay ChoiceLog) *choices {
	c := &choices{seed: seed, replay: replay}
	c.turn(0)
	return c
}

// turn goes on to a day, or stays. Days never go back.
func (c *choices) turn(day int) {
	if day < len(c.taken) {
		return
	}
	for len(c.taken) <= day {
		c.taken = append(c.taken, Day{})
	}
	if c.replay == nil {
		c.draw = rand.New(rand.NewPCG(c.seed, uint64(day)))
	}
}

// pick chooses one of n, 0 to n-1.
func (c *choices) pick(n int) int {
	if c.quiet || n < 2 {
		return 0
	}
	var v uint32
	if c.draw != nil {
		v = uint32(c.draw.IntN(n))
	} else {
		v = min(c.next(), uint32(n-1))
	}
	c.note(v)
	return int(v)
}

// chance is true so many times in a thousand.
func (c *choices) chance(perMille int) bool {
	if c.quiet || perMille <= 0 {
		return false
	}
	var v uint32
	if c.draw != nil {
		if c.draw.IntN(1000) < perMille {
			v = 1
		}
	} else {
		v = min(c.next(), 1)
	}
	c.note(v)
	return v == 1
}

// next returns the choice log's choice at this place.
func (c *choices) next() uint32 {
	day := len(c.taken) - 1
	if at := len(c.taken[day][c.track]); day < len(c.replay) && at < len(c.replay[day][c.track]) {
		return c.replay[day][c.track][at]
	}
	return 0
}

func (c *choices) note(v uint32) {
	track := &c.taken[len(c.taken)-1][c.track]
	*track = append(*track, v)
}

// choiceLog returns the choices that were made, without zeros at the ends.
func (c *choices) choiceLog() ChoiceLog {
	t := c.taken.clone()
	for i := range t {
		for j, track := range t[i] {
			end := len(track)
			for end > 0 && track[end-1] == 0 {
				end--
			}
			t[i][j] = track[:end]
		}
	}
	return t
}

func (t ChoiceLog) clone() ChoiceLog {
	c := slices.Clone(t)
	for i := range c {
		for j := range c[i] {
			c[i][j] = slices.Clone(c[i][j])
		}
	}
	return c
}

// oneOf picks one of the options; the first is the quiet one.
func oneOf[T any](c *choices, options ...T) T { return options[c.pick(len(options))] }
