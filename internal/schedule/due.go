package schedule

import (
	"time"
)

// Gap has slots of one plan that came due without runs, and will never have any. It is a row of the catalog.
type Gap struct {
	Plan  string    `json:"Plan"`
	First time.Time `json:"First"`
	Last  time.Time `json:"Last"`
	Count int       `json:"Count"`
	// Why is for people: who paused the plan, or that the schedule was not read.
	Why string `json:"Why"`
	// Found is the time at which the gap was noted, by the catalog's clock.
	Found time.Time `json:"Found"`
}

// add counts a slot, later than those before.
func (g *Gap) add(slot time.Time) {
	if g.Count++; g.Count == 1 {
		g.First = slot
	}
	g.Last = slot
}

// Due divides the slots after the watermark up to now: the newest is to become runs if its window is still open (or the zero
// time), and the others were missed. A window of zero lasts until the next slot.
func (s Schedule) Due(watermark, now time.Time, window time.Duration) (newest time.Time, missed Gap) {
	for slot := range s.After(watermark) {
		if slot.After(now) {
			break
		}
		if !newest.IsZero() {
			missed.add(newest)
		}
		newest = slot
	}
	if !newest.IsZero() && window > 0 && !now.Before(newest.Add(window)) {
		missed.add(newest)
		newest = time.Time{}
	}
	return newest, missed
}

// Missed returns all the slots after the watermark up to now.
func (s Schedule) Missed(watermark, now time.Time) (missed Gap) {
	for slot := range s.After(watermark) {
		if slot.After(now) {
			break
		}
		missed.add(slot)
	}
	return missed
}
