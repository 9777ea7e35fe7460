package main

import "regexp"

// word is a word that only this project uses, and the standard word for the same thing.
type word struct {
	coined   string // a regular expression
	standard string
	why      string
	later    bool // a name in the code still has it, so that no comment can avoid it: not reported
}

// words is the list of coined words. When the code is renamed, remove later from its word.
var words = []word{
	{"stand-ins?", "fake, simulator", "a test's replacement of a service is a fake", false},
	{"look-?alikes?", "fake, simulator", "a test's replacement of a service is a fake", false},
	{"undialled", "dial error", "a connection that was never made failed to dial", false},
	{"kill walks?", "crash test at every request", "the name says what the test does", false},
	{"line[sd]? up|lining up", "enqueue", "runs wait in a queue", false},
	{"call(s|ed|ing)? up", "dispatch", "a run leaves the wait queue when it is dispatched", false},
	{"(give|gives|gave|given|giving) back", "release", "a permit is acquired and released", false},
	{"wake-?ups?", "step message", "the message makes a run do its next step", false},
	{"doors?", "handler", "a handler answers requests", false},
	{"editions?", "revision", "a plan has revisions", false},
	{"in force", "active", "one revision of a plan is active", false},
	{"ticks?|ticked|ticking", "timer run", "the timer's function runs", false},
	{"sweeps?|swept|sweeping", "rescuer", "it rescues runs that no message is left for", false},
	{"watermarks?", "checkpoint", "it is how far the schedule has been processed", false},
	{"unattended", "downtime", "the app did not run", false},
	{"lost starts?", "ambiguous start", "it is unknown whether the operation started", true},
	{"patience", "retry window, timeout", "both are times", false},
	{"verdicts?", "health state, alert", "health is evaluated", false},
	{"guarding|securing", "pre-check, safety backup", "these are the steps of a restore", true},
	{"rivals?", "conflicting restore", "two restores conflict", false},
	{"abreast", "parallelism", "it is a number of concurrent calls", false},
	{"departures?", "sent policy", "it is known whether the request was sent", false},
	{"lapsed?", "credential expired", "a credential expires", false},
	{"knobs?", "option", "a fake has options", false},
	{"climates?", "fault profile", "it is a distribution of faults", false},
	{"tapes?", "choice log", "it is a log of random choices", false},
	{"dawns?", "day start", "a day starts", false},
}

// patterns match the words that are reported.
var patterns = func() map[*regexp.Regexp]word {
	m := map[*regexp.Regexp]word{}
	for _, w := range words {
		if !w.later {
			m[regexp.MustCompile(`(?i)\b(`+w.coined+`)\b`)] = w
		}
	}
	return m
}()
