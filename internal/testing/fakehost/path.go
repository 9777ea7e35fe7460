package fakehost

import (
	"cmp"
	"net/http"
	"strings"
	"unicode/utf8"
)

// cleanPath returns the path for finding routes and keys, as Kestrel makes it: decoded once, except %2F, which stays three
// characters (and so comes to the handler as %252F), and then without dot segments. False means that Kestrel answers 400.
func cleanPath(r *http.Request) (path string, ok bool) {
	// RawPath is set if the path came in another form than Go's; EscapedPath would make %2F a slash of some of them.
	path = decode(cmp.Or(r.URL.RawPath, r.URL.EscapedPath()))
	return withoutDots(path), !strings.Contains(path, "\x00")
}

// decode removes one layer of percent encoding, if the result is UTF-8.
func decode(escaped string) string {
	var decoded strings.Builder
	for i := 0; i < len(escaped); {
		from, octets := i, []byte(nil)
		for ; i+2 < len(escaped) && escaped[i] == '%' && !strings.EqualFold(escaped[i+1:i+3], "2F"); i += 3 {
			octets = append(octets, unhex(escaped[i+1])<<4|unhex(escaped[i+2]))
		}
		for len(octets) > 0 {
			_, size := utf8.DecodeRune(octets)
			if utf8.Valid(octets[:size]) {
				decoded.Write(octets[:size])
			} else {
				decoded.WriteString(escaped[from : from+3])
			}
			octets, from = octets[size:], from+3*size
		}
		if i < len(escaped) {
			decoded.WriteByte(escaped[i])
			i++
		}
	}
	return decoded.String()
}

// unhex returns the value of a hex digit that net/http has checked.
func unhex(digit byte) byte {
	if digit >= 'A' {
		return digit&^0x20 - 'A' + 10
	}
	return digit - '0'
}

// withoutDots resolves . and .. as RFC 3986, 5.2.4, does; slashes that follow each other stay.
func withoutDots(path string) string {
	var kept []string
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i, segment := range segments {
		switch segment {
		case "..":
			kept = kept[:max(0, len(kept)-1)]
		case ".":
		default:
			kept = append(kept, segment)
			continue
		}
		if i == len(segments)-1 {
			kept = append(kept, "")
		}
	}
	return "/" + strings.Join(kept, "/")
}
