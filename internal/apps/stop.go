package apps

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/event"
	"lifeboat/internal/stop"
)

// Stopped says whether the app is stopped, by the rows that were read. Setting is the reason by LIFEBOAT_STOPPED.
func (s State) Stopped(setting string) stop.State {
	if s.stop.Key == backup.StopKey {
		return stop.Read(setting, s.stop)
	}
	return stop.State{Setting: setting}
}

// Stop reads whether the app is stopped. That costs one request.
func (a App) Stop(ctx context.Context) (stop.State, time.Time, error) {
	row, now, err := a.Catalog.Get(ctx, backup.StopKey)
	switch {
	case errors.Is(err, backup.ErrNotFound):
		return stop.State{Setting: a.Setting}, now, nil
	case err != nil && !errors.Is(err, backup.ErrUnreadable):
		return stop.State{}, now, fmt.Errorf("read whether the app is stopped: %w", err)
	}
	s := stop.Read(a.Setting, row)
	if err != nil {
		s.Unread = err
	}
	return s, now, nil
}

// MayBegin returns nil if a deletion or a restore may begin now. While the app is stopped it returns a [*backup.Fault], for which
// [stop.Reason] has words. It costs one request, none if the app setting decides.
func (a App) MayBegin(ctx context.Context) error {
	if a.Setting != "" {
		return stop.State{Setting: a.Setting}.Err()
	}
	s, _, err := a.Stop(ctx)
	return errors.Join(err, s.Err())
}

// Holds returns the fault for which a restore waits while the app is stopped; nil if it may begin. The error is one of storage.
func (a App) Holds(ctx context.Context) (*backup.Fault, error) {
	err := a.MayBegin(ctx)
	if f := backup.AsFault(err); stop.Reason(err) != "" {
		return f, nil
	}
	return nil, err
}

// SetStop sets the switch. A repeat changes nothing; a further request changes the reason and what is stopped.
func (a App) SetStop(ctx context.Context, q stop.Request) (stop.State, error) {
	return a.changeStop(ctx, func(s stop.Switch, now time.Time) (stop.Switch, bool) { return s.Set(q, now) })
}

// Resume ends the stop, but nothing that LIFEBOAT_STOPPED stops. A repeat changes nothing.
func (a App) Resume(ctx context.Context, id, by string) (stop.State, error) {
	return a.changeStop(ctx, func(s stop.Switch, now time.Time) (stop.Switch, bool) { return s.Resume(id, by, now) })
}

// changeStop saves the changed switch under the ETag that was read, with its event in the outbox: both or none. A timer run sends
// the event.
func (a App) changeStop(ctx context.Context, change func(stop.Switch, time.Time) (stop.Switch, bool)) (stop.State, error) {
	for range 3 {
		s, now, err := a.Stop(ctx)
		if err == nil {
			err = s.Unread
		}
		if s.Unread != nil {
			err = fmt.Errorf("%w. %s", err, stop.HintUnread)
		}
		if err != nil {
			return s, err
		}
		is, changed := change(s.Switch, now)
		if !changed {
			return s, nil
		}
		writes := append(event.OutboxWrites(backup.SchedulePartition, []backup.Event{event.Stop(is, a.Name, now)}),
			backup.InsertOrReplace(backup.StopKey, is.ETag, backup.Encode(is)))
		etags, err := a.Catalog.Apply(ctx, writes...)
		if _, raced := errors.AsType[*backup.WriteError](err); raced {
			continue
		}
		if err != nil {
			return s, fmt.Errorf("save whether the app is stopped: %w", err)
		}
		is.ETag = etags[len(etags)-1]
		s.Switch = is
		return s, nil
	}
	return stop.State{}, errors.New("other callers stop and resume the app again and again")
}
