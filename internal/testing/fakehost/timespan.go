package fakehost

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// timeSpan is .NET's text form of a duration: days alone, or [days.]hours:minutes[:seconds[.fraction]], or
// days:hours:minutes:seconds.
var timeSpan = regexp.MustCompile(`^\s*(-)?(?:(\d+)|(?:(\d+)([.:]))??(\d+):(\d+)(?::(\d+)(?:\.(\d{1,7}))?)?)\s*$`)

// parseTimeSpan accepts the same texts as TimeSpan.Parse. With three numbers the first is hours, or days if it is 24 or more.
func parseTimeSpan(text string) (time.Duration, error) {
	parts := timeSpan.FindStringSubmatch(text)
	if parts == nil {
		return 0, fmt.Errorf("%q is not a time span of the form [d.]hh:mm[:ss[.fff]]", text)
	}
	var numbers [5]int64 // days, hours, minutes, seconds, units of 100 ns
	for i, part := range []string{parts[2] + parts[3], parts[5], parts[6], parts[7], (parts[8] + "0000000")[:7]} {
		if part == "" {
			continue
		}
		n, err := strconv.ParseInt(part, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("time span %q: %w", text, err)
		}
		numbers[i] = n
	}
	days, hours, minutes, seconds, units := numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]
	if parts[4] == ":" && parts[7] == "" { // a:b:c
		days, hours, minutes, seconds = 0, days, hours, minutes
	}
	if parts[3] == "" && hours >= 24 && parts[7] != "" && parts[8] == "" {
		days, hours, minutes, seconds = hours, minutes, seconds, 0
	}
	if days > 10675199 || hours > 23 || minutes > 59 || seconds > 59 {
		return 0, fmt.Errorf("time span %q: a number is out of range", text)
	}
	d := time.Duration(days)*24*time.Hour + time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute +
		time.Duration(seconds)*time.Second + time.Duration(units)*100
	if parts[1] != "" {
		d = -d
	}
	return d, nil
}
