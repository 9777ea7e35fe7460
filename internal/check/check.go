// Package check lists the things to look at before the app's own identity can do what the plans want, and keeps the findings. It asks
// Azure nothing itself.
package check

import (
	"strings"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/roles"
)

// Result is the outcome of a look. A look without a finding is ok.
type Result string

const (
	// Refused: it will not work as it is.
	Refused Result = "refused"
	// Unseen: the app could not look, or cannot without the role that is missing.
	Unseen Result = "couldNotLook"
	// Warning: it works, and a person should know.
	Warning Result = "warning"
)

// Finding is something that is not as it should be.
type Finding struct {
	Result Result `json:"result"`
	// What is looked at, in words: "the role Reader on account copies, for the app". Target is the service that it matters to; "" if it
	// is the app itself.
	What   string        `json:"what"`
	Target string        `json:"target,omitempty"`
	Reason backup.Reason `json:"reason"`
	// Commands give a role that is missing, a line each. The object ID of the app's identity stands in them as $app.
	Commands []string `json:"commands,omitempty"`
}

// Report is a check: one row of the table, saved again and again until all is looked at.
type Report struct {
	// Plans is the hash of the text of plan.yaml, and Plan the one plan of it that is checked; "" for all.
	Plans string `json:"plans"`
	Plan  string `json:"plan,omitempty"`
	// Request is the ID of the request for it; "" if a new text of plan.yaml began it.
	Request string `json:"request,omitempty"`
	// Principal is the object ID of the app's identity; "" if it is not known.
	Principal string `json:"principal,omitempty"`
	// Checked is the hash of the newest text of plan.yaml whose own check has ended: requests keep it.
	Checked string    `json:"checked,omitempty"`
	Began   time.Time `json:"began"`
	// Ended is the time at which all had been looked at; zero before.
	Ended time.Time `json:"ended,omitzero"`
	// Looked counts what was looked at, of Total: the app itself, and each service.
	Looked int `json:"looked"`
	Total  int `json:"total"`
	// Ok counts the things without a finding.
	Ok       int       `json:"ok"`
	Findings []Finding `json:"findings,omitempty"`
	// Omitted counts findings that the row has no room for, and services beyond Most.
	Omitted int `json:"omitted,omitempty"`

	backup.Carried
	// ETag is the one that the row was read with, and Unread says why it cannot be read, nil if it can.
	ETag   string `json:"-"`
	Unread error  `json:"-"`
	// size is the length of Findings in the row.
	size int
}

// Decode reads the row.
func Decode(row backup.Row) Report {
	r, err := backup.Decode[Report](row)
	r.ETag, r.Unread = row.ETag, err
	for _, f := range r.Findings {
		r.size += f.size()
	}
	return r
}

// Begin returns a new report in the place of this one.
func (r Report) Begin(plans, plan, request string, now time.Time) Report {
	return Report{Plans: plans, Plan: plan, Request: request, Began: now, Checked: r.Checked, Carried: r.Carried, ETag: r.ETag}
}

// size is the length of the finding in the row, in bytes.
func (f Finding) size() int { return len(backup.Encode(f)) + 1 }

// Most is the number of services that one check looks at: each costs some eight requests.
const Most = 2000

// mostBytes is the room for findings in the row: a column has room for 32 Ki characters.
const mostBytes = 30 << 10

// Item is one thing to look at: the app itself, or a service with the roles that it needs.
type Item struct {
	// Target is the service; "" for the app itself.
	Target string
	// Plan backs the service up; its zero value if it is a destination of restores alone.
	Plan backup.Plan
	// Roles are its roles that no service before it needs too.
	Roles []roles.Assignment
}

// Items returns what is looked at, always in the same order for the same plans.
func Items(plans []backup.Plan, services backup.Services) []Item {
	items, at := []Item{{}}, map[string]int{}
	add := func(target string, p backup.Plan) {
		key := strings.ToLower(target)
		i, known := at[key]
		if !known {
			i, at[key] = len(items), len(items)
			items = append(items, Item{Target: target})
		}
		if items[i].Plan.Name == "" {
			items[i].Plan = p
		}
	}
	for _, p := range plans {
		for _, target := range p.Targets {
			add(target, p)
		}
	}
	for _, p := range plans {
		for _, into := range p.Restore.Into {
			if into != backup.Itself {
				add(into, backup.Plan{})
			}
		}
	}
	for _, a := range roles.Of(plans, services) {
		i := 0 // a role that finds services is the app's own
		if len(a.Targets) > 0 {
			i = at[strings.ToLower(a.Targets[0])]
		}
		items[i].Roles = append(items[i].Roles, a)
	}
	return items
}

// Take notes the findings of the next item. Hidden: a part of it could not be seen, for a reason that is a finding elsewhere.
func (r *Report) Take(findings []Finding, hidden bool) {
	r.Looked++
	if len(findings) == 0 && !hidden {
		r.Ok++
	}
	for _, f := range findings {
		size := f.size()
		if r.size+size > mostBytes {
			r.Omitted++
			continue
		}
		r.size += size
		r.Findings = append(r.Findings, f)
	}
}

// Same says whether the report is about these plans.
func (r Report) Same(hash, plan string) bool { return r.Plans == hash && r.Plan == plan }
