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
// changes nothing more, and goes on where the first call died; so does each timer run of the new owner, until no run is left. The
// caller is noted.
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
			return was.taken(), a.Inherit(ctx, s)
		case was.App == a.Name:
			return Taken{}, fmt.Errorf("%w: this app, %s, owns it already", ErrNotLoser, a.Name)
		case was.App != loser:
			return Taken{}, fmt.Errorf("%w: %s does not own it, %s does", ErrNotLoser, loser, was.App)
		default:
			is := record{App: a.Name, Since: now, From: loser, Caller: caller, Inherits: true, Carried: was.Carried}
			writes := append(event.OutboxWrites(backup.SchedulePartition, []backup.Event{event.AppReplaced(is.App, loser, caller, now)}),
				backup.Write{Op: backup.Replace, Key: backup.OwnerKey, ETag: was.etag, Body: backup.Encode(is)})
			etags, err := a.Catalog.Apply(ctx, writes...)
			if _, raced := errors.AsType[*backup.WriteError](err); raced {
				continue
			}
			if err != nil {
				return Taken{}, fmt.Errorf("take the catalog over from %s: %w", loser, err)
			}
			is.etag = etags[len(etags)-1]
			return is.taken(), a.Inherit(ctx, State{owner: is})
		}
	}
	return Taken{}, errors.New("other callers change the owner of the catalog again and again")
}

func (r record) taken() Taken { return Taken{Owner: r.App, From: r.From, Since: r.Since} }

// Inherit takes the runs in flight over, if some may still be the former owner's: it writes the name of this app into all of them.
// The former owner then finds another name than its own there, and asks who owns the catalog; a step that it is making loses the
// race for the row. A run whose operation is just being started is left alone until its lease is over, because the operation's
// token would be lost. The row of the owner says that runs are left, until a pass has left none: no run gets the name of an app
// that lost the catalog after that, since each step asks before it writes a name. So it does not matter how late a timer run comes.
func (a App) Inherit(ctx context.Context, s State) error {
	if !s.owner.Inherits || s.owner.App != a.Name {
		return nil
	}
	left := false
	var errs []error
	for from, more := "", true; more; {
		rows, _, err := a.Catalog.List(ctx, backup.InflightPartition, from, "~", 1000)
		if err != nil {
			return fmt.Errorf("list the runs in flight: %w", err)
		}
		for _, row := range rows {
			entry, err := backup.Decode[struct{ Run string }](row)
			taken := false
			if err == nil {
				taken, err = a.inherit(ctx, entry.Run)
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("take over the run of the entry %s: %w", row.Row, err))
			}
			left = left || !taken
		}
		if more = len(rows) == 1000; more {
			from = rows[len(rows)-1].Row + "!"
		}
	}
	if left {
		return errors.Join(errs...) // the next timer run goes on
	}
	is := s.owner
	is.Inherits = false
	_, err := a.Catalog.Apply(ctx, backup.Write{Op: backup.Replace, Key: backup.OwnerKey, ETag: is.etag, Body: backup.Encode(is)})
	if _, raced := errors.AsType[*backup.WriteError](err); err != nil && !raced { // another pass was faster, or another takeover
		return fmt.Errorf("save that all runs are taken over: %w", err)
	}
	return nil
}

// inherit does it for one run, and tells whether the run is this app's. If another invocation changes the run meanwhile, it is read
// again.
func (a App) inherit(ctx context.Context, id string) (taken bool, err error) {
	key, err := backup.RunKey(id)
	if err != nil {
		return false, err
	}
	for range 3 {
		row, now, err := a.Catalog.Get(ctx, key)
		if errors.Is(err, backup.ErrNotFound) {
			return true, nil // its writer asks before the first step
		}
		if err != nil {
			return false, err
		}
		run, err := backup.Decode[backup.Run](row)
		if err != nil {
			return false, err
		}
		if run.App == a.Name || run.State.Final() && !run.Unpublished && run.Look == (backup.Window{}) {
			return true, nil
		}
		if run.LeaseUntil.After(now) {
			return false, nil
		}
		run.App, run.RowETag = a.Name, row.ETag
		run.SettleCancel()
		_, err = a.Catalog.Apply(ctx, backup.Write{Op: backup.Replace, Key: key, ETag: row.ETag, Body: backup.Encode(run)})
		if _, raced := errors.AsType[*backup.WriteError](err); !raced {
			return err == nil, err
		}
	}
	return false, nil // the next timer run tries again
}
