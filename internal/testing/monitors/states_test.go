package monitors

// state is what Prometheus sees of a story, and which alerts fire then.
type state struct {
	name string
	story
	// blind: no answer reaches Prometheus, though the app may run.
	blind span
	// asleep: the app answers in one minute of ten.
	asleep bool
	// scrapers ask the app; 0 is one.
	scrapers int
	// replaced is the minute from which another instance answers; 0 is never.
	replaced int
	// forgotten is the minute from which no scrape configuration has the app; 0 is never.
	forgotten int
	// minutes is the length, and step the time between evaluations, if it is not the usual one.
	minutes, step int
	alerts        []alert
}

// alert fires from a minute in begins on, until a minute in ends; until the end without ends. Before, after, and for other labels it
// does not.
type alert struct {
	rule, labels string
	begins, ends span
}

// every is the time between evaluations in minutes. Three goes through each minute of the ten
// of which an app sleeps nine.
func (s state) every() int {
	switch {
	case s.step > 0:
		return s.step
	case s.asleep:
		return 3
	}
	return 5
}

const job, a, b, hourly = `job="lifeboat"`, `plan="hourly", target="a"`, `plan="hourly", target="b"`, `job="lifeboat", plan="hourly"`

// afterDeath are the alerts of an app that dies in minute 100: of the death itself, and of each time that passes then.
func afterDeath(ends span) []alert {
	back := ends
	if ends.to > 0 {
		back = span{ends.from + 25, ends.to + 25} // at the next full hour, and a backup takes five minutes
	}
	return []alert{
		{"LifeboatDown", job, span{124, 126}, ends},
		{"LifeboatScheduleSilent", job, span{111, 111}, ends},
		{"LifeboatEvaluationSilent", hourly, span{151, 151}, ends},
		{"LifeboatCleanupFailing", job, span{151, 151}, ends},
		{"LifeboatTargetUnprotected", a, span{181, 181}, back},
		{"LifeboatTargetUnprotected", b, span{181, 181}, back},
	}
}

// longGone are those alerts of an app that is away for more than three days.
func longGone(down span) []alert {
	ends := span{4410, 4430}
	return []alert{
		{"LifeboatDown", job, span{124, 240}, down},
		{"LifeboatScheduleSilent", job, span{110, 120}, ends},
		{"LifeboatEvaluationSilent", hourly, span{150, 160}, ends},
		{"LifeboatCleanupFailing", job, span{150, 160}, ends},
		{"LifeboatTargetUnprotected", a, span{180, 190}, ends},
		{"LifeboatTargetUnprotected", b, span{180, 190}, ends},
	}
}

// dies returns the state in which no answer comes from minute 100 on, with the alert that must outlive that.
func dies(name string, s story, outlives alert) state {
	return state{name: name + ", then killed", story: s, blind: span{100, never}, minutes: 240, alerts: append(afterDeath(span{}), outlives)}
}

func failing(begins, ends span) []alert {
	return []alert{{"LifeboatTargetUnprotected", a, begins, ends}, {"LifeboatTargetUnprotected", b, begins, ends}}
}

