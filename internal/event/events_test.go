package event_test

import (
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/event"
	"lifeboat/internal/health"
	"lifeboat/internal/request"
	"lifeboat/internal/restore"
	"lifeboat/internal/schedule"
)

var (
	at  = time.Date(2026, 1, 15, 2, 30, 0, 0, time.UTC)
	why = backup.Reason{Code: "Code", Message: "message"}
)

// is says in one line what an event is.
func is(e backup.Event) string {
	line := []string{e.ID, e.Type, e.Subject, e.Time.Format(time.RFC3339), string(e.Data)}
	if e.To != "" {
		line = append(line, "to "+e.To)
	}
	return strings.Join(line, " ")
}

// TestEvents holds each event word for word: other systems read it, and know a repeat by its ID.
func TestEvents(t *testing.T) {
	run := backup.Run{ID: "run", State: backup.Succeeded, Plan: "nightly", Target: "service", Created: at, Ended: at.Add(time.Hour)}
	ended := func(copyOnly bool, change func(r *backup.Run)) backup.Event {
		r := run
		change(&r)
		return event.RunEnded(r, copyOnly)[0]
	}
	alert := health.TargetHealth{Target: "service", Plan: "nightly", Status: health.Unprotected, Reason: why, Interval: 24 * time.Hour, Deadline: at}
	aged := alert
	aged.Point, aged.Age, aged.NextScheduledTime = &health.Verified{ID: "point", Created: at, AsOf: at, CopyOnly: true}, 1500*time.Millisecond, at.AddDate(7000, 0, 0)
	point := backup.Point{ID: "point", Plan: "nightly", Target: "service", Size: 7, Accepted: backup.Acceptance{Time: at, By: "invocation one"}}
	copied := point
	copied.CopyOnly, copied.Size, copied.Accepted.Reason = true, 1<<62, "looked at it"
	changed := point
	changed.Changed = backup.Change{Time: at, Resource: "service/apis/echo", Operation: "apis/write", Found: at.Add(time.Hour)}
	for name, c := range map[string]struct {
		event backup.Event
		want  string
	}{
		"a target without any point": {
			event.TargetUnprotected(alert, alert.AlertKey()),
			`unprotected-nightly.df24b17470823587 lifeboat.target.unprotected service 2026-01-15T02:30:00Z {"target":"service","plan":"nightly","status":"unprotected","sinceDateTime":"2026-01-15T02:30:00Z","reason":{"code":"Code","message":"message"},"intervalInSeconds":86400}`,
		},
		"a target with an old copy": {
			event.TargetUnprotected(aged, aged.AlertKey()),
			`unprotected-nightly.e571050b109bb3b7 lifeboat.target.unprotected service 2026-01-15T02:30:00Z {"target":"service","plan":"nightly","status":"unprotected","sinceDateTime":"2026-01-15T02:30:00Z","reason":{"code":"Code","message":"message"},"lastVerified":{"id":"point","createdDateTime":"2026-01-15T02:30:00Z","ageInSeconds":1,"copyOnly":true},"intervalInSeconds":86400,"nextScheduledTime":"9026-01-15T02:30:00Z"}`,
		},
		"the end of an alarm by a backup": {
			event.TargetProtected(health.TargetHealth{
				Plan: "nightly", Target: "service", Status: health.Protected, Point: &health.Verified{ID: "point", Created: at, AsOf: at}, Age: time.Minute,
			}, "df24b17470823587", at),
			`protected-nightly.df24b17470823587 lifeboat.target.protected service 2026-01-15T02:30:00Z {"target":"service","plan":"nightly","status":"protected","alarm":"unprotected-nightly.df24b17470823587","sinceDateTime":"2026-01-15T02:30:00Z","lastVerified":{"id":"point","createdDateTime":"2026-01-15T02:30:00Z","ageInSeconds":60}}`,
		},
		"the end of an alarm": {
			event.TargetLeft(health.Departed{Plan: "nightly", Target: "service", At: at.Add(time.Hour), Point: &health.Verified{ID: "point", Created: at, AsOf: at}}, "df24b17470823587"),
			`left-nightly.df24b17470823587 lifeboat.target.left service 2026-01-15T03:30:00Z {"target":"service","plan":"nightly","alarm":"unprotected-nightly.df24b17470823587","lastVerified":{"id":"point","createdDateTime":"2026-01-15T02:30:00Z","ageInSeconds":3600}}`,
		},
		"an edit": {
			event.PlanChanged(event.PlanEdit{Old: "old", New: "new", OldSince: at.Add(-time.Hour), Found: at, Changes: []string{"~ plan nightly: paused", "! b"}, Attention: []string{"paused"}}),
			`plan-ab90fdae6ab9d590.changed lifeboat.plan.changed  2026-01-15T02:30:00Z {"changes":["~ plan nightly: paused","! b"],"attention":["paused"],"oldHash":"old","newHash":"new"}`,
		},
		"a backup": {
			ended(false, func(*backup.Run) {}),
			`run.succeeded lifeboat.run.succeeded service 2026-01-15T03:30:00Z {"run":"run","state":"succeeded","plan":"nightly","target":"service","createdDateTime":"2026-01-15T02:30:00Z","endedDateTime":"2026-01-15T03:30:00Z","recoveryPoint":"run","recoveryPointState":"live"}`,
		},
		"a backup of a scheduled time": {
			ended(false, func(r *backup.Run) { r.ScheduledTime = at }),
			`run.succeeded lifeboat.run.succeeded service 2026-01-15T03:30:00Z {"run":"run","state":"succeeded","plan":"nightly","target":"service","scheduledTime":"2026-01-15T02:30:00Z","createdDateTime":"2026-01-15T02:30:00Z","endedDateTime":"2026-01-15T03:30:00Z","recoveryPoint":"run","recoveryPointState":"live"}`,
		},
		"a copy": {
			ended(true, func(r *backup.Run) { r.Request = "request" }),
			`run.succeeded lifeboat.run.succeeded service 2026-01-15T03:30:00Z {"run":"run","state":"succeeded","plan":"nightly","target":"service","request":"request","createdDateTime":"2026-01-15T02:30:00Z","endedDateTime":"2026-01-15T03:30:00Z","recoveryPoint":"run","recoveryPointState":"copyOnly","copyOnly":true}`,
		},
		"a suspect backup": {
			ended(false, func(r *backup.Run) { r.Reason = why }),
			`run.succeeded lifeboat.run.succeeded service 2026-01-15T03:30:00Z {"run":"run","state":"succeeded","plan":"nightly","target":"service","createdDateTime":"2026-01-15T02:30:00Z","endedDateTime":"2026-01-15T03:30:00Z","recoveryPoint":"run","recoveryPointState":"suspect","reason":{"code":"Code","message":"message"}}`,
		},
		"a suspect copy": {
			ended(true, func(r *backup.Run) { r.Reason = why }),
			`run.succeeded lifeboat.run.succeeded service 2026-01-15T03:30:00Z {"run":"run","state":"succeeded","plan":"nightly","target":"service","createdDateTime":"2026-01-15T02:30:00Z","endedDateTime":"2026-01-15T03:30:00Z","recoveryPoint":"run","recoveryPointState":"suspect","copyOnly":true,"reason":{"code":"Code","message":"message"}}`,
		},
		"no backup, though of a service with copies": {
			ended(true, func(r *backup.Run) { r.State, r.Reason = backup.Failed, why }),
			`run.failed lifeboat.run.failed service 2026-01-15T03:30:00Z {"run":"run","state":"failed","plan":"nightly","target":"service","createdDateTime":"2026-01-15T02:30:00Z","endedDateTime":"2026-01-15T03:30:00Z","reason":{"code":"Code","message":"message"}}`,
		},
		"a missed period of one scheduled time": {
			event.ScheduleMissed(schedule.MissedRuns{Plan: "nightly", First: at, Last: at, Count: 1, Why: "no timer run read", Found: at.Add(time.Hour)}),
			`missed-nightly.20260115T023000Z lifeboat.schedule.missed  2026-01-15T03:30:00Z {"plan":"nightly","firstScheduledTime":"2026-01-15T02:30:00Z","lastScheduledTime":"2026-01-15T02:30:00Z","count":1,"reason":{"code":"ScheduleMissed","message":"no timer run read"}}`,
		},
		"a missed period in another zone": {
			event.ScheduleMissed(schedule.MissedRuns{
				Plan: "nightly", First: at.In(time.FixedZone("", 3600)), Last: at.AddDate(100, 0, 0), Count: 36_524, Found: at,
			}),
			`missed-nightly.20260115T023000Z lifeboat.schedule.missed  2026-01-15T02:30:00Z {"plan":"nightly","firstScheduledTime":"2026-01-15T02:30:00Z","lastScheduledTime":"2126-01-15T02:30:00Z","count":36524}`,
		},
		"an accepted point": {
			event.PointAccepted(point),
			`point.accepted lifeboat.recovery-point.accepted service 2026-01-15T02:30:00Z {"recoveryPoint":"point","plan":"nightly","target":"service","sizeInBytes":7,"acceptedDateTime":"2026-01-15T02:30:00Z","by":"invocation one"}`,
		},
		"a change that Azure shows late": {
			event.PointChanged(changed),
			`point.changed lifeboat.recovery-point.changed service 2026-01-15T03:30:00Z {"recoveryPoint":"point","plan":"nightly","target":"service","changedDuringBackup":{"dateTime":"2026-01-15T02:30:00Z","resource":"service/apis/echo","operation":"apis/write"}}`,
		},
		"an accepted copy": {
			event.PointAccepted(copied),
			`point.accepted lifeboat.recovery-point.accepted service 2026-01-15T02:30:00Z {"recoveryPoint":"point","plan":"nightly","target":"service","sizeInBytes":4611686018427387904,"copyOnly":true,"acceptedDateTime":"2026-01-15T02:30:00Z","by":"invocation one","requestReason":"looked at it"}`,
		},
		"the first text is refused": {
			event.PlanTurned(event.PlanTurn{Hash: "bad", Refused: true, Reason: "plan.yaml:1: bad", Found: at}),
			`plan-eb98f396f702b26e.refused lifeboat.plan.refused  2026-01-15T02:30:00Z {"reason":{"code":"PlanRefused","message":"plan.yaml:1: bad","hint":"Mend plan.yaml; lifeboat plan check says what is wrong."}}`,
		},
		"a text is refused": {
			event.PlanTurned(event.PlanTurn{Hash: "bad", Refused: true, Reason: "plan.yaml:1: bad", LastGood: at, ActiveSince: at, Found: at.Add(time.Hour)}),
			`plan-e769528177c0e453.refused lifeboat.plan.refused  2026-01-15T03:30:00Z {"reason":{"code":"PlanRefused","message":"plan.yaml:1: bad","hint":"Mend plan.yaml; lifeboat plan check says what is wrong."},"activeSinceDateTime":"2026-01-15T02:30:00Z"}`,
		},
		"a text is accepted": {
			event.PlanTurned(event.PlanTurn{Hash: "good", LastGood: at, ActiveSince: at.Add(time.Hour), Found: at.Add(time.Hour)}),
			`plan-a1c673ba90aee17a.accepted lifeboat.plan.accepted  2026-01-15T03:30:00Z {"activeSinceDateTime":"2026-01-15T03:30:00Z"}`,
		},
		"a dead letter": {
			event.DeadLettered(event.DeadLetter{Queue: "execute", Reason: why, Bytes: 65_536, Row: backup.Key{Partition: "deadletter", Row: "row"}, Time: at}),
			`deadletter-row lifeboat.message.deadlettered  2026-01-15T02:30:00Z {"queue":"execute","row":"row","bytes":65536,"reason":{"code":"Code","message":"message"}}`,
		},
		"an empty dead letter": {
			event.DeadLettered(event.DeadLetter{Queue: "execute", Row: backup.Key{Partition: "deadletter", Row: "row"}, Time: at}),
			`deadletter-row lifeboat.message.deadlettered  2026-01-15T02:30:00Z {"queue":"execute","row":"row","bytes":0}`,
		},
		"clocks": {
			event.ClockJumped(at, at.Add(time.Hour).In(time.FixedZone("", 3600))),
			`clock-2026011502 lifeboat.clock.jumped  2026-01-15T02:30:00Z {"storageDateTime":"2026-01-15T02:30:00Z","processDateTime":"2026-01-15T03:30:00Z"}`,
		},
	} {
		if got := is(c.event); got != c.want {
			t.Errorf("%s is\n%s, want\n%s", name, got, c.want)
		}
	}
}

