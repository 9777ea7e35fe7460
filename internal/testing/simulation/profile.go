package simulation

// faultProfile says which accidents a world knows, each as so many in a thousand opportunities. Each world knows other accidents,
// because an accident shows more alone than together with all others.
type faultProfile struct {
	// interleaved is the chance that an invocation takes turns with others instead of running through.
	interleaved int
	// dies is the chance that an invocation dies before or after an outside call. slow is the chance that the call is slow, if
	// the invocation takes turns.
	dies, slow int
	// These are the accidents of a request to storage: a read fails; a write fails and was not made; a write was made and its
	// answer is lost; a write is made later than its caller thinks; the SDK sends a write again after a lost answer.
	readFails, writeFails, writeLost, writeLate, writeAgain int
	// These are the accidents of a message: it was not sent; it was sent, and the caller does not know; it was sent twice; it is
	// sent later.
	sendFails, sendLost, sendTwice, sendLate int
	// These are the accidents of a delivery: it is late; it comes again, although the message was handled; it is lost for ever.
	deliverLate, deliverTwice, deliverNever int
	// These are the accidents of a timer run: it is missing; it is late; one more comes; two come at once.
	timerMissing, timerLate, timerExtra, timerTwice int
	// These are the accidents of a request to a service; see service.go.
	serviceFails, startLost, operationFails, artifactBad, artifactSmall int
	// befalls is the chance of an event of the day, drawn several times a day: see events.go. restores is the chance that a
	// person asks for a restore on the day.
	befalls, restores int
	// restoreLost is the chance that the answer to the start of a restore is lost, and perhaps the request.
	restoreLost int
}

// newFaultProfile draws a fault profile. Most options are zero in most worlds, so the rest of a world is quiet enough to be
// understood.
func newFaultProfile(c *choices) faultProfile {
	level := func(options ...int) int { return oneOf(c, options...) }
	return faultProfile{
		interleaved: level(0, 0, 30, 200, 500),
		dies:        level(0, 0, 2, 10, 30), slow: level(0, 20, 150),
		readFails: level(0, 0, 2, 15), writeFails: level(0, 0, 2, 15), writeLost: level(0, 0, 2, 15),
		writeLate: level(0, 0, 2, 10), writeAgain: level(0, 0, 5, 40),
		sendFails: level(0, 0, 2, 15), sendLost: level(0, 0, 2, 15), sendTwice: level(0, 0, 5, 60),
		sendLate: level(0, 0, 2, 10), deliverLate: level(0, 0, 10, 80), deliverTwice: level(0, 0, 10, 80),
		deliverNever: level(0, 0, 0, 5), timerMissing: level(0, 0, 50, 300), timerLate: level(0, 0, 100, 500),
		timerExtra: level(0, 0, 50), timerTwice: level(0, 0, 50, 300), serviceFails: level(0, 0, 5, 40),
		startLost: level(0, 0, 20, 150), operationFails: level(0, 0, 20, 200), artifactBad: level(0, 0, 0, 30), artifactSmall: level(0, 0, 20, 150),
		befalls: level(0, 60, 200, 500), restores: level(60, 20, 300, 150), restoreLost: level(0, 50, 250),
	}
}

// weather draws the strength of the fault profile on a day: none, all, or a multiple.
func (c faultProfile) weather(day *choices) int { return oneOf(day, 0, 0, 1, 1, 1, 5) }

// mostCopies is the largest number of copies of messages that are made in a day. A step message that comes too early is put back
// again and again, so without a limit its copies would have copies.
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
