// Package text writes for people: words, sizes, times, and tables that fit the terminal.
package text

import (
	"fmt"
	"strings"
	"unicode"
)

// Plain returns a text from outside, on one line and without control characters.
func Plain[T ~string](text T) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, string(text))
}

// Count returns "1 run" or "2 runs".
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Size returns a size in bytes for people, in powers of 1024.
func Size(n int64) string {
	size, unit := float64(n), 0
	for ; size >= 1024 && unit < 4; unit++ {
		size /= 1024
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %ciB", size, "KMGT"[unit-1])
}

// Age returns an age in seconds for people, by its two largest units.
func Age(seconds int64) string {
	switch d, h, m := seconds/86400, seconds/3600%24, seconds/60%60; {
	case d > 0:
		return fmt.Sprintf("%dd%dh", d, h)
	case h > 0:
		return fmt.Sprintf("%dh%dm", h, m)
	case m > 0:
		return fmt.Sprintf("%dm%ds", m, seconds%60)
	}
	return fmt.Sprintf("%ds", seconds)
}
