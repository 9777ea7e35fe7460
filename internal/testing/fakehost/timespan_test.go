package fakehost

import (
	"testing"
	"time"
)

func TestParseTimeSpan(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"00:05:00":         5 * time.Minute,
		"0:0:30":           30 * time.Second,
		"00:00:00.500":     500 * time.Millisecond,
		"00:00:00.0000001": 100,
		"23:59":            23*time.Hour + 59*time.Minute,
		"1.02:03:04":       26*time.Hour + 3*time.Minute + 4*time.Second,
		"1.02:03":          26*time.Hour + 3*time.Minute,
		"1:02:03:04":       26*time.Hour + 3*time.Minute + 4*time.Second,
		"24:00:00":         24 * 24 * time.Hour,
		"30:12:15":         30*24*time.Hour + 12*time.Hour + 15*time.Minute,
		"2":                48 * time.Hour,
		"-1":               -24 * time.Hour,
		"-00:00:01":        -time.Second,
	} {
		if got, err := parseTimeSpan(text); err != nil || got != want {
			t.Errorf("%q = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "5m", "00:60:00", "00:00:60", "25:00", "1:2:3:4:5", "00:00:00.", "x", "99999999"} {
		if got, err := parseTimeSpan(text); err == nil {
			t.Errorf("%q = %v, want an error", text, got)
		}
	}
}
