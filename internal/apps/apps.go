// Package apps says which app owns the catalog. Several apps may have the same storage account: a slot, a second app, a
// developer's machine. One of them alone works; the others do nothing until a person has one of them take over.
package apps

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/event"
	"lifeboat/internal/health"
	"lifeboat/internal/stop"
)

// App is the app that this process is an instance of. All instances of an app have its name, so they are no second app.
type App struct {
	Catalog backup.Catalog
	// Name is the name of the app, in lower case.
	Name string
	// Announce publishes events that no row stands for; nil if the caller only asks, and another call notes that the app is there.
	Announce func(ctx context.Context, events ...backup.Event) error
	// Setting is the reason by LIFEBOAT_STOPPED, "" if that is not set.
	Setting string
}

// NotOwner is the error of an app that must not work, because another one owns the catalog.
type NotOwner struct {
	App, Owner string
	Since      time.Time
}

func (e *NotOwner) Error() string {
	return health.Apps{App: e.App, Owner: e.Owner, Since: e.Since}.Reason().Message
}

// record is the row of the owner. Older versions take it, and the notes beside it, for checkpoints of a plan without a name, and
// that changes nothing.
type record struct {
	App string `json:"App"`
	// Since is the time since when the app owns the catalog. From is the app that owned it before, and Caller had it
	// replaced; "" if the app was the first.
	Since  time.Time `json:"Since"`
	From   string    `json:"From,omitempty"`
	Caller string    `json:"Caller,omitempty"`
	// Inherits says that some runs in flight may still have the name of the former owner.
	Inherits bool `json:"Inherits,omitempty"`

	backup.Carried
	etag string
}

// note is the row of an app that found another owner.
type note struct {
	App string `json:"App"`
	// First and Last are the times at which the app was seen, at most [health.NoteEvery] before the last time.
	First time.Time `json:"First"`
	Last  time.Time `json:"Last"`
	// Unsent says that the event about it may not have been sent yet.
	Unsent bool `json:"Unsent,omitempty"`

	backup.Carried
	etag string
}

// State has the rows of the owner and of the other apps.
type State struct {
	owner record
	notes map[string]note
	// unread says why the row of the owner cannot be read, nil if it can.
	unread error
	// stop is the row of the switch; it has no key if there is none.
	stop backup.Row
}

// Add adds a row, and tells whether it belongs here.
func (s *State) Add(row backup.Row) bool {
	switch {
	case row.Key == backup.OwnerKey:
		o, err := backup.Decode[record](row)
		o.etag = row.ETag
		s.owner, s.unread = o, err
	case row.Key == backup.StopKey:
		s.stop = row
	case strings.HasPrefix(row.Row, backup.OtherAppPrefix):
		n, err := backup.Decode[note](row)
		if err != nil {
			break // it is as good as none
		}
		if s.notes == nil {
			s.notes = map[string]note{}
		}
		n.etag = row.ETag
		s.notes[n.App] = n
	default:
		return false
	}
	return true
}

// Apps says which apps are there, for health: the owner, and the others that were seen in the last hour.
func (s State) Apps(app string, now time.Time) health.Apps {
	a := health.Apps{App: app, Owner: s.owner.App, Since: s.owner.Since}
	for _, n := range s.notes {
		if n.App != a.Owner && n.App != app && s.present(n, now) {
			a.Others = append(a.Others, health.OtherApp{App: n.App, LastSeen: n.Last})
		}
	}
	return a.Sorted()
}

// present tells whether the app was seen in the last hour, and under the present owner.
func (s State) present(n note, now time.Time) bool {
	return !n.Last.Before(s.owner.Since) && now.Sub(n.Last) <= health.OtherAppTime
}

// Look reads the rows. It costs one request.
func (a App) Look(ctx context.Context) (State, time.Time, error) {
	s, _, now, err := a.list(ctx, backup.Behind(backup.AppsPrefix))
	return s, now, err
}

// list reads the rows, and those behind them up to a key.
func (a App) list(ctx context.Context, to string) (s State, others []backup.Row, now time.Time, err error) {
	rows, now, err := a.Catalog.List(ctx, backup.SchedulePartition, backup.AppsPrefix, to, 1000)
	if err != nil {
		return s, nil, now, fmt.Errorf("read which app owns the catalog: %w", err)
	}
	for _, row := range rows {
		if !s.Add(row) {
			others = append(others, row)
		}
	}
	return s, others, now, nil
}

