package backup

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Select picks targets by what Azure shows of the services. A service must fit each part that is given.
type Select struct {
	// Subscriptions are IDs in lower case, at least one.
	Subscriptions []string `json:"subscriptions"`
	// Types are resource types that Lifeboat backs up; none means all.
	Types []string `json:"types,omitempty"`
	// ResourceGroups are names, which Azure compares in any case.
	ResourceGroups []string `json:"resourceGroups,omitempty"`
	// Tags are those that the service has, with these values. Azure compares names of tags in any case, and their values exactly (Azure's
	// page "Use tags to organize your Azure resources").
	Tags map[string]string `json:"tags,omitempty"`
}

// Fits tells whether the selection picks the service.
func (s Select) Fits(f Found) bool {
	r, err := ParseResource(f.ID)
	any := func(all []string, one string) bool {
		return slices.ContainsFunc(all, func(known string) bool { return strings.EqualFold(known, one) })
	}
	if err != nil || !any(s.Subscriptions, r.Subscription) || len(s.Types) > 0 && !any(s.Types, r.Type) ||
		len(s.ResourceGroups) > 0 && !any(s.ResourceGroups, r.Group) {
		return false
	}
	for name, value := range s.Tags {
		has := false
		for tag, is := range f.Tags {
			has = has || strings.EqualFold(tag, name) && is == value
		}
		if !has {
			return false
		}
	}
	return true
}

// MayPick tells whether the plan may select services of the type.
func (s *Select) MayPick(resourceType string) bool {
	return s != nil && (len(s.Types) == 0 || slices.ContainsFunc(s.Types, func(one string) bool { return strings.EqualFold(one, resourceType) }))
}

// Key is the same for the same selection, however the plan is called.
func (s Select) Key() string { return Digest(string(Encode(s)), 16) }

// Pick are the services that a plan selects, as of a look. Key is the [Select.Key] at that time.
type Pick struct {
	Plan    string   `json:"plan"`
	Key     string   `json:"key"`
	Targets []string `json:"targets"`
	// Gone are targets that the plan would lose by this pick, while it waits for a person.
	Gone []string `json:"gone,omitempty"`
}

// PickOf returns the pick for the plan: the one of its selection, whatever the plan was called.
func PickOf(picks []Pick, plan string, s Select) (pick Pick, known bool) {
	key := s.Key()
	for _, is := range []func(Pick) bool{
		func(p Pick) bool { return p.Key == key && p.Plan == plan }, func(p Pick) bool { return p.Key == key },
	} {
		if i := slices.IndexFunc(picks, is); i >= 0 {
			return picks[i], true
		}
	}
	return Pick{}, false
}

// With returns the plan's targets, and behind them the other ones of the pick.
func (p Plan) With(pick Pick) []string {
	all := slices.Clone(p.Targets)
	for _, target := range pick.Targets {
		if !p.Has(target) {
			all = append(all, target)
		}
	}
	return all
}

// String says the selection in words.
func (s Select) String() string {
	words := "in the subscriptions " + strings.Join(s.Subscriptions, ", ")
	if len(s.ResourceGroups) > 0 {
		words += ", in the groups " + strings.Join(s.ResourceGroups, ", ")
	}
	if len(s.Types) > 0 {
		words += ", of the types " + strings.Join(s.Types, ", ")
	}
	for _, name := range slices.Sorted(maps.Keys(s.Tags)) {
		words += fmt.Sprintf(", tagged %s=%s", name, s.Tags[name])
	}
	return words
}

// picksMark begins the last line of a text of plan.yaml with selections. The line is a comment of YAML.
const picksMark = "# Selected by Lifeboat: "

// WithPicks adds to the text of plan.yaml what its plans select: a text of its own, so that another look is an edit like any other.
func WithPicks(text []byte, picks []Pick) []byte {
	text, _, _ = SplitPicks(text)
	return fmt.Appendf(bytes.TrimRight(bytes.Clone(text), "\r\n"), "\n%s%s\n", picksMark, Encode(picks))
}

// SplitPicks takes from a text what its plans select, nil if that was never added.
func SplitPicks(text []byte) (rest []byte, picks []Pick, err error) {
	at := bytes.LastIndexByte(bytes.TrimRight(text, "\r\n"), '\n') + 1
	line, marked := bytes.CutPrefix(text[at:], []byte(picksMark))
	if !marked {
		return text, nil, nil
	}
	if err := json.Unmarshal(line, &picks); err != nil {
		return text[:at], nil, fmt.Errorf("the last line is not what Lifeboat has written there: take it out")
	}
	return text[:at], picks, nil
}
