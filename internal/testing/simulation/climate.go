package simulation

// climate says which accidents a world knows, each as so many in a thousand opportunities. Every world knows others: what
// goes wrong together with everything else is less telling than what goes wrong alone.
type climate struct {
	// Of an invocation: it takes turns with others instead of running through.
	interleaved int
	// Of an outside call: the invocation dies before it or after it; it is slow, where the invocation takes turns.
	dies, slow int
	// Of a request to storage: a read fails; a write fails and was not made; was made and its answer is lost; is made
	// later than its caller thinks; is sent again by the SDK after a lost answer.
	readFails, writeFails, writeLost, writeLate, writeAgain int
	// Of a message sent: it was not; it was, and the caller does not know; twice; later.
	sendFails, sendLost, sendTwice, sendLate int
	// Of a delivery: late; again, although it was worked off; lost for ever.
	deliverLate, deliverTwice, deliverNever int
	// Of a tick: missing, late, one more, two at once.
	tickMissing, tickLate, tickExtra, tickTwice int
	// Of a request to a service; see service.go.
	serviceFails, startLost, operationFails, artifactBad, artifactSmall int
	// Of a day, counted each time something may befall it: see events.go. Of a day: that somebody asks for a restore.
	befalls, restores int
	// Of a request that starts a restore: its answer is lost, and perhaps the request.
	restoreLost int
}

// newClimate draws one. With most knobs at zero in most worlds, the rest of a world is quiet enough to be understood.
func newClimate(c *choices) climate {
	level := func(options ...int) int { return oneOf(c, options...) }
	return climate{
		interleaved: level(0, 0, 30, 200, 500),
		dies:        level(0, 0, 2, 10, 30), slow: level(0, 20, 150),
		readFails: level(0, 0, 2, 15), writeFails: level(0, 0, 2, 15), writeLost: level(0, 0, 2, 15),
		writeLate: level(0, 0, 2, 10), writeAgain: level(0, 0, 5, 40),
		sendFails: level(0, 0, 2, 15), sendLost: level(0, 0, 2, 15), sendTwice: level(0, 0, 5, 60),
		sendLate: level(0, 0, 2, 10), deliverLate: level(0, 0, 10, 80), deliverTwice: level(0, 0, 10, 80),
		deliverNever: level(0, 0, 0, 5), tickMissing: level(0, 0, 50, 300), tickLate: level(0, 0, 100, 500),
		tickExtra: level(0, 0, 50), tickTwice: level(0, 0, 50, 300), serviceFails: level(0, 0, 5, 40),
		startLost: level(0, 0, 20, 150), operationFails: level(0, 0, 20, 200), artifactBad: level(0, 0, 0, 30), artifactSmall: level(0, 0, 20, 150),
		befalls: level(0, 60, 200, 500), restores: level(60, 20, 300, 150), restoreLost: level(0, 50, 250),
	}
}

// weather is how much of the climate a day gets: none, all, or a multiple.
func (c climate) weather(day *choices) int { return oneOf(day, 0, 0, 1, 1, 1, 5) }

// mostCopies of messages are made in a day. A wake-up that comes too early is put back again and again, so without a
// bound its copies would have copies.
const mostCopies = 30

// copies draws an accident that makes another copy of a message.
func (w *World) copies(perMille int) bool {
	if w.copied >= mostCopies || !w.happens(perMille) {
		return false
	}
	w.copied++
	w.figures.Duplicates++
	return true
}

// happens draws an accident of this day.
func (w *World) happens(perMille int) bool {
	if w.weather == 0 || perMille == 0 {
		return false
	}
	if !w.choices.chance(min(perMille*w.weather, 600)) {
		return false
	}
	w.disturb()
	return true
}
