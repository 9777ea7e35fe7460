package devhost

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// route is an ASP.NET route template: literals, {name}, {name?} and {*name} between slashes.
type route struct {
	template string // with the prefix
	methods  []string
	segments []segment
}

type segment struct {
	kind segmentKind
	text string // literal, or name
}

// segmentKind is ordered by precedence: of two routes that match, the lower kind wins.
type segmentKind int

const (
	literal segmentKind = iota
	parameter
	catchAll
)

// parseRoute checks a template. What merely starts with admin or runtime is reserved, administrators too
// (azure-functions-host, ScriptHost.ValidateHttpFunction).
func parseRoute(prefix, template string, methods []string) (route, error) {
	template = strings.Trim(template, "/")
	for _, reserved := range []string{"admin", "runtime"} {
		if len(template) >= len(reserved) && strings.EqualFold(template[:len(reserved)], reserved) {
			return route{}, fmt.Errorf("the route %q begins with the reserved word %q", template, reserved)
		}
	}
	r := route{template: strings.Trim(prefix+"/"+template, "/")}
	for _, method := range methods {
		r.methods = append(r.methods, strings.ToUpper(method))
	}
	if r.template == "" {
		return r, nil
	}
	texts := strings.Split(r.template, "/")
	optional := false
	for i, text := range texts {
		s, isOptional, err := parseSegment(text)
		if err != nil {
			return route{}, fmt.Errorf("route %q: %w", template, err)
		}
		if optional && !isOptional && s.kind != catchAll || s.kind == catchAll && i != len(texts)-1 {
			return route{}, fmt.Errorf("route %q: what may be missing must come last", template)
		}
		optional = optional || isOptional
		if isOptional {
			s.text += "?"
		}
		r.segments = append(r.segments, s)
	}
	return r, nil
}

func parseSegment(text string) (s segment, optional bool, err error) {
	if !strings.ContainsAny(text, "{}") {
		return segment{literal, text}, false, nil
	}
	name, isParameter := strings.CutPrefix(text, "{")
	name, closed := strings.CutSuffix(name, "}")
	s.kind = parameter
	if rest, all := strings.CutPrefix(name, "*"); all {
		s.kind, name = catchAll, strings.TrimPrefix(rest, "*")
	}
	s.text, optional = strings.CutSuffix(name, "?")
	if !isParameter || !closed || s.text == "" || strings.ContainsAny(s.text, "{}:=*?") {
		return segment{}, false, fmt.Errorf("%q: this host knows literals, {name}, {name?} and {*name}, without constraints", text)
	}
	return s, optional, nil
}

// match compares the route with an escaped path and a method. Literals match in any case. A method that is not among the
// route's makes no match: the caller gets 404, as in Azure.
func (r route) match(method, escapedPath string) (parameters map[string]string, ok bool) {
	if len(r.methods) > 0 && !slices.Contains(r.methods, method) {
		return nil, false
	}
	parts := strings.Split(strings.Trim(escapedPath, "/"), "/")
	if parts[0] == "" {
		parts = nil
	}
	parameters = map[string]string{}
	for i, s := range r.segments {
		name, optional := strings.CutSuffix(s.text, "?")
		switch {
		case s.kind == catchAll:
			if i < len(parts) {
				parameters[name] = unescape(strings.Join(parts[i:], "/"))
			}
			return parameters, true
		case i >= len(parts):
			if !optional {
				return nil, false
			}
		case s.kind == parameter:
			if parts[i] == "" {
				return nil, false
			}
			parameters[name] = unescape(parts[i])
		case !strings.EqualFold(unescape(parts[i]), s.text):
			return nil, false
		}
	}
	return parameters, len(parts) <= len(r.segments)
}

func unescape(text string) string {
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}

// before says that this route is the more specific one where both match.
func (r route) before(other route) bool {
	for i := range min(len(r.segments), len(other.segments)) {
		if a, b := r.segments[i].kind, other.segments[i].kind; a != b {
			return a < b
		}
	}
	return len(r.segments) > len(other.segments)
}

// collides says that neither route is more specific than the other, and that some request matches both.
func (r route) collides(other route) bool {
	if len(r.segments) != len(other.segments) {
		return false
	}
	for i, s := range r.segments {
		o := other.segments[i]
		if s.kind != o.kind || s.kind == literal && !strings.EqualFold(s.text, o.text) {
			return false
		}
	}
	return len(r.methods) == 0 || len(other.methods) == 0 ||
		slices.ContainsFunc(r.methods, func(m string) bool { return slices.Contains(other.methods, m) })
}
