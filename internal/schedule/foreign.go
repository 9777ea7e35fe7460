package schedule

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// These are the names of the dialects whose forms are known here.
const (
	aws       = "AWS"
	quartz    = "Quartz"
	spring    = "Quartz or Spring"
	jenkins   = "Jenkins"
	macros    = "Vixie cron and Kubernetes"
	robfig    = "Kubernetes (robfig/cron)"
	fugit     = "fugit (GitLab, sidekiq-cron)"
	croniter  = "croniter"
	icalendar = "iCalendar (RRULE)"
	systemd   = "systemd"
	functions = "Azure Functions (TimeSpan)"
	openBSD   = "OpenBSD and cronie"
)

// foreign refuses recognizable forms of other dialects, and a text without five or six fields.
func foreign(text string) *Refusal {
	upper := strings.ToUpper(strings.TrimSpace(text))
	inside := func(function string) (string, bool) {
		rest, ok := strings.CutPrefix(upper, function+"(")
		return strings.TrimSuffix(rest, ")"), ok
	}
	if assigned := zoneFirst.FindStringSubmatch(strings.TrimSpace(text)); assigned != nil {
		return zoned(robfig, assigned[1], strings.Fields(assigned[2]))
	}
	if of, ok := inside("CRON"); ok {
		if fields := strings.Fields(of); len(fields) == 6 {
			return ofAWS(fields)
		}
		return formOf(aws, "; cron() has six fields there")
	}
	if of, ok := inside("RATE"); ok {
		return ofInterval(aws, rate(of))
	}
	if of, ok := inside("AT"); ok {
		return formOf(aws, " for the one time "+of+"; ask for a backup by hand then")
	}
	switch {
	case strings.HasPrefix(upper, "@"):
		return macro(upper)
	case strings.Contains(upper, "FREQ="):
		return ofRRULE(upper)
	case timeSpan.MatchString(upper):
		return ofInterval(functions, span(upper))
	case calendar.MatchString(upper):
		return ofSystemd(calendar.FindStringSubmatch(upper))
	}
	return ofFields(text, strings.Fields(text))
}

var (
	zoneFirst = regexp.MustCompile(`^(?i:CRON_TZ|TZ)=(\S*)\s*(.*)$`)
	zoneLast  = regexp.MustCompile(`^([A-Z][A-Za-z]+/[A-Z][A-Za-z_/+-]+|UTC|GMT|Z)$`)
	timeSpan  = regexp.MustCompile(`^(\d+\.)?\d\d?:\d\d:\d\d$`)
	hashed    = regexp.MustCompile(`(?i)^H(?:\((\d+)-(\d+)\))?(?:/(\d+))?$`)
	years     = regexp.MustCompile(`^\d{4}([-,/]\S*)?$`)
	digits    = regexp.MustCompile(`(^|[,/-])\d`)
	calendar  = regexp.MustCompile(`^(?:([A-Z]{3}[A-Z,.]*) +)?(?:\*-\*-(\*|\d\d?) +)?(\d\d?):(\d\d?)(?::(\d\d?))?$`)
)

// ofFields refuses a text whose fields show its dialect.
func ofFields(text string, texts []string) *Refusal {
	if len(texts) == 0 {
		return &Refusal{Reason: malformed + "nothing stands there"}
	}
	last := len(texts) - 1
	in := func(i int, mark string) bool { return i <= last && texts[i] == mark }
	switch {
	case zoneLast.MatchString(texts[last]):
		return zoned(fugit, texts[last], texts[:last])
	case (len(texts) == 5 || len(texts) == 6) && slices.ContainsFunc(texts, isHashed):
		return ofJenkins(texts)
	case strings.Contains(text, "~"):
		return formOf(openBSD, ": ~ is a random time, which is another one after each start; write a time, and jitter spreads the targets")
	case strings.Contains(text, "%"):
		return &Refusal{Reason: "is a line of a crontab: % ends a command there; write the five fields alone"}
	case len(texts) == 7 && (texts[6] == "*" || years.MatchString(texts[6])):
		return ofQuartz(texts)
	case len(texts) == 6 && (in(2, "?") || in(4, "?") || years.MatchString(texts[5])):
		return ofAWS(texts)
	case len(texts) == 5 && years.MatchString(texts[4]):
		return &Refusal{Reason: "ends in a year, which cannot be said here"}
	case len(texts) == 6 && in(3, "?") && digits.MatchString(texts[5]):
		return ofQuartz(texts)
	case len(texts) != 5 && len(texts) != 6:
		return &Refusal{Reason: malformed + fmt.Sprintf("it has %d", len(texts))}
	case strings.ContainsFunc(text, func(c rune) bool { return c != ' ' && (c < '!' || c > '~') }):
		return &Refusal{
			Reason: malformed + "only spaces can stand between the fields", Write: []string{strings.Join(texts, " ")},
		}
	}
	if n, err := strconv.Atoi(texts[last]); len(texts) == 6 && err == nil && n > 7 && n < 60 {
		return formOf(croniter, ", with the seconds last; seconds come first here", texts[last]+" "+strings.Join(texts[:last], " "))
	}
	return nil
}

