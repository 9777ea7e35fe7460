package apps

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/event"
)

// Taken says which app owns the catalog since when, and which one owned it before.
type Taken struct {
	Owner, From string
	Since       time.Time
}

// ErrNotLoser: the app that is to lose the catalog does not own it.
var ErrNotLoser = errors.New("the catalog cannot be taken over from that app")

// TakeOver makes this app the owner in place of the app loser, which must own the catalog, and then takes its runs over. A repeat
// changes nothing more, and goes on where the first call died; so does each timer run of the new owner. The caller is noted.
func (a App) TakeOver(ctx context.Context, loser, caller string) (Taken, error) {
	loser = strings.ToLower(strings.TrimSpace(loser))
	for range 3 {
		s, now, err := a.Look(ctx)
		switch was := s.owner; {
		case err != nil:
			return Taken{}, err
		case s.unread != nil:
			return Taken{}, fmt.Errorf("it is not known which app owns the catalog: %w", s.unread)
		case was.etag == "":
			return Taken{}, fmt.Errorf("%w: no app owns it yet; this app, %s, will with its next timer run", ErrNotLoser, a.Name)
		case was.App == a.Name && was.From == loser:
			return was.taken(), a.Inherit(ctx)
		case was.App == a.Name:
			return Taken{}, fmt.Errorf("%w: this app, %s, owns it already", ErrNotLoser, a.Name)
		case was.App != loser:
			return Taken{}, fmt.Errorf("%w: %s does not own it, %s does", ErrNotLoser, loser, was.App)
		default:
			is := record{App: a.Name, Since: now, From: loser, Caller: caller, Carried: was.Carried}
			writes := append(event.OutboxWrites(backup.SchedulePartition, []backup.Event{event.AppReplaced(is.App, loser, caller, now)}),
				backup.Write{Op: backup.Replace, Key: backup.OwnerKey, ETag: was.etag, Body: backup.Encode(is)})
			_, err := a.Catalog.Apply(ctx, writes...)
			if _, raced := errors.AsType[*backup.WriteError](err); raced {
				continue
			}
			if err != nil {
				return Taken{}, fmt.Errorf("take the catalog over from %s: %w", loser, err)
			}
			return is.taken(), a.Inherit(ctx)
		}
	}
	return Taken{}, errors.New("other callers change the owner of the catalog again and again")
}

func (r record) taken() Taken { return Taken{Owner: r.App, From: r.From, Since: r.Since} }

// InheritTime is the time after a takeover for which timer runs go on to take runs over: longer than any invocation of the app that
// lost, and than any lease.
const InheritTime = 10 * time.Minute

// Inherits tells whether the owner is to take over runs that may still be the former owner's.
func (s State) Inherits(now time.Time) bool {
	return s.owner.From != "" && now.Sub(s.owner.Since) <= InheritTime
}

// Inherit writes the name of this app into the rows of all runs in flight. The former owner then finds another name than its own
// there, and asks who owns the catalog; a step that it is making loses the race for the row. A run whose operation is just being
// started is left alone until its lease is over, because the operation's token would be lost.
func (a App) Inherit(ctx context.Context) error {
	var errs []error
	for from := ""; ; {
		rows, _, err := a.Catalog.List(ctx, backup.InflightPartition, from, "~", 1000)
		if err != nil {
			return fmt.Errorf("list the runs in flight: %w", err)
		}
		for _, row := range rows {
			entry, err := backup.Decode[struct{ Run string }](row)
			if err == nil {
				err = a.inherit(ctx, entry.Run)
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("take over the run of the entry %s: %w", row.Row, err))
			}
		}
		if len(rows) < 1000 {
			return errors.Join(errs...)
		}
		from = rows[len(rows)-1].Row + "!"
	}
}

// inherit does it for one run. If another invocation changes the run meanwhile, it is read again.
func (a App) inherit(ctx context.Context, id string) error {
	key, err := backup.RunKey(id)
	if err != nil {
		return err
	}
	for range 3 {
		row, now, err := a.Catalog.Get(ctx, key)
		if errors.Is(err, backup.ErrNotFound) {
			return nil // its writer asks before the first step
		}
		if err != nil {
			return err
		}
		run, err := backup.Decode[backup.Run](row)
		if err != nil || run.App == a.Name || run.State.Final() && !run.Unpublished || run.LeaseUntil.After(now) {
			return err
		}
		run.App = a.Name
		_, err = a.Catalog.Apply(ctx, backup.Write{Op: backup.Replace, Key: key, ETag: row.ETag, Body: backup.Encode(run)})
		if _, raced := errors.AsType[*backup.WriteError](err); !raced {
			return err
		}
	}
	return nil // the next timer run tries again
}
