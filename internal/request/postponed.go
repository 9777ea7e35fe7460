package request

import (
	"bytes"
	"encoding/json"
	"time"

	"lifeboat/internal/backup"
)

// Postponed is a request as it was sent, the time of that, and the number of times that the host has given it up: Lifeboat tries
// it again later, since the host gives a message up after five failures, within a few minutes, and storage may be away for longer.
// A request that was taken out of a batch comes in this form too, since it is as old as the batch.
type Postponed struct {
	Sent    time.Time `json:"sent"`
	Rounds  int       `json:"rounds"`
	Message []byte    `json:"message"`
}

type postponed struct {
	Request *Postponed `json:"lifeboatPostponed"`
}

// roundDelays has the delay of a request for each time that the host gives it up: an hour in all, so that a request that ends the
// program each time does so at most twenty times.
var roundDelays = []time.Duration{10 * time.Minute, 20 * time.Minute, 30 * time.Minute}

// Original returns a message of a queue of requests as it was sent first; inserted is the time of this one.
func Original(message []byte, inserted time.Time) Postponed {
	var p postponed
	d := json.NewDecoder(bytes.NewReader(message))
	d.DisallowUnknownFields()
	if d.Decode(&p) != nil || p.Request == nil || p.Request.Rounds < 0 {
		return Postponed{Message: message, Sent: inserted}
	}
	if r := p.Request; !inserted.IsZero() && (r.Sent.IsZero() || r.Sent.After(inserted)) {
		r.Sent = inserted // no request is younger than its message
	}
	return *p.Request
}

// Encode makes its message.
func (p Postponed) Encode() []byte { return backup.Encode(postponed{&p}) }

// Again returns the message that tries the request once more, and its delay. It returns nil if that was done often enough, or
// the request is good only until a time that has passed (zero is no such time), or has no room for the rest of the message.
func (p Postponed) Again(now, until time.Time) ([]byte, time.Duration) {
	if p.Sent.IsZero() {
		p.Sent = now
	}
	if p.Rounds >= len(roundDelays) || !until.IsZero() && !now.Before(until) {
		return nil, 0
	}
	delay := roundDelays[p.Rounds]
	p.Rounds++
	if text := p.Encode(); len(text) <= Longest {
		return text, delay
	}
	return nil, 0
}
