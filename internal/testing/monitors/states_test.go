package monitors

// never is a minute that does not come.
const never = 1 << 30

// span is from a minute until before another.
type span struct{ from, to int }

func (s span) has(minute int) bool { return minute >= s.from && minute < s.to }

// state says how much of a story Prometheus sees, and which alerts fire then.
type state struct {
	name, story string
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

const deletionA, deletionB = `job="lifeboat", target="contoso"`, `job="lifeboat", target="contoso-b"`

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

const job, a, b, hourly = `job="lifeboat"`, `plan="hourly", target="contoso"`, `plan="hourly", target="contoso-b"`, `job="lifeboat", plan="hourly"`

// afterDeath are the alerts of an app that dies in minute 100: of the death itself, and of each time that passes then.
func afterDeath(ends span) []alert {
	return []alert{
		{"LifeboatDown", job, span{124, 126}, ends},
		{"LifeboatScheduleSilent", job, span{111, 111}, ends},
		{"LifeboatEvaluationSilent", hourly, span{151, 151}, ends},
		{"LifeboatCleanupFailing", job, span{151, 151}, ends},
		{"LifeboatTargetUnprotected", a, span{181, 181}, ends},
		{"LifeboatTargetUnprotected", b, span{181, 181}, ends},
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

// dies returns the state in which no answer comes from minute 100 on, with the alerts that must outlive that.
func dies(name, story string, outlives ...alert) state {
	return state{name: name + ", then killed", story: story, blind: span{100, never}, minutes: 240, alerts: append(afterDeath(span{}), outlives...)}
}

func failing(begins, ends span) []alert {
	return []alert{{"LifeboatTargetUnprotected", a, begins, ends}, {"LifeboatTargetUnprotected", b, begins, ends}}
}

// states is the table of both engines.
var states = []state{
	{name: "well", story: "well", minutes: 300},
	{name: "asleep nine minutes of ten", story: "well", asleep: true, minutes: 300},
	{name: "two scrapers", story: "well", scrapers: 2, minutes: 300},
	{name: "instance replaced", story: "well", replaced: 100, minutes: 300},
	{name: "killed", story: "well", blind: span{100, never}, minutes: 300, alerts: afterDeath(span{})},
	{name: "killed, two scrapers", story: "well", blind: span{100, never}, scrapers: 2, minutes: 240, alerts: afterDeath(span{})},
	{name: "killed, asleep before", story: "well", asleep: true, blind: span{100, never}, minutes: 240, alerts: []alert{
		{"LifeboatDown", job, span{115, 120}, span{}},
		{"LifeboatScheduleSilent", job, span{106, 106}, span{}},
		{"LifeboatEvaluationSilent", hourly, span{151, 151}, span{}},
		{"LifeboatCleanupFailing", job, span{151, 151}, span{}},
		{"LifeboatTargetUnprotected", a, span{181, 181}, span{}},
		{"LifeboatTargetUnprotected", b, span{181, 181}, span{}},
	}},
	{name: "killed, after three days", story: "well", blind: span{100, never}, minutes: 4620, step: 60, alerts: longGone(span{})},
	{name: "forgotten, after three days", story: "well", forgotten: 100, minutes: 4620, step: 60, alerts: append(longGone(span{4410, 4430}),
		alert{"LifeboatDown", "", span{4410, 4560}, span{}})},
	{name: "forgotten by the scrape configuration", story: "well", forgotten: 100, minutes: 240, alerts: afterDeath(span{})},
	{name: "restart with a gap", story: "gap", minutes: 400, alerts: append(
		afterDeath(span{280, 280}), alert{"LifeboatRunsMissed", hourly, span{280, 280}, span{}})},
	{name: "target removed from the plan", story: "removed", minutes: 300, alerts: []alert{
		{"LifeboatTargetGone", `job="lifeboat", ` + b, span{129, 130}, span{}},
	}},
	{name: "target removed, a day later", story: "removed", minutes: 1700, step: 60, alerts: []alert{
		{"LifeboatTargetGone", `job="lifeboat", ` + b, span{120, 140}, span{1530, 1550}},
	}},
	{name: "target removed, asleep nine minutes of ten", story: "removed", asleep: true, minutes: 300, alerts: []alert{
		{"LifeboatTargetGone", `job="lifeboat", ` + b, span{120, 121}, span{}},
	}},
	{name: "target removed, and back", story: "removed and back", minutes: 300, alerts: []alert{
		{"LifeboatTargetGone", `job="lifeboat", ` + b, span{129, 130}, span{200, 200}},
	}},
	{name: "backups failing", story: "failing", minutes: 300, alerts: failing(span{181, 181}, span{240, 240})},
	{
		name: "backups failing, asleep nine minutes of ten", story: "failing", asleep: true, minutes: 300,
		alerts: failing(span{181, 181}, span{240, 240}),
	},
	{
		name: "backups failing, two scrapers", story: "failing", scrapers: 2, minutes: 300,
		alerts: failing(span{181, 181}, span{240, 240}),
	},
	{
		name: "backups failing, instance replaced", story: "failing", replaced: 200, minutes: 300,
		alerts: failing(span{181, 181}, span{240, 240}),
	},
	{
		name: "backups failing, instance replaced by one that is well", story: "failing", replaced: 240, minutes: 300,
		alerts: failing(span{181, 181}, span{240, 270}),
	},
	{name: "backups failing, then killed", story: "failing", blind: span{200, never}, minutes: 300, alerts: append(
		failing(span{181, 181}, span{}),
		alert{"LifeboatDown", job, span{224, 226}, span{}}, alert{"LifeboatScheduleSilent", job, span{211, 211}, span{}},
		alert{"LifeboatEvaluationSilent", hourly, span{271, 271}, span{}}, alert{"LifeboatCleanupFailing", job, span{251, 251}, span{}})},
	{name: "rows that cannot be read", story: "unreadable", minutes: 200, alerts: []alert{
		{"LifeboatTargetUnprotected", b, span{60, 60}, span{130, 130}},
		{"LifeboatEvaluationSilent", hourly, span{91, 91}, span{130, 130}},
	}},
	dies("rows that cannot be read", "unreadable", alert{"LifeboatTargetUnprotected", b, span{60, 60}, span{}},
		alert{"LifeboatEvaluationSilent", hourly, span{91, 91}, span{}}),
	{name: "schedule silent", story: "schedule silent", minutes: 300, alerts: append(
		failing(span{181, 181}, span{200, 200}),
		alert{"LifeboatScheduleSilent", job, span{116, 116}, span{200, 200}},
		alert{"LifeboatEvaluationSilent", hourly, span{151, 151}, span{200, 200}},
		alert{"LifeboatRunsMissed", hourly, span{200, 200}, span{}})},
	{name: "cleanup silent", story: "cleanup silent", minutes: 300, alerts: []alert{
		{"LifeboatCleanupFailing", job, span{151, 151}, span{200, 200}},
	}},
	{name: "points undeleted", story: "undeleted", minutes: 500, alerts: []alert{
		{"LifeboatCleanupFailing", deletionA, span{60, 60}, span{424, 425}},
		{"LifeboatCleanupFailing", deletionB, span{60, 60}, span{424, 425}},
	}},
	{name: "points undeleted, asleep nine minutes of ten", story: "undeleted", asleep: true, minutes: 480, alerts: []alert{
		{"LifeboatCleanupFailing", deletionA, span{60, 60}, span{420, 420}},
		{"LifeboatCleanupFailing", deletionB, span{60, 60}, span{420, 420}},
	}},
	{name: "points undeleted, then deleted, then killed", story: "undeleted", blind: span{440, never}, minutes: 600, alerts: []alert{
		{"LifeboatCleanupFailing", deletionA, span{60, 60}, span{424, 425}},
		{"LifeboatCleanupFailing", deletionB, span{60, 60}, span{424, 425}},
		{"LifeboatDown", job, span{464, 466}, span{}},
		{"LifeboatScheduleSilent", job, span{451, 451}, span{}},
		{"LifeboatEvaluationSilent", hourly, span{511, 511}, span{}},
		{"LifeboatCleanupFailing", job, span{491, 491}, span{}},
		{"LifeboatTargetUnprotected", a, span{541, 541}, span{}},
		{"LifeboatTargetUnprotected", b, span{541, 541}, span{}},
	}},
	dies("points undeleted", "undeleted", alert{"LifeboatCleanupFailing", deletionA, span{60, 60}, span{}},
		alert{"LifeboatCleanupFailing", deletionB, span{60, 60}, span{}}),
	{name: "evaluation dead", story: "evaluation dead", minutes: 300, alerts: []alert{
		{"LifeboatEvaluationSilent", hourly, span{151, 151}, span{200, 200}},
		{"LifeboatTargetUnprotected", b, span{110, 110}, span{200, 200}},
	}},
	{name: "restore waiting", story: "waiting", minutes: 200, alerts: []alert{
		{"LifeboatRestoreWaiting", `job="lifeboat", target="contoso"`, span{81, 81}, span{155, 165}},
	}},
	{name: "restore waiting, not too long", story: "waiting, not too long", minutes: 200},
	dies("restore waiting", "waiting", alert{"LifeboatRestoreWaiting", `job="lifeboat", target="contoso"`, span{81, 81}, span{}}),
	{name: "restore of nothing", story: "nothing", minutes: 200, alerts: []alert{
		{"LifeboatRestoreIncomplete", `job="lifeboat", restored="nothing", target="contoso"`, span{61, 65}, span{154, 155}},
	}},
	{name: "restore of nothing, a day later", story: "nothing, a day", minutes: 1600, step: 60, alerts: []alert{
		{"LifeboatRestoreIncomplete", `job="lifeboat", restored="nothing", target="contoso"`, span{60, 120}, span{1500, 1560}},
	}},
	dies("restore of nothing", "nothing",
		alert{"LifeboatRestoreIncomplete", `job="lifeboat", restored="nothing", target="contoso"`, span{61, 65}, span{}}),
	{name: "dead letter", story: "dead letter", minutes: 200, alerts: []alert{{"LifeboatDeadLetters", job, span{60, 60}, span{120, 120}}}},
	{
		name: "dead letter, two scrapers, asleep", story: "dead letter", scrapers: 2, asleep: true, minutes: 200,
		alerts: []alert{{"LifeboatDeadLetters", job, span{60, 60}, span{120, 120}}},
	},
	{
		name: "dead letter, instance replaced, then killed", story: "dead letter", replaced: 100, blind: span{150, never}, minutes: 220,
		alerts: []alert{
			{"LifeboatDeadLetters", job, span{60, 60}, span{120, 125}},
			{"LifeboatDown", job, span{174, 176}, span{}},
			{"LifeboatScheduleSilent", job, span{161, 165}, span{}},
			{"LifeboatEvaluationSilent", hourly, span{211, 215}, span{}},
			{"LifeboatCleanupFailing", job, span{201, 215}, span{}},
		},
	},
	dies("dead letter", "dead letter", alert{"LifeboatDeadLetters", job, span{60, 60}, span{}}),
	{name: "plan refused", story: "refused", minutes: 200, alerts: []alert{{"LifeboatPlanRefused", job, span{65, 65}, span{120, 120}}}},
	dies("plan refused", "refused", alert{"LifeboatPlanRefused", job, span{65, 65}, span{}}),
	{name: "security domain not proven", story: "proven", minutes: 300, alerts: []alert{
		{"LifeboatCustodyLate", hourly, span{100, 101}, span{160, 161}},
		{"LifeboatCustodyLate", hourly, span{260, 261}, span{}},
	}},
	{name: "security domain not proven, then killed", story: "proven", blind: span{100, never}, minutes: 170, alerts: []alert{
		{"LifeboatCustodyLate", hourly, span{100, 101}, span{}},
		{"LifeboatDown", job, span{124, 126}, span{}},
		{"LifeboatScheduleSilent", job, span{111, 111}, span{}},
		{"LifeboatEvaluationSilent", hourly, span{131, 135}, span{}},
		{"LifeboatCleanupFailing", job, span{151, 151}, span{}},
	}},
	{name: "event undeliverable", story: "undeliverable", minutes: 1700, step: 60, alerts: []alert{
		{"LifeboatEventsUndeliverable", job, span{60, 60}, span{1490, 1510}},
	}},
	dies("event undeliverable", "undeliverable", alert{"LifeboatEventsUndeliverable", job, span{60, 60}, span{}}),
	{name: "slots swapped", story: "slots swapped", minutes: 240},
	{name: "second app", story: "second app", minutes: 400, alerts: []alert{{"LifeboatSecondApp", job, span{150, 150}, span{295, 296}}}},
	{name: "second app, then killed", story: "second app", blind: span{160, never}, minutes: 300, alerts: []alert{
		{"LifeboatSecondApp", job, span{150, 150}, span{}},
		{"LifeboatDown", job, span{184, 186}, span{}},
		{"LifeboatScheduleSilent", job, span{171, 171}, span{}},
		{"LifeboatEvaluationSilent", hourly, span{211, 211}, span{}},
		{"LifeboatCleanupFailing", job, span{211, 211}, span{}},
		{"LifeboatTargetUnprotected", a, span{241, 241}, span{}},
		{"LifeboatTargetUnprotected", b, span{241, 241}, span{}},
	}},
}
