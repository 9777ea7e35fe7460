package backup

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"strings"
	"time"
)

// Gap are slots of one plan that came due, and of which nobody made runs nor ever will. It is a row of the catalog.
type Gap struct {
	Plan  string    `json:"Plan"`
	First time.Time `json:"First"`
	Last  time.Time `json:"Last"`
	Count int       `json:"Count"`
	// Why is for people: who paused the plan, or that nobody looked.
	Why string `json:"Why"`
	// Found is when the gap was noted, by the catalog's clock.
	Found time.Time `json:"Found"`
}

// add counts a slot, later than those before.
func (g *Gap) add(slot time.Time) {
	if g.Count++; g.Count == 1 {
		g.First = slot
	}
	g.Last = slot
}

// Due says what the slots after the watermark come to, now: the newest of them is to become runs if its window is still
// open (or the zero time), and the others were missed. A window of zero lasts until the next slot.
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

// Missed are all the slots after the watermark up to now.
func (s Schedule) Missed(watermark, now time.Time) (missed Gap) {
	for slot := range s.After(watermark) {
		if slot.After(now) {
			break
		}
		missed.add(slot)
	}
	return missed
}

// slotRuns are the runs of the slot, one for each target, as they are made now.
func slotRuns(p Plan, slot, now time.Time) []Run {
	next := p.Schedule.Next(slot)
	var until time.Time
	if end := slot.Add(p.Window); p.Window > 0 && (next.IsZero() || end.Before(next)) {
		until = end
	}
	last := until
	if last.IsZero() {
		last = next
	}
	runs := make([]Run, 0, len(p.Targets))
	for _, target := range p.Targets {
		run := Run{
			ID: slotRunID(p, target, slot), Target: target, Plan: p.Name, Slot: slot, NextSlot: next, Until: until,
			Settings: p.Settings,
		}
		if start := start(p, target, slot, now, last); start.After(now) {
			run.Start = start
			run.Reason = reason("Jitter", "begins at "+start.Format(time.RFC3339)+
				", by the target's share of the plan's jitter of "+p.Jitter.String(), "")
		}
		runs = append(runs, run)
	}
	return runs
}

// slotRunID is the same for ever for a slot of a plan and a target: to insert the run's row is to claim it.
func slotRunID(p Plan, target string, slot time.Time) string {
	return newRunID(target, slot, "plan "+p.Name)
}

// start is when the run of the target is to begin: its share of the jitter after the slot. Where that has passed, since
// the slot is caught up on, it is its share from now on, so that runs caught up on are spread as well.
func start(p Plan, target string, slot, now, end time.Time) time.Time {
	if at := slot.Add(share(p, target, slot, end)); at.After(now) {
		return at
	}
	return now.Add(share(p, target, now, end))
}

// longestDelay is the longest that a queue message can be delayed (Queue.Wake).
const longestDelay = 7 * 24 * time.Hour

// LongestJitter is what a longer jitter counts as: the first wake-up of a run is a queue message.
const LongestJitter = longestDelay

// share is the target's part of the jitter, always the same one, in whole seconds. The jitter never reaches the end.
func share(p Plan, target string, from, end time.Time) time.Duration {
	span := min(p.Jitter, LongestJitter)
	if !end.IsZero() {
		span = min(span, end.Sub(from))
	}
	if span <= 0 {
		return 0
	}
	return time.Duration(fraction(p.Name+"\n"+strings.ToLower(target), uint64(span))).Truncate(time.Second)
}

// fraction of the whole, below it: always the same for a text, and spread evenly over texts.
func fraction(text string, whole uint64) uint64 {
	sum := sha256.Sum256([]byte(text))
	part, _ := bits.Mul64(binary.BigEndian.Uint64(sum[:]), whole) // the hash is below 2^64
	return part
}
