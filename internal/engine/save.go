package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/admission"
	"lifeboat/internal/backup"
	"lifeboat/internal/event"
	"lifeboat/internal/health"
	"lifeboat/internal/history"
	"lifeboat/internal/outbox"
	"lifeboat/internal/restore"
)

// advance sends the next step message, and then saves the run that expects it. In this order a crash in between leaves the
// present step message unacknowledged, and a stray next one whose nonce no row holds. If the step message cannot be sent, the
// new facts are saved all the same, under the present sequence number, since that step message will be delivered again.
func (s *step) advance(ctx context.Context, delay time.Duration, more ...backup.Write) error {
	r := &s.run
	next := backup.StepMessage{Run: r.ID, Sequence: r.Sequence + 1, Nonce: s.NewID()}
	sent := s.Queue.SendStep(ctx, next, delay)
	if sent == nil {
		r.Sequence, r.Nonce, r.Due = next.Sequence, next.Nonce, s.clock().Add(delay)
	}
	if err := s.save(ctx, more...); err != nil {
		return err
	}
	if sent != nil {
		return fmt.Errorf("wake run %s: %w", r.ID, sent)
	}
	return s.publish(ctx)
}

// toOutbox has the next save put events into the outbox.
func (s *step) toOutbox(events ...backup.Event) {
	s.pending, s.run.Unpublished = append(s.pending, events...), true
}

// publish sends the unpublished events of the run, the older ones first, and saves that there are none. An event that its queue
// does not take now becomes a timer run's; a run under way tries again as well, so that later events do not overtake earlier
// ones.
func (s *step) publish(ctx context.Context) error {
	if !s.run.Unpublished {
		return nil
	}
	if s.run.Restore != nil && !s.run.State.Final() { // it was made, waits or has begun: a repeat marks it again
		if err := s.mark(ctx, s.run.Target); err != nil {
			return err
		}
	}
	partition := s.run.Key().Partition
	events := s.saved
	var unread error
	if s.inherited {
		var older []backup.Event
		older, unread = s.Outbox().Waiting(ctx, partition)
		events = append(older, slices.DeleteFunc(events, func(e backup.Event) bool {
			return slices.ContainsFunc(older, func(o backup.Event) bool { return o.OutboxKey("") == e.OutboxKey("") })
		})...)
	}
	done, left := s.Outbox().Post(ctx, events, map[string]error{})
	if len(left) > 0 || unread != nil {
		if err := s.Outbox().HandOver(ctx, partition); err != nil {
			return err
		}
		if !s.run.State.Final() {
			return s.Outbox().Discard(ctx, event.Sent(partition, done))
		}
	}
	s.saved, s.inherited, s.run.Unpublished = nil, false, false
	if err := s.save(ctx, event.Sent(partition, done)...); err != nil && !errors.Is(err, errConflict) {
		return err
	}
	return nil
}

// end saves the final state together with the event about it. Then it releases everything that the run held, and sends the event.
// The sequence number stays: the present step message, delivered again, goes on there.
func (s *step) end(ctx context.Context, c cause, why backup.Reason, more ...backup.Write) error {
	r := &s.run
	if r.Restore != nil && r.Restore.Step == backup.StepSafetyBackup && (c == fails || c == loses || c == refuses) {
		if why = restore.Unsecured(why, c == refuses); c == loses {
			c = fails
		}
		if by := r.Restore.CanceledBy; by != "" {
			c, why = cancels, restore.Canceled(by, why)
		}
	}
	if err := move(r, c); err != nil {
		return err
	}
	r.Ended, r.Reason, r.Token, r.Hashing = s.clock(), why, "", backup.Hashing{}
	r.Owner, r.LeaseUntil = "", time.Time{}
	if r.Restore != nil {
		s.toOutbox(event.Restore(*r, event.RestoreEnded(*r), r.Ended)...)
	} else {
		s.toOutbox(event.RunEnded(*r, s.Services.CopyOnly(r.Target, r.Settings))...)
	}
	if err := s.save(ctx, more...); err != nil {
		return err
	}
	if err := s.releaseAndPublish(ctx); err != nil {
		return err
	}
	s.awaitLook(ctx)
	return nil
}