// formOf refuses a form of the dialect. The words go on from its name, and the lines may be written instead.
func formOf(dialect, words string, lines ...string) *Refusal {
	return &Refusal{Reason: "is a form of " + dialect + words, Write: lines}
}

// zoned refuses a time zone in the expression.
func zoned(dialect, zone string, texts []string) *Refusal {
	return formOf(dialect, "; here the time zone has a field of its own, timeZone: "+zone, strings.Join(texts, " "))
}

func isHashed(text string) bool {
	return slices.ContainsFunc(strings.Split(text, ","), hashed.MatchString)
}

// ofJenkins puts the lowest value in place of the hash of the job's name.
func ofJenkins(texts []string) *Refusal {
	var line []string
	for i, text := range texts {
		items := strings.Split(text, ",")
		for j, item := range items {
			m := hashed.FindStringSubmatch(item)
			switch {
			case m == nil:
			case m[1] != "" && m[3] != "":
				items[j] = m[1] + "-" + m[2] + "/" + m[3]
			case m[1] != "":
				items[j] = m[1]
			case m[3] != "":
				items[j] = "*/" + m[3]
			default:
				items[j] = strconv.Itoa(places[len(places)-len(texts)+i].from)
			}
		}
		line = append(line, strings.Join(items, ","))
	}
	return formOf(jenkins, ": H depends on the name of a job there; write a time, and jitter spreads the targets", strings.Join(line, " "))
}

// macro refuses @daily and its like.
func macro(text string) *Refusal {
	name, argument, _ := strings.Cut(text, " ")
	line := map[string]string{
		"@YEARLY": "0 0 1 1 *", "@ANNUALLY": "0 0 1 1 *", "@MONTHLY": "0 0 1 * *", "@WEEKLY": "0 0 * * SUN",
		"@DAILY": "0 0 * * *", "@MIDNIGHT": "0 0 * * *", "@HOURLY": "0 * * * *",
	}[name]
	switch {
	case name == "@EVERY":
		d, _ := time.ParseDuration(strings.ToLower(strings.TrimSpace(argument)))
		return ofInterval(robfig, d)
	case line == "":
		return formOf(macros, "; it is no time")
	}
	return formOf(macros, "", line)
}

// rate reads AWS's interval; 0 if it is none.
func rate(text string) time.Duration {
	count, unit, _ := strings.Cut(strings.TrimSpace(text), " ")
	n, err := strconv.Atoi(count)
	if err != nil || n > 1000 {
		return 0
	}
	return time.Duration(n) * map[string]time.Duration{
		"MINUTE": time.Minute, "HOUR": time.Hour, "DAY": 24 * time.Hour,
	}[strings.TrimSuffix(strings.TrimSpace(unit), "S")]
}

// span reads hh:mm:ss, with days before a point.
func span(text string) time.Duration {
	days, clock, ok := strings.Cut(text, ".")
	if !ok {
		days, clock = "0", text
	}
	d, _ := strconv.Atoi(days)
	n := strings.Split(clock, ":")
	length, _ := time.ParseDuration(n[0] + "h" + n[1] + "m" + n[2] + "s")
	return length + time.Duration(min(d, 1000))*24*time.Hour
}