// TestARepeatHasTheSameID: whatever has changed since, the ID is the same; another occasion has another ID.
func TestARepeatHasTheSameID(t *testing.T) {
	turn := event.PlanTurn{Hash: "bad", Refused: true, LastGood: at, Found: at}
	turned := func(change func(p *event.PlanTurn)) string {
		p := turn
		change(&p)
		return event.PlanTurned(p).ID
	}
	missedRuns := func(first time.Time, count int) string {
		return event.ScheduleMissed(schedule.MissedRuns{Plan: "nightly", First: first, Last: at, Count: count}).ID
	}
	clock := func(storage, process time.Duration) string {
		return event.ClockJumped(at.Add(storage), at.Add(process)).ID
	}
	for name, c := range map[string]struct {
		one, other string
		same       bool
	}{
		"the same text, found later":           {turned(func(*event.PlanTurn) {}), turned(func(p *event.PlanTurn) { p.Found = at.AddDate(1, 0, 0) }), true},
		"the same text, in another zone":       {turned(func(*event.PlanTurn) {}), turned(func(p *event.PlanTurn) { p.LastGood = at.In(time.FixedZone("", 3600)) }), true},
		"another text":                         {turned(func(*event.PlanTurn) {}), turned(func(p *event.PlanTurn) { p.Hash = "bad too" }), false},
		"the same text after another good one": {turned(func(*event.PlanTurn) {}), turned(func(p *event.PlanTurn) { p.LastGood = at.Add(time.Second) }), false},
		"the same text accepted":               {turned(func(*event.PlanTurn) {}), turned(func(p *event.PlanTurn) { p.Refused = false }), false},
		"a missed period that has grown":       {missedRuns(at, 1), missedRuns(at, 2), true},
		"the missed period of the next second": {missedRuns(at, 1), missedRuns(at.Add(time.Second), 1), false},
		"clocks in one hour":                   {clock(-30*time.Minute, time.Hour), clock(30*time.Minute-time.Nanosecond, 2*time.Hour), true},
		"clocks in the next hour":              {clock(0, time.Hour), clock(30*time.Minute, time.Hour), false},
	} {
		if c.one == "" || (c.one == c.other) != c.same {
			t.Errorf("%s: %s and %s", name, c.one, c.other)
		}
	}
}

