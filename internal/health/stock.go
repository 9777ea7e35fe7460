package health

import (
	"maps"
	"slices"
	"sort"
	"time"

	"lifeboat/internal/backup"
)

// Stock says how many recovery points there are, by plan and state, and how large. It is a row of the catalog: cleanup counts them once in
// CountEvery. Expired ones do not count.
type Stock struct {
	// At is the time at which they were counted.
	At time.Time `json:"At"`
	// Points is in the order of the plans and the states. If there are very many, the last ones are in sum, without the name of a plan.
	Points []Stocked `json:"Points,omitempty"`

	backup.Carried
	// ETag is the one that the row was read with, and Unread says why it cannot be read, nil if it can.
	ETag   string `json:"-"`
	Unread error  `json:"-"`
}

// Stocked are the recovery points of one plan in one state, as [backup.Point.Called] names it.
type Stocked struct {
	Plan   string            `json:"plan"`
	State  backup.PointState `json:"state"`
	Points int               `json:"points"`
	Bytes  int64             `json:"bytes"`
}

// CountEvery is the time after which the recovery points are counted again: that costs a request for each 1,000.
const CountEvery = time.Hour

// mostStocked is the greatest number of entries of Points, which are a column of 32 Ki characters: a name has up to 63.
const mostStocked = 200

// DecodeStock reads the row.
func DecodeStock(row backup.Row) Stock {
	s, err := backup.Decode[Stock](row)
	s.ETag, s.Unread = row.ETag, err
	return s
}

// Due says that it is time to count again. A time later than latest comes from a clock that was wrong.
func (s Stock) Due(now, latest time.Time) bool {
	return s.Unread == nil && (now.Sub(s.At) >= CountEvery || s.At.After(latest))
}

// Count adds up recovery points.
type Count map[Stocked]Stocked

// Add counts a point of the plan, in the state.
func (c Count) Add(plan string, state backup.PointState, size int64) {
	c.add(Stocked{plan, state, 1, size})
}

func (c Count) add(more Stocked) {
	key := Stocked{Plan: more.Plan, State: more.State}
	sum := c[key]
	c[key] = Stocked{more.Plan, more.State, sum.Points + more.Points, sum.Bytes + more.Bytes}
}

// Stocked returns the sums in their order.
func (c Count) Stocked() []Stocked {
	all := slices.Collect(maps.Values(c))
	sort.Slice(all, func(i, j int) bool {
		return all[i].Plan+" "+string(all[i].State) < all[j].Plan+" "+string(all[j].State)
	})
	if len(all) <= mostStocked {
		return all
	}
	rest := Count{}
	for _, more := range all[mostStocked:] {
		more.Plan = ""
		rest.add(more)
	}
	return append(all[:mostStocked:mostStocked], rest.Stocked()...)
}