// releaseAndPublish releases everything that an ended run holds, and only then sends its unpublished events: no run has to wait because an
// event cannot be sent.
func (s *step) releaseAndPublish(ctx context.Context) error {
	r := &s.run
	if !r.Unpublished {
		return nil
	}
	if err := admission.Release(ctx, s.Catalog, *r, r.Permits, r.QueueRow, health.Mark(r.Target), history.Ended(*r)); err != nil {
		return fmt.Errorf("release the permits of run %s: %w", r.ID, err)
	}
	if err := s.dropReader(ctx); err != nil {
		return fmt.Errorf("let go of the recovery point that restore %s read: %w", r.ID, err)
	}
	r.Permits, r.QueueRow = nil, ""
	return s.publish(ctx)
}

// save writes the run if it was not changed since, and takes or releases the target's lock in the same transaction.
func (s *step) save(ctx context.Context, more ...backup.Write) error {
	s.run.Updated = s.clock()
	s.run.SettleCancel()
	if s.run.Restore != nil && s.run.State != s.was && !s.run.State.Final() {
		s.run.Unpublished = true // health tells whether it waits: publish marks its destination, also after a crash
	}
	takes := s.run.State.HoldsLock() && !s.was.HoldsLock()
	gives := !s.run.State.HoldsLock() && s.was.HoldsLock()
	var locks []backup.Write
	if takes {
		locks = []backup.Write{{Op: backup.Insert, Key: s.run.LockKey(), Body: backup.Encode(lock{Run: s.run.ID})}}
	}
	if gives {
		locks = []backup.Write{{Op: backup.Delete, Key: s.run.LockKey(), ETag: cmp.Or(s.run.LockETag, "*")}}
		s.run.LockETag = ""
	}
	run := backup.Write{Op: backup.Replace, Key: s.run.Key(), ETag: s.run.RowETag, Body: backup.Encode(s.run)}
	writes := slices.Concat([]backup.Write{run}, locks, more, event.OutboxWrites(run.Partition, s.pending))
	etags, err := s.Catalog.Apply(ctx, writes...)
	if failed, ok := errors.AsType[*backup.WriteError](err); ok {
		switch clash := writes[failed.Index]; {
		case clash.Key == run.Key:
			if row, _, err := s.load(ctx, s.run.ID); err == nil && restore.TakeCancel(&s.run, row) {
				return s.save(ctx, more...)
			}
			return errConflict
		case clash.Key == s.run.LockKey() && takes:
			return errBusy
		case clash.Key == s.run.LockKey():
			// The lock's row was deleted by hand, and perhaps another run has a lock of its own by now.
			s.was = s.run.State
			return s.save(ctx, more...)
		case outbox.Has(clash.Row):
			// A timer run has sent the event too, and has taken it out.
			return s.save(ctx, slices.DeleteFunc(more, func(w backup.Write) bool { return w.Key == clash.Key })...)
		case strings.HasPrefix(clash.Row, backup.ArtifactPrefix):
			return errTaken
		case errors.Is(err, backup.ErrChanged), strings.HasPrefix(clash.Row, backup.CountedPrefix):
			return errConflict // one of the recovery points that change with the run, or the row of its plan's counts
		}
	}
	if err != nil {
		return fmt.Errorf("save run %s as %s: %w", s.run.ID, s.run.State, err)
	}
	s.run.RowETag, s.was = etags[0], s.run.State
	s.saved, s.pending = append(s.saved, s.pending...), nil
	if takes {
		s.run.LockETag = etags[1]
	}
	return nil
}

// lock is the row that keeps a second run off a target.
type lock struct{ Run string }

// clock is the catalog's clock now, as far as we know without asking it.
func (s *step) clock() time.Time { return s.now.Add(s.Now().Sub(s.read)) }

// leaseEnd is a lease's length from now, counted from the latest that the catalog's clock can be.
func (s *step) leaseEnd() time.Time { return s.now.Add(backup.Resolution + s.Timings.Lease) }

// pollDelay returns the delay until the next poll, if the service has been at it since then: a tenth of the time that has passed.
// It is not less than the service asked for, or than Timings.Poll if it did not, nor more than Timings.PollMax. An operation of half
// an hour takes 22 polls, one of 8 hours 73.
func (s *step) pollDelay(since time.Time, retryAfter time.Duration) time.Duration {
	if retryAfter <= 0 {
		retryAfter = s.Timings.Poll
	}
	return min(max(retryAfter, s.clock().Sub(since)/10), s.Timings.PollMax)
}