// states is the table of both engines.
var states = []state{
	{name: "well", minutes: 300},
	{name: "asleep nine minutes of ten", asleep: true, minutes: 300},
	{name: "two scrapers", scrapers: 2, minutes: 300},
	{name: "instance replaced", replaced: 100, minutes: 300},
	{name: "killed", blind: span{100, never}, minutes: 300, alerts: afterDeath(span{})},
	{name: "killed, two scrapers", blind: span{100, never}, scrapers: 2, minutes: 240, alerts: afterDeath(span{})},
	{name: "killed, asleep before", asleep: true, blind: span{100, never}, minutes: 240, alerts: []alert{
		{"LifeboatDown", job, span{115, 120}, span{}},
		{"LifeboatScheduleSilent", job, span{106, 106}, span{}},
		{"LifeboatEvaluationSilent", hourly, span{151, 151}, span{}},
		{"LifeboatCleanupFailing", job, span{151, 151}, span{}},
		{"LifeboatTargetUnprotected", a, span{181, 181}, span{}},
		{"LifeboatTargetUnprotected", b, span{181, 181}, span{}},
	}},
	{name: "killed, after three days", blind: span{100, never}, minutes: 4620, step: 60, alerts: longGone(span{})},
	{name: "forgotten, after three days", forgotten: 100, minutes: 4620, step: 60, alerts: append(longGone(span{4410, 4430}),
		alert{"LifeboatDown", "", span{4410, 4560}, span{}})},
	{name: "forgotten by the scrape configuration", forgotten: 100, minutes: 240, alerts: afterDeath(span{})},
	{name: "restart with a gap", story: story{down: span{100, 280}}, minutes: 400, alerts: append(
		afterDeath(span{280, 280}), alert{"LifeboatRunsMissed", hourly, span{280, 280}, span{}})},
	{name: "target removed from the plan", story: story{removed: span{100, never}}, minutes: 300, alerts: []alert{
		{"LifeboatTargetGone", `job="lifeboat", ` + b, span{129, 130}, span{}},
	}},
	{name: "target removed, a day later", story: story{removed: span{100, never}}, minutes: 1700, step: 60, alerts: []alert{
		{"LifeboatTargetGone", `job="lifeboat", ` + b, span{120, 140}, span{1530, 1550}},
	}},
	{name: "target removed, asleep nine minutes of ten", story: story{removed: span{100, never}}, asleep: true, minutes: 300, alerts: []alert{
		{"LifeboatTargetGone", `job="lifeboat", ` + b, span{120, 121}, span{}},
	}},
	{name: "target removed, and back", story: story{removed: span{100, 200}}, minutes: 300, alerts: []alert{
		{"LifeboatTargetGone", `job="lifeboat", ` + b, span{129, 130}, span{200, 200}},
	}},
	{name: "backups failing", story: story{failing: span{100, 230}}, minutes: 300, alerts: failing(span{181, 181}, span{245, 245})},
	{
		name: "backups failing, asleep nine minutes of ten", story: story{failing: span{100, 230}}, asleep: true, minutes: 300,
		alerts: failing(span{181, 181}, span{250, 250}),
	},
	{
		name: "backups failing, two scrapers", story: story{failing: span{100, 230}}, scrapers: 2, minutes: 300,
		alerts: failing(span{181, 181}, span{245, 245}),
	},
	{
		name: "backups failing, instance replaced", story: story{failing: span{100, 230}}, replaced: 200, minutes: 300,
		alerts: failing(span{181, 181}, span{245, 245}),
	},
	{
		name: "backups failing, instance replaced by one that is well", story: story{failing: span{100, 230}}, replaced: 245, minutes: 300,
		alerts: failing(span{181, 181}, span{245, 275}),
	},
	{name: "backups failing, then killed", story: story{failing: span{100, never}}, blind: span{200, never}, minutes: 300, alerts: append(
		failing(span{181, 181}, span{}),
		alert{"LifeboatDown", job, span{224, 226}, span{}}, alert{"LifeboatScheduleSilent", job, span{211, 211}, span{}},
		alert{"LifeboatEvaluationSilent", hourly, span{271, 271}, span{}}, alert{"LifeboatCleanupFailing", job, span{251, 251}, span{}})},
	{name: "rows that cannot be read", story: story{unreadable: span{60, 130}}, minutes: 200, alerts: []alert{
		{"LifeboatTargetUnprotected", b, span{60, 60}, span{130, 130}},
	}},
	dies("rows that cannot be read", story{unreadable: span{60, never}}, alert{"LifeboatTargetUnprotected", b, span{60, 60}, span{}}),
	{name: "schedule silent", story: story{schedule: span{101, 200}}, minutes: 300, alerts: append(
		failing(span{181, 181}, span{245, 245}),
		alert{"LifeboatScheduleSilent", job, span{116, 116}, span{200, 200}},
		alert{"LifeboatEvaluationSilent", hourly, span{151, 151}, span{240, 240}})},
	{name: "cleanup silent", story: story{cleanup: span{95, 200}}, minutes: 300, alerts: []alert{
		{"LifeboatCleanupFailing", job, span{151, 151}, span{200, 200}},
	}},
	{name: "points undeleted", story: story{undeleted: span{60, 120}}, minutes: 200, alerts: []alert{
		{"LifeboatCleanupFailing", `job="lifeboat", target="a"`, span{60, 60}, span{124, 125}},
	}},
	{name: "points undeleted, asleep nine minutes of ten", story: story{undeleted: span{60, 120}}, asleep: true, minutes: 200, alerts: []alert{
		{"LifeboatCleanupFailing", `job="lifeboat", target="a"`, span{60, 60}, span{120, 120}},
	}},
	{
		name: "points undeleted, then deleted, then killed", story: story{undeleted: span{30, 60}}, blind: span{100, never}, minutes: 240,
		alerts: append(afterDeath(span{}), alert{"LifeboatCleanupFailing", `job="lifeboat", target="a"`, span{30, 30}, span{64, 65}}),
	},
	dies("points undeleted", story{undeleted: span{60, never}}, alert{"LifeboatCleanupFailing", `job="lifeboat", target="a"`, span{60, 60}, span{}}),
	{name: "evaluation dead", story: story{evaluation: span{110, 200}}, minutes: 300, alerts: []alert{
		{"LifeboatEvaluationSilent", hourly, span{151, 151}, span{240, 240}},
	}},
	{name: "restore waiting", story: story{waiting: span{20, 150}}, minutes: 200, alerts: []alert{
		{"LifeboatRestoreWaiting", `job="lifeboat", target="a"`, span{81, 81}, span{154, 155}},
	}},
	{name: "restore waiting, not too long", story: story{waiting: span{20, 75}}, minutes: 200},
	dies("restore waiting", story{waiting: span{20, never}}, alert{"LifeboatRestoreWaiting", `job="lifeboat", target="a"`, span{81, 81}, span{}}),
	{name: "restore of nothing", story: story{nothing: span{60, 150}}, minutes: 200, alerts: []alert{
		{"LifeboatRestoreIncomplete", `job="lifeboat", restored="nothing", target="a"`, span{60, 60}, span{154, 155}},
	}},
	{name: "restore of nothing, a day later", story: story{nothing: span{60, never}}, minutes: 1600, step: 60, alerts: []alert{
		{"LifeboatRestoreIncomplete", `job="lifeboat", restored="nothing", target="a"`, span{60, 60}, span{1500, 1510}},
	}},
	dies("restore of nothing", story{nothing: span{60, never}},
		alert{"LifeboatRestoreIncomplete", `job="lifeboat", restored="nothing", target="a"`, span{60, 60}, span{}}),
	{name: "dead letter", story: story{dead: span{60, 120}}, minutes: 200, alerts: []alert{{"LifeboatDeadLetters", job, span{60, 60}, span{120, 120}}}},
	{
		name: "dead letter, two scrapers, asleep", story: story{dead: span{60, 120}}, scrapers: 2, asleep: true, minutes: 200,
		alerts: []alert{{"LifeboatDeadLetters", job, span{60, 60}, span{120, 120}}},
	},
	dies("dead letter", story{dead: span{60, never}}, alert{"LifeboatDeadLetters", job, span{60, 60}, span{}}),
	{name: "plan refused", story: story{refused: span{60, 120}}, minutes: 200, alerts: []alert{{"LifeboatPlanRefused", job, span{65, 65}, span{120, 120}}}},
	dies("plan refused", story{refused: span{60, never}}, alert{"LifeboatPlanRefused", job, span{65, 65}, span{}}),
	{name: "event undeliverable", story: story{undeliverable: span{60, never}}, minutes: 1700, step: 60, alerts: []alert{
		{"LifeboatEventsUndeliverable", job, span{60, 60}, span{1490, 1510}},
	}},
	dies("event undeliverable", story{undeliverable: span{60, never}}, alert{"LifeboatEventsUndeliverable", job, span{60, 60}, span{}}),
	{name: "slots swapped", story: story{other: span{60, 120}}, minutes: 240},
	{name: "second app", story: story{other: span{60, 240}}, minutes: 300, alerts: []alert{{"LifeboatSecondApp", job, span{150, 150}, span{240, 240}}}},
	dies("second app", story{other: span{5, never}}, alert{"LifeboatSecondApp", job, span{95, 95}, span{}}),
}