// ofInterval refuses an interval from some start, and proposes a line that comes equally often by the clock.
func ofInterval(dialect string, every time.Duration) *Refusal {
	r := formOf(dialect, " that counts from some start; here scheduled times are times of the clock")
	step := func(unit, of time.Duration, before, after string) {
		if every > 0 && every < of && every%unit == 0 && of%every == 0 {
			by := "*"
			if n := every / unit; n > 1 {
				by = fmt.Sprintf("*/%d", n)
			}
			r.Write = []string{before + by + after}
		}
	}
	step(time.Second, time.Minute, "", " * * * * *")
	step(time.Minute, time.Hour, "", " * * * *")
	step(time.Hour, 24*time.Hour, "0 ", " * * *")
	switch {
	case every == 24*time.Hour:
		r.Write = []string{"0 0 * * *"}
	case every == 7*24*time.Hour:
		r.Write = []string{"0 0 * * SUN"}
	case r.Write == nil:
		r.Reason += ", and none come at that interval"
	}
	return r
}

// ofRRULE turns a simple rule into five fields.
func ofRRULE(text string) *Refusal {
	r := formOf(icalendar, "")
	rule := map[string]string{}
	for part := range strings.SplitSeq(strings.TrimPrefix(text, "RRULE:"), ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		rule[name] = value
	}
	at, hours := cmp.Or(rule["BYMINUTE"], "0"), cmp.Or(rule["BYHOUR"], "0")
	step := cmp.Or(rule["INTERVAL"], "1")
	if by, ok := number(step); !ok || by != 1 && rule["FREQ"] != "HOURLY" && rule["FREQ"] != "MINUTELY" {
		r.Reason += "; an INTERVAL cannot be said here"
		return r
	}
	byDate, months := cmp.Or(rule["BYMONTHDAY"], "*"), cmp.Or(rule["BYMONTH"], "*")
	if byDate == "-1" {
		byDate = "L"
	}
	var names []string
	for d := range strings.SplitSeq(rule["BYDAY"], ",") {
		count := strings.TrimRight(d, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
		for _, name := range weekday.names {
			if strings.TrimPrefix(d, count) != short(name)[:2] {
				continue
			}
			switch count {
			case "":
				names = append(names, short(name))
			case "-1":
				names = append(names, short(name)+"L")
			default:
				names = append(names, short(name)+"#"+strings.TrimPrefix(count, "+"))
			}
		}
	}
	byName := cmp.Or(strings.Join(names, ","), "*")
	every := "/" + step
	switch rule["FREQ"] {
	case "MINUTELY":
		at, hours = "*"+every, cmp.Or(rule["BYHOUR"], "*")
	case "HOURLY":
		hours = "*" + every
	case "WEEKLY", "MONTHLY", "YEARLY":
		if rule["FREQ"] == "YEARLY" {
			months = cmp.Or(rule["BYMONTH"], "1")
		}
		if byName == "*" && byDate == "*" {
			if byDate = "1"; rule["FREQ"] == "WEEKLY" {
				byDate, byName = "*", "SUN"
			}
		}
	}
	if rule["BYHOUR"] == "" || rule["BYMINUTE"] == "" {
		r.Reason += "; the parts that it leaves to DTSTART must stand here"
	}
	line := strings.Join([]string{at, hours, byDate, months, byName}, " ")
	r.Write = []string{strings.ReplaceAll(line, "*/1 ", "* ")}
	return r
}

// ofSystemd turns a calendar event of days of the week, a day of the month and a time into a line.
func ofSystemd(m []string) *Refusal {
	byName := cmp.Or(strings.ReplaceAll(m[1], "..", "-"), "*")
	line := strings.Join([]string{plain(m[4]), plain(m[3]), plain(cmp.Or(m[2], "*")), "*", byName}, " ")
	if s := plain(m[5]); s != "" && s != "0" {
		line = s + " " + line
	}
	return formOf(systemd, "", line)
}

// plain returns a number without zeros before it.
func plain(text string) string {
	if n, err := strconv.Atoi(text); err == nil {
		return strconv.Itoa(n)
	}
	return text
}
