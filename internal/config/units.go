package config

import (
	"fmt"
	"strconv"
	"strings"

	"lifeboat/internal/backup"
	"lifeboat/internal/pattern"
)

// inMinutes matches a time in minutes.
var inMinutes = pattern.New(`^[1-9][0-9]{0,5}m$`)

// months says what to write for a time of recovery points in the unit m: it is minutes in window and jitter, and a month in
// other programs that keep backups.
func months(within string) string {
	n, _ := strconv.Atoi(strings.TrimSuffix(within, "m"))
	minutes, days := fmt.Sprintf("%ds", n*60), n*31
	if n*60 > 999_999 {
		minutes = fmt.Sprintf("%dh", (n+59)/60)
	}
	if days > int(backup.LongestKeep.Hours()/24) {
		return fmt.Sprintf("within %s: keep has no unit m, which may be minutes or months: write %s for minutes", within, minutes)
	}
	return fmt.Sprintf("within %s: keep has no unit m, which may be minutes or months: write %dd for months, or %s for minutes", within, days, minutes)
}

// inMonths matches a time in months or years, as other programs write it.
var inMonths = pattern.New(`^([1-9][0-9]{0,5}) ?(mo|M|months?|y|Y|yr|years?)$`)

// inDays returns the time in days that is at least as long as one in months or years; "" if it is none, or longer than any.
func inDays(within string) string {
	match := inMonths.FindStringSubmatch(within)
	if match == nil {
		return ""
	}
	n, _ := strconv.Atoi(match[1])
	if days := n * map[bool]int{true: 31, false: 366}[strings.HasPrefix(strings.ToLower(match[2]), "m")]; days <= int(backup.LongestKeep.Hours()/24) {
		return fmt.Sprintf("%dd", days)
	}
	return ""
}

// endless are the words by which other programs say that a rule has no end.
var endless = []string{"unlimited", "infinite", "forever", "all", "none", "never"}

// withoutEnd says what to write for a rule of keep without an end.
func withoutEnd(value, rule string, onDemand bool) string {
	if onDemand {
		return fmt.Sprintf("%s %s: write %dd, the longest time", rule, value, int(backup.LongestKeep.Hours()/24))
	}
	return fmt.Sprintf("%s %s: to delete nothing that the schedule made leave keep out, to switch the rule off leave %s out", rule, value, rule)
}
