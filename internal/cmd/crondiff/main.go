// Crondiff compares the schedules of plan.yaml with the Functions host's own parser: make cron-diff. It deploys timers with
// generated expressions, reads the next five occurrences of each from the host's log, and compares them. Some kinds differ
// where clocks change, and docs/design.md names them; after any other difference Crondiff exits with 1.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/schedule"
	"lifeboat/internal/testing/fakehost"
	"lifeboat/internal/testing/realhost"
	"lifeboat/internal/testing/stack"
	"lifeboat/internal/tzdata"
)

// zones lists time zones, with the days of 2027 on which their clocks change.
var zones = []struct {
	name string
	days []string // day of the month and month
}{
	{"Europe/Zurich", []string{"28 3", "31 10"}},
	{"America/New_York", []string{"14 3", "7 11"}},
	{"Australia/Lord_Howe", []string{"4 4", "3 10"}},
	{"UTC", nil},
}

const (
	account = "crondiff"
	atOnce  = 100 // timers of one host: it gives up after some two minutes, since it gets no response
	// timeout is the time limit for a host to list its timers: 10 to 30 s were measured.
	timeout = 4 * time.Minute
)

func main() {
	n := flag.Int("n", 2000, "how many expressions to compare")
	seed := flag.Uint64("seed", 1, "of the expressions")
	flag.Parse()
	host, err := realhost.Find()
	if err != nil {
		fmt.Fprintln(os.Stderr, "make cron-diff:", err)
		os.Exit(2)
	}
	if err := run(context.Background(), host, *n, *seed); err != nil {
		fmt.Fprintln(os.Stderr, "cron-diff:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, host realhost.Program, n int, seed uint64) (err error) {
	dir, err := os.MkdirTemp("", "lifeboat-crondiff-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := stack.Start(ctx, stack.Config{Dir: dir, Accounts: []string{account}, TimeScale: 1, Seed: seed})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	s.Grant("app", account)
	random := rand.New(rand.NewPCG(seed, 0))
	var same, documented, other, unlisted int
	byKind := map[string]int{} // counts the documented differences
	for z := 0; same+documented+other < n; z++ {
		zone, err := tzdata.Embedded().Load(zones[z%len(zones)].name)
		if err != nil {
			return err
		}
		expressions := generate(random, zones[z%len(zones)].days, min(atOnce, n-same-documented-other))
		began := time.Now()
		listed, err := list(ctx, s, host, dir, zone.String(), expressions)
		if err != nil {
			return err
		}
		for i, text := range expressions {
			theirs := listed[i]
			if theirs == nil {
				fmt.Printf("%s %q: not listed by the host\n", zone, text) // the host refused it, or gave up before it
				unlisted++
				continue
			}
			e, err := schedule.Parse(text)
			if err != nil {
				return err // every generated expression is valid
			}
			ours := e.In(zone)
			switch mine := next(ours, since(ours, began, theirs[0]), len(theirs)); {
			case slices.EqualFunc(mine, theirs, time.Time.Equal):
				same++
			default:
				found := kinds(mine, theirs, zone)
				names := slices.Sorted(maps.Keys(found))
				fmt.Printf("%s %q, %s:\n  host %s\n  ours %s\n", zone, text, strings.Join(names, " and "), show(theirs), show(mine))
				if found[""] {
					other++
					break
				}
				documented++
				for _, kind := range names {
					byKind[kind]++
				}
			}
		}
		fmt.Printf("%s: %d expressions, %.0f s\n", zone, len(expressions), time.Since(began).Seconds())
	}
	fmt.Printf("of %d expressions that both take %d have the same times; %d differ where clocks change: in a missing hour %d, in a repeated "+
		"one %d, by a stray behind it %d; %d differ elsewhere; the host did not list %d more\n", same+documented+other, same, documented,
		byKind["missing"], byKind["repeated"], byKind["stray"], other, unlisted)
	if other > 0 {
		return fmt.Errorf("%d differences that are in no document", other)
	}
	return nil
}

// since returns a time just before the host's first scheduled time. If Lifeboat's first scheduled time is earlier, and had not
// passed when the host listed its own, since returns a time just before that.
func since(s schedule.Schedule, began, first time.Time) time.Time {
	if scheduledTime := s.Next(began); scheduledTime.Before(first) && scheduledTime.After(time.Now()) {
		first = scheduledTime
	}
	return first.Add(-time.Second)
}

func next(s schedule.Schedule, after time.Time, n int) []time.Time {
	var scheduledTimes []time.Time
	for scheduledTime := range s.After(after) {
		if scheduledTimes = append(scheduledTimes, scheduledTime); len(scheduledTimes) == n {
			break
		}
	}
	return scheduledTimes
}

// kinds returns the documented kinds of the differences, up to the end of the first list; "" among them means a difference of
// no documented kind. Each lies in an hour that the clocks repeat or jump over, or is a stray: after a scheduled time of a
// repeated hour the host adds one more scheduled time by that hour's first offset, however far away. "30 1,2 31 10 *" in Zurich
// has 2028-10-30T23:30Z there.
func kinds(ours, theirs []time.Time, zone *time.Location) map[string]bool {
	end := ours[len(ours)-1]
	if last := theirs[len(theirs)-1]; last.Before(end) {
		end = last
	}
	strays := map[time.Time]bool{} // the host's, and Lifeboat's scheduled times that they replace
	for i, scheduledTime := range theirs[1:] {
		if kind, jump := atChange(theirs[i], zone); kind == "repeated" && slices.ContainsFunc(ours, scheduledTime.Add(jump).Equal) {
			strays[scheduledTime.UTC()], strays[scheduledTime.Add(jump).UTC()] = true, true
		}
	}
	found := map[string]bool{}
	differ := func(scheduledTimes, others []time.Time) {
		for _, scheduledTime := range scheduledTimes {
			if scheduledTime.After(end) || slices.ContainsFunc(others, scheduledTime.Equal) {
				continue
			}
			kind, _ := atChange(scheduledTime, zone)
			if kind == "" && strays[scheduledTime.UTC()] {
				kind = "stray"
			}
			found[kind] = true
		}
	}
	differ(ours, theirs)
	differ(theirs, ours)
	return found
}

// atChange tells whether the instant is in the first or second pass of repeated time, or in as much time as the clocks jumped
// over, directly after the jump. It also returns the length of the jump.
func atChange(scheduledTime time.Time, zone *time.Location) (kind string, jump time.Duration) {
	start, end := scheduledTime.In(zone).ZoneBounds()
	ahead := func(t time.Time) time.Duration {
		_, seconds := t.In(zone).Zone()
		return time.Duration(seconds) * time.Second
	}
	if !start.IsZero() {
		jump = ahead(start) - ahead(start.Add(-time.Second))
		switch {
		case jump > 0 && scheduledTime.Before(start.Add(jump)):
			return "missing", jump
		case jump < 0 && scheduledTime.Before(start.Add(-jump)):
			return "repeated", -jump
		}
	}
	if !end.IsZero() {
		if jump = ahead(end) - ahead(end.Add(-time.Second)); jump < 0 && !scheduledTime.Before(end.Add(jump)) {
			return "repeated", -jump
		}
	}
	return "", 0
}

func show(scheduledTimes []time.Time) string {
	var texts []string
	for _, scheduledTime := range scheduledTimes {
		texts = append(texts, scheduledTime.UTC().Format("2006-01-02T15:04:05Z"))
	}
	return strings.Join(texts, " ")
}

// generate returns expressions that are valid here and in NCRONTAB: a third of them for the days.
func generate(random *rand.Rand, days []string, n int) []string {
	pick := func(from ...string) string { return from[random.IntN(len(from))] }
	number := func(from, to int) string { return fmt.Sprint(from + random.IntN(to-from+1)) }
	span := func(from, to int) string {
		low := from + random.IntN(to-from)
		return fmt.Sprintf("%d-%s", low, number(low+1, to))
	}
	item := func(from, to int) string {
		switch random.IntN(6) {
		case 0:
			return span(from, to)
		case 1:
			return "*/" + number(2, (to-from)/2)
		case 2:
			return number(from, from+(to-from)/2) + "/" + number(1, (to-from)/2)
		case 3:
			return span(from, to) + "/" + pick("1", "2", "3")
		}
		return number(from, to)
	}
	field := func(from, to, any int) string {
		if random.IntN(10) < any {
			return "*"
		}
		text := item(from, to)
		for range random.IntN(3) {
			text += "," + item(from, to)
		}
		return text
	}
	names := strings.Fields("SUN Mon tue WED THU Fri sat")
	weekday := func() string {
		low := random.IntN(6)
		high := low + 1 + random.IntN(6-low)
		return pick(number(0, 6), names[low], fmt.Sprintf("%d-%s", low, names[high]), names[low]+"-"+names[high], names[low]+","+number(0, 6),
			fmt.Sprintf("%d-%d/2", low, high), "MON-FRI")
	}
	var texts []string
	for len(texts) < n {
		text := field(0, 59, 2) + " " + field(0, 23, 3)
		switch {
		case days != nil && random.IntN(3) == 0:
			hours := pick("*", "1", "2", "3", "1,2", "2,3", "1-3", "1,2,3", "*/2", "0-4", "1,3")
			text = pick("0", "30", "*/15", "*/30", "15,45", "10") + " " + hours + " " + days[random.IntN(len(days))] + " *"
		case random.IntN(2) == 0:
			text += " * " + field(1, 12, 7) + " " + pick("*", weekday(), weekday())
		default:
			text += " " + field(1, 31, 2) + " " + pick("*", "JAN", "feb-NOV", "3", field(1, 12, 0)) + " *"
		}
		if random.IntN(3) == 0 {
			text = pick("0", "15", "*/20", "0,30", "5-7") + " " + text
		}
		if _, err := schedule.Parse(text); err == nil {
			texts = append(texts, text)
		}
	}
	return texts
}

var (
	header     = regexp.MustCompile(`next 5 occurrences of the 't(\d+)' schedule`)
	occurrence = regexp.MustCompile(`(\d\d/\d\d/\d{4} \d\d:\d\d:\d\d)Z\)?$`)
)

// list deploys the timers to a host, and reads its log until the host has listed all of them, or is ready. The result for a
// refused timer is nil.
func list(ctx context.Context, s *stack.Stack, program realhost.Program, dir, zone string, expressions []string) ([][]time.Time, error) {
	app, err := os.MkdirTemp(dir, "app")
	if err != nil {
		return nil, err
	}
	settings, err := os.ReadFile(filepath.Join(s.Root, "host.json"))
	if err != nil {
		return nil, err
	}
	err = errors.Join(os.WriteFile(filepath.Join(app, "host.json"), settings, 0o600),
		os.WriteFile(filepath.Join(app, "lifeboat"), []byte("#!/bin/sh\nexec sleep 600\n"), 0o700)) // no timer should reach it
	for i, text := range expressions {
		name := filepath.Join(app, fmt.Sprintf("t%d", i))
		binding := fmt.Sprintf(`{"bindings":[{"type":"timerTrigger","name":"t","direction":"in","useMonitor":false,"schedule":%q}]}`, text)
		err = errors.Join(err, os.Mkdir(name, 0o700), os.WriteFile(filepath.Join(name, "function.json"), []byte(binding), 0o600))
	}
	if err != nil {
		return nil, err
	}
	appSettings, err := s.Settings(stack.AppConfig{Name: "app", Account: account, WaitFactor: 1})
	if err != nil {
		return nil, err
	}
	appSettings["TZ"] = zone
	lines := make(chan string)
	ended, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	host, err := realhost.Start(ctx, realhost.Config{
		Program: program, App: app, Dir: dir, Settings: appSettings, Env: s.Environment("app"),
		Log: func(e fakehost.Entry) {
			select {
			case lines <- e.Text:
			case <-ended.Done():
			}
		},
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		cancel() // the rest of its log is not needed
		host.Kill()
	}()
	listed := make([][]time.Time, len(expressions))
	at, left, ready := -1, len(expressions), false
	for ended.Err() == nil {
		var line string
		select {
		case line = <-lines:
		case <-host.Done():
			cancel()
			continue
		case <-ended.Done():
			continue
		}
		if m := header.FindStringSubmatch(line); m != nil {
			if _, err := fmt.Sscan(m[1], &at); err != nil || at >= len(listed) {
				return nil, fmt.Errorf("the host tells of a timer that is not there: %s", line)
			}
			left--
		} else if m := occurrence.FindStringSubmatch(line); m != nil && at >= 0 {
			scheduledTime, err := time.Parse("01/02/2006 15:04:05", m[1])
			if err != nil {
				return nil, err
			}
			listed[at] = append(listed[at], scheduledTime)
		} else if strings.TrimSpace(line) == "" && at >= 0 {
			at = -1
		}
		ready = ready || strings.Contains(line, "Job host started")
		if ready && at < 0 && left <= 0 {
			return listed, nil
		}
	}
	if !ready {
		return nil, fmt.Errorf("the host did not list its timers: %w", errors.Join(host.Err(), ended.Err()))
	}
	return listed, nil
}