// Check returns nil if this app owns the catalog, and a [*NotOwner] if another one does. It costs one request.
func (a App) Check(ctx context.Context) error {
	_, _, err := a.Enter(ctx, backup.Behind(backup.AppsPrefix))
	return err
}

// Enter is Check, and returns whether the app is stopped, and the rows behind, up to the key to, for the same request.
func (a App) Enter(ctx context.Context, to string) ([]backup.Row, stop.State, error) {
	s, others, now, err := a.list(ctx, to)
	if err != nil {
		return nil, stop.State{}, err
	}
	return others, s.Stopped(a.Setting), a.Settle(ctx, s, now)
}

// Settle is Check with the rows as they were read. If no app owns the catalog, this one does from now on. If another one does,
// this one notes that it is there.
func (a App) Settle(ctx context.Context, s State, now time.Time) error {
	if s.owner.etag == "" && s.unread == nil {
		is := record{App: a.Name, Since: now}
		_, err := a.Catalog.Apply(ctx, backup.Write{Op: backup.Insert, Key: backup.OwnerKey, Body: backup.Encode(is)})
		if err == nil {
			return nil
		}
		if !errors.Is(err, backup.ErrExists) {
			return fmt.Errorf("save that this app owns the catalog: %w", err)
		}
		if s, now, err = a.Look(ctx); err != nil {
			return err
		}
	}
	switch {
	case s.unread != nil:
		return fmt.Errorf("it is not known which app owns the catalog: %w", s.unread)
	case s.owner.App == a.Name:
		return a.forget(ctx, s, now)
	}
	no := &NotOwner{App: a.Name, Owner: s.owner.App, Since: s.owner.Since}
	if err := a.note(ctx, s, now); err != nil {
		return errors.Join(no, err)
	}
	return no
}

// forgetTime is the time after which the owner deletes the row of an app that was not seen any more: machines come under ever new
// names.
const forgetTime = 24 * time.Hour

// forget deletes the rows of other apps that were not seen for [forgetTime].
func (a App) forget(ctx context.Context, s State, now time.Time) error {
	for _, name := range slices.Sorted(maps.Keys(s.notes)) {
		n := s.notes[name]
		if a.Announce == nil || now.Sub(n.Last) <= forgetTime {
			continue
		}
		_, err := a.Catalog.Apply(ctx, backup.Write{Op: backup.Delete, Key: backup.OtherAppKey(name), ETag: n.etag})
		if _, raced := errors.AsType[*backup.WriteError](err); err != nil && !raced { // it is back, or another call was faster
			return fmt.Errorf("forget the app %s: %w", name, err)
		}
	}
	return nil
}

// note notes that this app is there, once in [health.NoteEvery], and publishes it if the app was not there before. The row comes first:
// it fixes the event's ID, so that a repeat after a crash is the same event.
func (a App) note(ctx context.Context, s State, now time.Time) error {
	is := s.notes[a.Name]
	there := s.present(is, now)
	if a.Announce == nil || there && !is.Unsent && now.Sub(is.Last) < health.NoteEvery {
		return nil
	}
	is.App, is.Last = a.Name, now
	if !there {
		is.First, is.Unsent = now, true
		if saved, err := a.save(ctx, &is); err != nil || !saved {
			return err // another instance was faster, and publishes it
		}
	}
	if is.Unsent {
		refused := event.AppRefused(event.AppTurn{App: a.Name, Owner: s.owner.App, Since: s.owner.Since, Seen: is.First})
		if err := a.Announce(ctx, refused); err != nil {
			return err
		}
		is.Unsent = false
	}
	_, err := a.save(ctx, &is)
	return err
}

// save saves the note, unless another instance was faster.
func (a App) save(ctx context.Context, n *note) (saved bool, err error) {
	etags, err := a.Catalog.Apply(ctx, backup.InsertOrReplace(backup.OtherAppKey(a.Name), n.etag, backup.Encode(*n)))
	if _, raced := errors.AsType[*backup.WriteError](err); raced {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("note that the app %s is there: %w", a.Name, err)
	}
	n.etag = etags[0]
	return true, nil
}
