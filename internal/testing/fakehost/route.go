package fakehost

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// route is an ASP.NET route template: literals, {name}, {name?} and {*name} between slashes, each name perhaps with a
// constraint: {name:regex(…)}.
type route struct {
	template string // with the prefix
	methods  []string
	segments []segment
}

type segment struct {
	kind     segmentKind
	text     string // literal, or name
	optional bool
	only     *constraint
}

type segmentKind int

const (
	literal segmentKind = iota
	parameter
	catchAll
)

// segmentText matches a part between two slashes of a template; a slash in braces belongs to a regex.
var segmentText = regexp.MustCompile(`(\{[^}]*\}|[^/])+`)

// parseRoute checks a template. Every template that starts with admin or runtime is reserved, even administrators
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
	texts := segmentText.FindAllString(r.template, -1)
	optional := false
	for i, text := range texts {
		s, err := parseSegment(text)
		if err != nil {
			return route{}, fmt.Errorf("route %q: %w", template, err)
		}
		if optional && !s.optional && s.kind != catchAll || s.kind == catchAll && i != len(texts)-1 {
			return route{}, fmt.Errorf("route %q: what may be missing must come last", template)
		}
		optional = optional || s.optional
		r.segments = append(r.segments, s)
	}
	return r, nil
}

func parseSegment(text string) (s segment, err error) {
	if !strings.ContainsAny(text, "{}") {
		return segment{kind: literal, text: text}, nil
	}
	name, isParameter := strings.CutPrefix(text, "{")
	name, closed := strings.CutSuffix(name, "}")
	name, expression, constrained := strings.Cut(name, ":")
	s.kind = parameter
	if rest, all := strings.CutPrefix(name, "*"); all {
		s.kind, name = catchAll, strings.TrimPrefix(rest, "*")
	}
	s.text, s.optional = strings.CutSuffix(name, "?")
	if !isParameter || !closed || s.text == "" || strings.ContainsAny(s.text, "{}=*?") {
		return segment{}, fmt.Errorf("%q: this host knows literals, {name}, {name?}, {*name} and {name:regex(…)}", text)
	}
	if constrained {
		if s.only, err = parseConstraint(expression); err != nil {
			return segment{}, fmt.Errorf("%q: %w", text, err)
		}
	}
	return s, nil
}

// constraint is a regex that a parameter's value must match, in any case. A regex of .NET may begin with a negative lookahead.
// Go has none, so compile splits it off.
type constraint struct{ is, isNot *regexp.Regexp }

func parseConstraint(text string) (c *constraint, err error) {
	expression, known := strings.CutPrefix(text, "regex(")
	expression, closed := strings.CutSuffix(expression, ")")
	if !known || !closed {
		return nil, fmt.Errorf("this host knows no constraint but regex(…), not %q", text)
	}
	c = &constraint{}
	if rest, ok := strings.CutPrefix(expression, "^(?!"); ok {
		end := closing(rest)
		if end < 0 {
			return nil, errors.New("the lookahead is not closed")
		}
		if c.isNot, err = compile("^(?:" + rest[:end] + ")"); err != nil {
			return nil, err
		}
		expression = "^" + rest[end+1:]
	}
	c.is, err = compile(expression)
	return c, err
}

// compile reads an expression as ASP.NET does: in any case, and $ also matches before a line end at the end of the text.
func compile(expression string) (*regexp.Regexp, error) {
	return regexp.Compile("(?i)" + strings.ReplaceAll(expression, "$", `\n?$`))
}

// closing returns the index of the bracket that closes the one at the beginning, or -1 if there is none.
func closing(text string) int {
	depth := 1
	for i, c := range text {
		switch c {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

func (c *constraint) allows(value string) bool {
	return c == nil || c.is.MatchString(value) && (c.isNot == nil || !c.isNot.MatchString(value))
}

// match compares the route with a method and a path from cleanPath. Literals match in any case. If the route does not have the
// method there is no match: the caller gets 404, as in Azure. An empty segment does not match either, except inside a
// catch-all.
func (r route) match(method, path string) (parameters map[string]string, ok bool) {
	if len(r.methods) > 0 && !slices.Contains(r.methods, method) {
		return nil, false
	}
	rest := strings.TrimPrefix(path, "/")
	parameters = map[string]string{}
	for _, s := range r.segments {
		part, after, _ := strings.Cut(rest, "/")
		switch {
		case s.kind == catchAll:
			if rest != "" {
				parameters[s.text] = rest
			}
			return parameters, part != "" && s.only.allows(rest) || rest == "" && s.only == nil
		case part == "":
			if !s.optional || rest != "" {
				return nil, false
			}
		case s.kind == parameter:
			if !s.only.allows(part) {
				return nil, false
			}
			parameters[s.text] = part
		case !equalFold(part, s.text):
			return nil, false
		}
		rest = after
	}
	return parameters, rest == ""
}

// equalFold compares like .NET's OrdinalIgnoreCase with a literal of ASCII. Go also treats some letters outside of ASCII as
// another case of an ASCII letter; these are longer.
func equalFold(text, literal string) bool {
	return len(text) == len(literal) && strings.EqualFold(text, literal)
}
