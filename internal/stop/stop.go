// Package stop has the one switch for an incident. While it is set nothing is deleted and no restore begins; if it says so, plans
// make no runs either.
package stop

import (
	"errors"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/backup"
)

// mostSeen is the greatest number of entries of Seen.
const mostSeen = 50

// Switch is the row of the switch. It stays after its end: so a late repeat of an older request changes nothing.
type Switch struct {
	// Reason and By say why it was set, and by which call; Since is the time at which it was set.
	Reason string `json:"Reason"`
	// Older versions take the row for a checkpoint without a plan: so no member of it is called By or Plan.
	By    string    `json:"Caller"`
	Since time.Time `json:"Since"`
	// Backups: plans make no runs either.
	Backups bool `json:"Backups,omitempty"`
	// Request is the ID of the request that set it, or changed it last.
	Request string `json:"Request"`
	// Resumed is the time at which it ended, zero while it is set; ResumedBy and ResumeRequest are as By and Request.
	Resumed       time.Time `json:"Resumed,omitzero"`
	ResumedBy     string    `json:"ResumedBy,omitempty"`
	ResumeRequest string    `json:"ResumeRequest,omitempty"`
	// Seen has the IDs of the newest requests of both kinds, newest first: a repeat of one of them changes nothing.
	Seen []string `json:"Seen,omitempty"`

	backup.Carried
	// ETag is the one that the row was read with, "" if there is no row.
	ETag string `json:"-"`
}

// On says whether the switch is set.
func (s Switch) On() bool { return !s.Since.IsZero() && s.Resumed.IsZero() }

// State says whether the app is stopped: by the switch, or by its app setting.
type State struct {
	// Setting is the reason by LIFEBOAT_STOPPED, "" if that is not set.
	Setting string
	Switch  Switch
	// Unread says why the row cannot be read; nil if it can. Then the app counts as stopped, since a newer version may have set it.
	Unread error
}

// Read returns the state with the row of the switch.
func Read(setting string, row backup.Row) State {
	s, err := backup.Decode[Switch](row)
	s.ETag = row.ETag
	return State{Setting: setting, Switch: s, Unread: err}
}

// Why says why nothing is deleted and no restore begins, "" if they go on.
func (s State) Why() string {
	switch {
	case s.Setting != "" && s.Switch.On():
		return s.Setting + "; and " + s.Switch.why()
	case s.Setting != "":
		return s.Setting
	case s.Unread != nil:
		return "it is not known whether the app is stopped: " + s.Unread.Error()
	case s.Switch.On():
		return s.Switch.why()
	}
	return ""
}

func (s Switch) why() string {
	return "stopped since " + s.Since.UTC().Format(time.RFC3339) + ": " + s.Reason
}

// HintUnread says what to do if the row cannot be read.
const HintUnread = "Deploy the version of Lifeboat that wrote the row. Or delete it from the app's table: then nothing is stopped by it."

// Backups says why plans make no runs, "" if they do.
func (s State) Backups() string {
	if s.Setting != "" || s.Unread != nil || !s.Switch.On() || !s.Switch.Backups {
		return s.Setting
	}
	return s.Why()
}

// Code is the code of the reason of everything that waits for the end of a stop.
const Code = "Stopped"

// Err returns a [*backup.Fault] if the app is stopped, else nil.
func (s State) Err() error {
	why := s.Why()
	if why == "" {
		return nil
	}
	hint := "It goes on after: lifeboat resume."
	switch {
	case s.Setting != "" && s.Switch.On():
		hint = "It goes on once the app setting LIFEBOAT_STOPPED is removed, and after: lifeboat resume."
	case s.Setting != "":
		hint = "It goes on once the app setting LIFEBOAT_STOPPED is removed."
	case s.Unread != nil:
		hint = HintUnread
	}
	return &backup.Fault{Kind: backup.Retryable, Code: Code, Message: why, Hint: hint}
}

// Reason returns why the work that ended with the error was stopped, "" if it was not.
func Reason(err error) string {
	if f, ok := errors.AsType[*backup.Fault](err); ok && f.Code == Code {
		return f.Message
	}
	return ""
}

// Request asks for the switch to be set.
type Request struct {
	// ID is the same in a repeat of the request.
	ID, By, Reason string
	Backups        bool
}

// Check refuses a request without words for the people who find the app stopped.
func (q Request) Check() error {
	if strings.TrimSpace(q.Reason) == "" {
		return errors.New("a stop needs a reason")
	}
	return nil
}

// Set returns the switch after the request at the time now; false if the request changes nothing. A further request changes the
// reason, and whether plans make runs, and keeps the time.
func (s Switch) Set(q Request, now time.Time) (Switch, bool) {
	reason := strings.TrimSpace(q.Reason)
	if slices.Contains(s.Seen, q.ID) || s.On() && s.Reason == reason && s.Backups == q.Backups {
		return s, false
	}
	if !s.On() {
		s.Since = now
	}
	s.Reason, s.By, s.Backups, s.Request, s.Seen = reason, q.By, q.Backups, q.ID, s.seen(q.ID)
	s.Resumed, s.ResumedBy = time.Time{}, ""
	return s, true
}

// Resume returns the switch after the request to end it; false if that changes nothing.
func (s Switch) Resume(id, by string, now time.Time) (Switch, bool) {
	if !s.On() || slices.Contains(s.Seen, id) {
		return s, false
	}
	s.Resumed, s.ResumedBy, s.ResumeRequest, s.Seen = now, by, id, s.seen(id)
	return s, true
}

func (s Switch) seen(id string) []string {
	all := append([]string{id}, s.Seen...)
	return all[:min(len(all), mostSeen)]
}
