// Package clocks says how changes of the clocks affect schedules.
package clocks

import (
	"fmt"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/config"
	"lifeboat/internal/schedule"
	"lifeboat/internal/tzdata"
)

// Changes lists the days among the scheduled times on which a change of the zone's clocks affects the schedule, and the
// times at which Azure Functions would differ.
func Changes(p backup.Plan, scheduledTimes []time.Time) []string {
	var lines []string
	day := ""
	for _, scheduledTime := range scheduledTimes {
		local := scheduledTime.In(p.Schedule.Zone)
		date := local.Format(time.DateOnly)
		if date == day {
			continue
		}
		day = date
		y, m, d := local.Date()
		noon := time.Date(y, m, d-1, 12, 0, 0, 0, p.Schedule.Zone) // a day may begin with the change, or end with it
		for _, change := range tzdata.Changes(p.Schedule.Zone, noon, noon.Add(48*time.Hour)) {
			old, fresh := clocks(change, p.Schedule.Zone)
			if earlier(old, fresh).Format(time.DateOnly) != date {
				continue
			}
			if text := clockChange(p.Schedule, old, fresh); text != "" {
				lines = append(lines, fmt.Sprintf("%s: the clocks of %s go from %s to %s at %s: %s", date, p.Schedule.Zone,
					old.Format(clock), fresh.Format(clock), change.UTC().Format("15:04Z"), text))
			}
		}
	}
	return lines
}

// OtherZones lists the plans' zones in which this machine's clocks differ from Lifeboat's data, within two years.
func OtherZones(plans []backup.Plan, machineZone func(name string) (*time.Location, error), now time.Time) []string {
	var lines []string
	seen := map[string]bool{}
	for _, p := range plans {
		zone := p.Schedule.Zone
		if machineZone == nil || seen[zone.String()] {
			continue
		}
		seen[zone.String()] = true
		machine, err := machineZone(zone.String())
		if err != nil {
			continue // the machine has none, or is not asked
		}
		if at, differ := tzdata.Differ(zone, machine, now, now.AddDate(2, 0, 0)); differ {
			lines = append(lines, fmt.Sprintf("from %s on %s is %s, by the time zones %s of Lifeboat, which count; this machine's own are "+
				"older or newer, and say %s", at.UTC().Format(time.RFC3339), zone, at.In(zone).Format("-07:00"), config.TimeZones(),
				at.In(machine).Format("-07:00")))
		}
	}
	return lines
}

const clock = "15:04"

// clocks returns the times on the zone's clocks at a change, before and after it, as if they were in UTC.
func clocks(change time.Time, zone *time.Location) (old, fresh time.Time) {
	_, before := change.Add(-time.Nanosecond).In(zone).Zone()
	_, after := change.In(zone).Zone()
	change = change.UTC()
	return change.Add(time.Duration(before) * time.Second), change.Add(time.Duration(after) * time.Second)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// clockChange describes the effect of a change of the clocks on the schedule; "" if there is none.
func clockChange(s schedule.Schedule, old, fresh time.Time) string {
	const elapsed, once = "scheduled times follow elapsed time", "scheduled times in the repeated time come once, the first time"
	forward := fresh.After(old)
	if s.Hour == schedule.EveryHour {
		switch {
		case fresh.Equal(old):
			return "" // another name for the same time
		case forward && fresh.Sub(old)%time.Hour != 0:
			return elapsed + " and the minutes that the clocks show; Azure Functions has one more, at " + fresh.Format(clock)
		case forward:
			return elapsed + ", and the missing time has none"
		}
	}
	named, consecutive := 0, false // scheduled times of the missing or repeated time, and whether the next hour has some too
	begin := earlier(old, fresh)
	end := begin.Add(old.Sub(fresh).Abs())
	s.Zone = time.UTC // as the clocks are
	for at := range s.After(begin.Add(-time.Second)) {
		if !at.Before(end) {
			break
		}
		named++
		consecutive = consecutive || s.Hour>>((at.Hour()+1)%24)&1 == 1
	}
	halfHour := old.Sub(fresh)%time.Hour != 0 // only Lord Howe, among the zones that change each year
	switch {
	case s.Hour == schedule.EveryHour && halfHour && named == 1:
		return elapsed + ", and the repeated time has its scheduled time twice; Azure Functions takes the next one by the old clocks in place of the second"
	case s.Hour == schedule.EveryHour:
		return elapsed + ", and the repeated time has its scheduled times twice"
	case named == 0:
		return ""
	case forward && named == 1:
		return "the scheduled time in between comes as much later"
	case forward:
		return fmt.Sprintf("the %d scheduled times in between come as much later, each of them; Azure Functions has the first alone, at %s", named,
			fresh.Format(clock))
	case consecutive && halfHour:
		return once + "; Azure Functions has more, since the next hour is named too"
	case consecutive:
		return once + "; Azure Functions has them twice, since the next hour is named too"
	}
	return once
}
