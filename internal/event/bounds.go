package event

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"lifeboat/internal/backup"
)

// longestData is the greatest length of an event's data, in bytes. So they fit into one column of the outbox, which has room for 32 Ki
// characters (Azure's documentation of the table service's data model). With the rest of its message, at most a few KiB, an event stays
// below 48 KiB: in base64 that is a queue message of 64 KiB, the largest (Azure's documentation "Put Message").
const longestData = 32 << 10

// longestName is the greatest length of a name or an ID, in characters: a longer text is words for people.
const longestName = 512

// encode makes the data of an event. If they are too long, it cuts words for people off, the longest first. Otherwise the save that
// keeps the event would fail for ever, and its run would never end.
func encode(v any) json.RawMessage {
	data := backup.Encode(v)
	for most := 2048; len(data) > longestData && most >= 128; most /= 2 {
		var all any
		if json.Unmarshal(data, &all) == nil { // it always is: the data were just made, and no number in them is near 2^53
			data = backup.Encode(cut(all, most))
		}
	}
	return data
}

// cut cuts the words for people in the value off that have more characters. A name has no space.
func cut(v any, most int) any {
	switch v := v.(type) {
	case string:
		if n := utf8.RuneCountInString(v); n > most && (n > longestName || strings.Contains(v, " ")) {
			return string([]rune(v)[:most-1]) + "…"
		}
	case []any:
		for i := range v {
			v[i] = cut(v[i], most)
		}
	case map[string]any:
		for name := range v {
			v[name] = cut(v[name], most)
		}
	}
	return v
}

// fitting returns the lines of plan diff that fit into an event, in their order: first those with a mark of attention, then the others.
func fitting(lines []string) (fit []string) {
	const room = 24 << 10 // the rest of the data is small
	taken, left := make([]bool, len(lines)), room
	for _, marked := range []bool{true, false} {
		for i, line := range lines {
			if n := len(backup.Encode(line)) + 1; strings.HasPrefix(line, "!") == marked && n <= left {
				taken[i], left = true, left-n
			}
		}
	}
	for i, line := range lines {
		if taken[i] {
			fit = append(fit, line)
		}
	}
	return fit
}
