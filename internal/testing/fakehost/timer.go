package fakehost

import (
	"context"
	"errors"
	"sync"
	"time"
)

// timerStatus is the status that a timer's monitor remembers (azure-webjobs-sdk-extensions, ScheduleStatus).
type timerStatus struct {
	schedule                string
	last, next, lastUpdated time.Time
}

// timerStore keeps the status of monitored timers by function. Azure keeps it in a blob; here it lasts as long as Host.
type timerStore struct {
	mu     sync.Mutex
	status map[string]timerStatus
}

// get returns the status. It is false if there is none, or one of another schedule: then there is no catch-up.
func (s *timerStore) get(f *function) (timerStatus, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	status, ok := s.status[f.name]
	return status, ok && status.schedule == f.trigger.Schedule
}

func (s *timerStore) put(f *function, status timerStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.status == nil {
		s.status = map[string]timerStatus{}
	}
	status.schedule = f.trigger.Schedule
	s.status[f.name] = status
}

// runTimer is the listener of a timer. Runs never overlap. The next occurrence is computed from the start of a run: after a
// run that took too long another one follows at once, and only further missed ones are left out (TimerListener). It runs until
// the context ends.
func (l *life) runTimer(held context.Context, f *function) {
	now := time.Now()
	next := f.schedule.next(now)
	status, known := l.timers.get(f)
	if f.monitored() && !known {
		status = timerStatus{next: next, lastUpdated: now}
		l.timers.put(f, status)
	}
	pastDue := f.monitored() && status.next.Before(now)
	if pastDue || f.trigger.RunOnStartup {
		next = f.schedule.next(l.timer(f, pastDue))
	}
	for waitUntil(held, next) {
		next = f.schedule.next(l.timer(f, false))
	}
}

// timer runs a timer once and returns its start time.
func (l *life) timer(f *function, pastDue bool) (started time.Time) {
	started = time.Now()
	if !l.enter() {
		return started
	}
	defer l.running.Done()
	status, _ := l.timers.get(f)
	_, err := l.invoke(f, timerInfo(f, status, pastDue), sys(f)) // any other failure counts as a run: it is not repeated
	if l.broken.Err() != nil || errors.Is(err, errShuttingDown) {
		return started // the host died before the run or during it: the status is written after the run
	}
	if f.monitored() {
		l.timers.put(f, timerStatus{last: started, next: f.schedule.next(started), lastUpdated: started})
	}
	return started
}

// timerInfo returns the value of a timerTrigger.
func timerInfo(f *function, status timerStatus, pastDue bool) object {
	_, isSpan := f.schedule.(every)
	info := object{
		"Schedule":       object{"AdjustForDST": !isSpan},
		"ScheduleStatus": nil,
		"IsPastDue":      pastDue,
	}
	if f.monitored() {
		info["ScheduleStatus"] = object{
			"Last": localTime(status.last), "Next": localTime(status.next), "LastUpdated": localTime(status.lastUpdated),
		}
	}
	return info
}

// localTime returns a .NET DateTime: the zero value has the year 1 and no offset.
func localTime(t time.Time) string {
	if t.IsZero() {
		return "0001-01-01T00:00:00"
	}
	return t.UTC().Format("2006-01-02T15:04:05.9999999") + "+00:00"
}

// waitUntil returns false if the context ended first, or if the instant never comes. It uses the wall clock, as timers do.
func waitUntil(ctx context.Context, instant time.Time) bool {
	if instant.IsZero() {
		<-ctx.Done()
		return false
	}
	for ctx.Err() == nil {
		left := time.Until(instant)
		if left <= 0 {
			return true
		}
		pause(ctx, left)
	}
	return false
}
