package backup

import (
	"fmt"
	"strings"
)

// Counts are the rules of a plan's keep that keep a number of recovery points: the newest ones, and the newest of so many hours, days,
// weeks, months and years. 0 switches a rule off.
type Counts struct {
	Last    int `json:"last,omitempty"`
	Hourly  int `json:"hourly,omitempty"`
	Daily   int `json:"daily,omitempty"`
	Weekly  int `json:"weekly,omitempty"`
	Monthly int `json:"monthly,omitempty"`
	Yearly  int `json:"yearly,omitempty"`
	// Zone is the IANA name of the plan's time zone, whose clocks say when a day begins; "" without a rule.
	Zone string `json:"zone,omitempty"`
}

// Any says whether a rule is on.
func (c Counts) Any() bool {
	return c.Last > 0 || c.Hourly > 0 || c.Daily > 0 || c.Weekly > 0 || c.Monthly > 0 || c.Yearly > 0
}

// Count is one rule of Counts.
type Count struct {
	// Name is its name in plan.yaml.
	Name string
	N    int
}

// Each returns all rules, from the finest on.
func (c Counts) Each() []Count {
	return []Count{
		{"last", c.Last}, {"hourly", c.Hourly}, {"daily", c.Daily}, {"weekly", c.Weekly}, {"monthly", c.Monthly}, {"yearly", c.Yearly},
	}
}

// String writes the rules that are on as plan.yaml does, without the zone; "" without one.
func (c Counts) String() string {
	var words []string
	for _, one := range c.Each() {
		if one.N > 0 {
			words = append(words, fmt.Sprintf("%s: %d", one.Name, one.N))
		}
	}
	return strings.Join(words, ", ")
}