// TestEventsOfARestore: one goes to the queue of events, and the same one to the queue of answers if the request names it.
func TestEventsOfARestore(t *testing.T) {
	run := backup.Run{ID: "run", State: backup.Queued, Plan: "nightly", Target: "standby", Request: "request", Created: at, Restore: &backup.Restoring{
		Source: "service", Point: "point", Kind: backup.RestoreFull, Preview: "hash",
	}}
	ended := run
	ended.State, ended.Ended, ended.Reason = backup.Succeeded, at.Add(time.Hour), why
	ended.Restore = &backup.Restoring{
		Source: "service", Kind: backup.RestoreKey, Key: "rsa-1", RequestedBy: "me", Reason: "incident", Preview: "hash", SafetyBackedUp: at,
		Warning: "the network stays as it was", ReplyTo: "answers",
	}
	const data = `{"request":"request","run":"run","state":"queued","plan":"nightly","source":"service","target":"standby","recoveryPoint":"point","kind":"full","previewHash":"hash","createdDateTime":"2026-01-15T02:30:00Z"}`
	const done = `run.succeeded lifeboat.restore.succeeded standby 2026-01-15T03:30:00Z {"request":"request","run":"run","state":"succeeded","plan":"nightly","source":"service","target":"standby","kind":"selective","key":"rsa-1","requestedBy":"me","requestReason":"incident","previewHash":"hash","safetyBackup":"run","createdDateTime":"2026-01-15T02:30:00Z","endedDateTime":"2026-01-15T03:30:00Z","warning":"the network stays as it was","reason":{"code":"Code","message":"message"}}`
	for name, c := range map[string]struct {
		events []backup.Event
		want   []string
	}{
		"accepted": {event.Restore(run, event.RestoreAccepted, at), []string{`run.accepted lifeboat.restore.accepted standby 2026-01-15T02:30:00Z ` + data}},
		"waiting":  {event.Restore(run, event.RestoreWaiting, at.Add(time.Second)), []string{`run.waiting lifeboat.restore.waiting standby 2026-01-15T02:30:01Z ` + data}},
		"started":  {event.Restore(run, event.RestoreStarted, at.Add(time.Second)), []string{`run.started lifeboat.restore.started standby 2026-01-15T02:30:01Z ` + data}},
		"ended":    {event.Restore(ended, event.RestoreEnded(ended), ended.Ended), []string{done, done + " to answers"}},
	} {
		var got []string
		for _, e := range c.events {
			got = append(got, is(e))
		}
		if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s is\n%s, want\n%s", name, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
	for state, want := range map[backup.State]string{
		backup.Succeeded: "lifeboat.restore.succeeded", backup.StateRefused: "lifeboat.restore.refused", backup.Unknown: "lifeboat.restore.unknown",
	} {
		if got := event.RestoreEnded(backup.Run{State: state}); got != want {
			t.Errorf("the end of a restore that is %s has the type %s", state, got)
		}
	}
}

// TestRestorePreviewed: the same outcome has the same ID, another outcome has another one; an answer goes only to a queue that
// may have answers.
func TestRestorePreviewed(t *testing.T) {
	q := restore.Request{ID: "request", Target: "service", Into: "standby", ReplyTo: "answers"}
	preview := func(change func(p *restore.Preview)) []backup.Event {
		p := restore.Preview{Hash: "hash", Made: at, Target: "service", Destination: "standby", Kind: backup.RestoreFull}
		p.Ask("request", nil)
		change(&p)
		return event.RestorePreviewed(q, p)
	}
	first := preview(func(*restore.Preview) {})
	if len(first) != 1 || first[0].To != "" || first[0].Type != "lifeboat.restore.previewed" || first[0].Subject != "standby" || !first[0].Time.Equal(at) ||
		!strings.HasPrefix(first[0].ID, "restore-preview-") || !strings.Contains(string(first[0].Data), `"request":"request","preview":{"hash":"hash"`) ||
		strings.Contains(string(first[0].Data), `"reason"`) {
		t.Errorf("%+v", first)
	}
	for name, c := range map[string]struct {
		change  func(p *restore.Preview)
		same    bool
		reasons int // in the guard, and in the answer
	}{
		"a moment later":     {func(p *restore.Preview) { p.Made = at.Add(time.Second) }, true, 0},
		"another effect":     {func(p *restore.Preview) { p.Hash = "another" }, false, 0},
		"another guard":      {func(p *restore.Preview) { p.Ask("destination", nil) }, false, 0},
		"a guard that stops": {func(p *restore.Preview) { p.Ask("destination", &why) }, false, 2},
		"a guard that warns": {func(p *restore.Preview) {
			p.Guards = append(p.Guards, restore.Guard{Name: "destination", Outcome: restore.Warned, Reason: &why})
		}, false, 1},
	} {
		again := preview(c.change)
		if (again[0].ID == first[0].ID) != c.same || strings.Count(string(again[0].Data), `"reason":{"code":"Code"`) != c.reasons {
			t.Errorf("%s: %s and %s, %s", name, first[0].ID, again[0].ID, again[0].Data)
		}
	}
	answers := preview(func(p *restore.Preview) { p.MayAnswer = true })
	if len(answers) != 2 || answers[0].To != "" || answers[1].To != "answers" || answers[0].ID != answers[1].ID || string(answers[0].Data) != string(answers[1].Data) {
		t.Errorf("%+v", answers)
	}
}

// TestRequestRefused: the answer repeats nothing of an invalid request but its ID, and each message has an answer of its own.
func TestRequestRefused(t *testing.T) {
	q := restore.Request{ID: "request", Target: "service", Into: "standby", RequestedBy: "me", Reason: "incident"}
	invalid := backup.Reason{Code: request.InvalidRequest, Message: "message"}
	for name, c := range map[string]struct {
		message string
		q       restore.Request
		why     backup.Reason
		replyTo string
		want    []string
	}{
		"a valid request":     {"m", q, why, "", []string{`restore-request-62c66a7a5dd70c3146618063c344e531.refused lifeboat.restore.refused standby 2026-01-15T02:30:00Z {"request":"request","source":"service","target":"standby","requestedBy":"me","requestReason":"incident","reason":{"code":"Code","message":"message"}}`}},
		"into its own target": {"m", restore.Request{ID: "request", Target: "service"}, why, "answers", []string{`restore-request-62c66a7a5dd70c3146618063c344e531.refused lifeboat.restore.refused service 2026-01-15T02:30:00Z {"request":"request","source":"service","target":"service","reason":{"code":"Code","message":"message"}}`, `restore-request-62c66a7a5dd70c3146618063c344e531.refused lifeboat.restore.refused service 2026-01-15T02:30:00Z {"request":"request","source":"service","target":"service","reason":{"code":"Code","message":"message"}} to answers`}},
		"an invalid request":  {"m", q, invalid, "", []string{`restore-request-62c66a7a5dd70c3146618063c344e531.refused lifeboat.restore.refused  2026-01-15T02:30:00Z {"request":"request","reason":{"code":"InvalidRequest","message":"message"}}`}},
		"nothing at all":      {"", restore.Request{}, invalid, "", []string{`restore-request-e3b0c44298fc1c149afbf4c8996fb924.refused lifeboat.restore.refused  2026-01-15T02:30:00Z {"reason":{"code":"InvalidRequest","message":"message"}}`}},
	} {
		var got []string
		for _, e := range event.RequestRefused([]byte(c.message), c.q, c.why, c.replyTo, at) {
			got = append(got, is(e))
		}
		if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s is\n%s, want\n%s", name, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
}
