package metrics

import (
	"cmp"
	"mime"
	"strconv"
	"strings"
)

// Format is one of the text formats of metrics.
type Format string

// The formats are exact content types: Prometheus 3.16 fails a scrape of any other, OpenMetrics 2.0.0 among them.
const (
	Text        Format = "text/plain; version=0.0.4; charset=utf-8"
	OpenMetrics Format = "application/openmetrics-text; version=1.0.0; charset=utf-8"
)

// Negotiate returns the format that a scraper gets for its header Accept (RFC 9110, 12.5.1): OpenMetrics if it likes that at least as well as
// text, and names it first; else text, also if it likes neither. A version that it names has no effect: a scraper that asks for
// OpenMetrics 2.0.0 reads 1.0.0.
func Negotiate(accept string) Format {
	open, text := none, none
	for at, element := range elements(accept) {
		media, parameters, err := mime.ParseMediaType(element)
		if err != nil {
			continue // an element that cannot be read asks for nothing
		}
		q, err := strconv.ParseFloat(cmp.Or(parameters["q"], "1"), 64)
		if err != nil || !(q >= 0 && q <= 1) { // NaN is a number to ParseFloat
			continue
		}
		open, text = open.better(media, "application/openmetrics-text", q, at), text.better(media, "text/plain", q, at)
	}
	switch {
	case open.q == 0 || open.q < text.q, open.q == text.q && open.at >= text.at:
		return Text
	}
	return OpenMetrics
}

// liking tells how well a scraper likes a format, by the most specific range that has it.
type liking struct {
	specific int
	q        float64
	// at is the place of the range in the header.
	at int
}

// none is the liking for a format in no range.
var none = liking{}

// better returns the liking for the format after one more range: the more specific range counts, or the better of two like it.
func (l liking) better(media, format string, q float64, at int) liking {
	kind, _, _ := strings.Cut(format, "/")
	specific := 0
	switch media {
	case format:
		specific = 3
	case kind + "/*":
		specific = 2
	case "*/*":
		specific = 1
	}
	if specific == 0 || specific < l.specific || specific == l.specific && q <= l.q {
		return l
	}
	return liking{specific, q, at}
}

// elements returns the elements of a list, which commas separate outside of quotes.
func elements(list string) (all []string) {
	quoted, escape, from := false, false, 0
	for i, c := range list {
		switch {
		case escape:
			escape = false
		case quoted && c == '\\':
			escape = true
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			all, from = append(all, list[from:i]), i+1
		}
	}
	return append(all, list[from:])
}
