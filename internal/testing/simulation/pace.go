package simulation

import (
	"fmt"
	"time"

	"lifeboat/internal/backup"
)

// departure is a point that cleanup let go, at a time.
type departure struct {
	at    time.Time
	point string
}

// pace: cleanup lets no more points of a target go in a day than a tenth of them, two, or as many as were made in a day. A point
// goes once: where an undo or storage keeps it, and it goes again, that is another time.
func pace(w *World, moment any) string {
	m, ok := moment.(kept)
	if !ok || m.was == nil || !goes(m) {
		return ""
	}
	partition := m.is.ID[:16]
	l := &w.ledger
	l.went[partition] = append(l.went[partition], departure{w.now, m.is.ID})
	n, day := 0, 23*time.Hour-clockTolerance
	for _, g := range l.went[partition] {
		if w.now.Sub(g.at) < day {
			n++
		}
	}
	all, made := 0, 0
	for _, id := range l.byTarget[m.is.Target] {
		p := l.points[id]
		if p.State != backup.Expired || w.now.Sub(p.Deleted) < 24*time.Hour { // the tenth is of those before this cleanup
			all++
		}
		if w.now.Sub(p.Created) < 24*time.Hour+clockTolerance {
			made++
		}
	}
	if most := max(2, all/10, made); n > most {
		return fmt.Sprintf("of %d points of %s, of which %d were made in a day, %d go in a day", all, w.ledger.runName(m.is.ID), made, n)
	}
	return ""
}

// goes tells whether the change is the first step of the point's way out, by cleanup.
func goes(m kept) bool {
	switch {
	case m.was.SoftDeletion.ID != "" || m.is.SoftDeletion.ID != "":
		return false
	case m.was.SoftDeletion.Since.IsZero() && !m.is.SoftDeletion.Since.IsZero():
		return m.was.Reason.Code == ""
	}
	return m.was.State != backup.Deleting && m.is.State == backup.Deleting && m.was.SoftDeletion.Since.IsZero() && m.was.Reason.Code == ""
}

// waits tells whether the point may still be there for the sake of the pace: as long as others of its target went lately.
func (w *World) waits(p *backup.Point) bool {
	n := 0
	for _, g := range w.ledger.went[p.ID[:16]] {
		if w.now.Sub(g.at) < 24*time.Hour+7*time.Hour {
			n++
		}
	}
	return n >= 2
}
