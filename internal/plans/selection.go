package plans

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/backup"
)

// Selection is the row that says which targets the plans select.
type Selection struct {
	// Looked is the time of the last look that Azure answered, and Tried the time of the last one.
	Looked time.Time `json:"Looked,omitzero"`
	Tried  time.Time `json:"Tried"`
	// Picks is the hash of the text of the picks that count; "" for none.
	Picks string `json:"Picks,omitempty"`
	// Base is the hash of the picks that counted at the time BaseAt, within the last day: many small losses are a large one.
	Base   string    `json:"Base,omitempty"`
	BaseAt time.Time `json:"BaseAt,omitzero"`
	// Keys are the keys of the selections that were looked for.
	Keys []string `json:"Keys,omitempty"`
	// Waiting is the hash of the text of picks that wait for a person since Since, and Losing are the keys of the selections that would
	// lose too many of their services.
	Waiting string    `json:"Waiting,omitempty"`
	Since   time.Time `json:"Since,omitzero"`
	Losing  []string  `json:"Losing,omitempty"`
	// Failed says why the last look has no answer for all selections; its Code is "" if it has.
	Failed backup.Reason `json:"Failed,omitzero"`

	backup.Carried
	// ETag is the one that the row was read with, and Unread says why it cannot be read, nil if it can.
	ETag   string `json:"-"`
	Unread error  `json:"-"`
}

// DecodeSelection reads the row; its zero value if there is none yet.
func DecodeSelection(row backup.Row) Selection {
	if row.ETag == "" {
		return Selection{}
	}
	s, err := backup.Decode[Selection](row)
	s.ETag, s.Unread = row.ETag, err
	return s
}

const (
	// lookEvery is the time between two looks, and sooner the time after which a selection without any answer is looked for again.
	lookEvery = time.Hour
	sooner    = 5 * time.Minute
	// baseFor is the time for which picks are compared with the ones at its beginning.
	baseFor = 24 * time.Hour
)

// mostPicked bounds the text of picks, in bytes: some 4,000 services. It is kept together with the text of plan.yaml, in one transaction of at
// most 4 MiB.
const mostPicked = 512 << 10

// Selects tells whether one of the plans selects targets.
func Selects(plans []backup.Plan) bool {
	return slices.ContainsFunc(plans, func(p backup.Plan) bool { return p.Select != nil })
}

// Due says that it is time to look. A time later than latest comes from a clock that was wrong.
func (s Selection) Due(asked []backup.Plan, now, latest time.Time) bool {
	fresh := slices.ContainsFunc(asked, func(p backup.Plan) bool { return p.Select != nil && !slices.Contains(s.Keys, p.Select.Key()) })
	since := now.Sub(s.Tried)
	return Selects(asked) && s.Unread == nil && (since >= lookEvery || fresh && since >= sooner || s.Tried.After(latest))
}

// before returns the active targets of a plan that plan.yaml asks for, without the ones that it names itself: of the plan with its name, or
// else with its selection.
func before(p backup.Plan, active []backup.Plan) (targets []string) {
	i := slices.IndexFunc(active, func(a backup.Plan) bool { return a.Name == p.Name })
	if i < 0 {
		i = slices.IndexFunc(active, func(a backup.Plan) bool { return a.Select != nil && a.Select.Key() == p.Select.Key() })
	}
	if i < 0 {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(active[i].Targets), p.Has)
}

// Answer returns the row and the picks after a look at the time now. The asked plans are of plan.yaml without picks, and the active ones have
// theirs; base are the picks under [Selection.Base]. A subscription that the look did not go through keeps its services. If a plan would lose
// more than half of its services, or all of several in a subscription, all that the look has found waits for a person.
func (s Selection) Answer(there backup.Inventory, asked, active []backup.Plan, services backup.Services, base []backup.Pick, now time.Time) (is Selection, picks []backup.Pick) {
	is = Selection{Looked: now, Tried: now, Picks: s.Picks, Base: s.Base, BaseAt: s.BaseAt, Carried: s.Carried, ETag: s.ETag}
	var unseen []string
	for _, p := range asked {
		if p.Select == nil {
			continue
		}
		was := before(p, active)
		one, seen := pick(p, was, there, services)
		unseen = append(unseen, slices.DeleteFunc(slices.Clone(p.Select.Subscriptions), there.Looked)...)
		if !seen && len(was) == 0 {
			continue // there is no answer yet
		}
		then, _ := backup.PickOf(base, p.Name, *p.Select)
		if loses(was, one.Targets) || loses(slices.DeleteFunc(slices.Clone(then.Targets), p.Has), one.Targets) {
			is.Losing = append(is.Losing, one.Key)
			one.Gone = missing(was, one.Targets)
		}
		is.Keys, picks = append(is.Keys, one.Key), append(picks, one)
	}
	if n := len(textOf(picks)); n > mostPicked {
		keys := is.Keys
		is = s.Missed(backup.NewReason("TooMuchSelected", fmt.Sprintf("the IDs of the services that the plans select are %d bytes long, and may be %d together", n, mostPicked),
			"Select fewer services, or let a second app have some of the plans."), now)
		is.Keys = keys
		return is, nil
	}
	if slices.Sort(unseen); len(unseen) > 0 {
		is.Failed = backup.NewReason("NotReadable", "the app may not read all services of the subscription "+strings.Join(slices.Compact(unseen), ", "),
			"Give the app's identity the role Reader on the subscription: lifeboat plan roles has the command.")
	}
	hash := hashOf(picks)
	switch {
	case len(is.Losing) > 0 && s.Waiting != "":
		is.Waiting, is.Since = hash, s.Since
	case len(is.Losing) > 0:
		is.Waiting, is.Since = hash, now
	case is.Base == "" || now.Sub(is.BaseAt).Abs() >= baseFor:
		is.Picks, is.Base, is.BaseAt = hash, hash, now
	default:
		is.Picks = hash
	}
	return is, picks
}

// pick returns what the plan selects, in the spelling of its targets before: Resource Graph spells groups one way and another
// (Azure/azure-rest-api-specs, issue 31379). Seen: the look went through one of its subscriptions.
func pick(p backup.Plan, was []string, there backup.Inventory, services backup.Services) (one backup.Pick, seen bool) {
	one = backup.Pick{Plan: p.Name, Key: p.Select.Key(), Targets: []string{}}
	seen = slices.ContainsFunc(p.Select.Subscriptions, there.Looked)
	spelled := map[string]string{}
	for _, target := range was {
		spelled[strings.ToLower(target)] = target
		r, _ := backup.ParseResource(target)
		if slices.Contains(p.Select.Subscriptions, strings.ToLower(r.Subscription)) && !there.Looked(r.Subscription) {
			one.Targets = append(one.Targets, target)
		}
	}
	for _, f := range there.Services {
		if _, wrong := services.Check(f.ID); wrong == nil && p.Select.Fits(f) && services.Unfit(f) == "" && !p.Has(f.ID) {
			one.Targets = append(one.Targets, cmp.Or(spelled[strings.ToLower(f.ID)], f.ID))
		}
	}
	slices.SortFunc(one.Targets, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	return one, seen
}

// loses tells whether that is too much to lose without a person: more than half, or all of several in a subscription.
func loses(was, is []string) bool {
	of := func(targets []string) map[string]int {
		n := map[string]int{}
		for _, target := range targets {
			r, _ := backup.ParseResource(target)
			n[strings.ToLower(r.Subscription)]++
		}
		return n
	}
	left := of(is)
	for subscription, n := range of(was) {
		if n > 1 && left[subscription] == 0 {
			return true
		}
	}
	return 2*len(missing(was, is)) > len(was)
}

// Missed returns the row after a look without an answer: it changes nothing.
func (s Selection) Missed(reason backup.Reason, now time.Time) Selection {
	s.Tried, s.Failed = now, reason
	return s
}

// Accepted returns the row after a person has agreed at the time now to the picks that waited.
func (s Selection) Accepted(now time.Time) Selection {
	s.Picks, s.Base, s.BaseAt = s.Waiting, s.Waiting, now
	s.Waiting, s.Since, s.Losing = "", time.Time{}, nil
	return s
}

// Ended returns the row after plan.yaml selects nothing any more.
func (s Selection) Ended() Selection {
	return Selection{Tried: s.Tried, Carried: s.Carried, ETag: s.ETag}
}

// missing returns the targets that were there, and are no more.
func missing(was, is []string) []string {
	there := map[string]bool{}
	for _, target := range is {
		there[strings.ToLower(target)] = true
	}
	return slices.DeleteFunc(slices.Clone(was), func(target string) bool { return there[strings.ToLower(target)] })
}

// textOf is the text of picks that the catalog keeps, and hashOf its hash.
func textOf(picks []backup.Pick) string { return string(backup.Encode(picks)) }
func hashOf(picks []backup.Pick) string { return backup.Digest(textOf(picks), 32) }

// KeepPicks writes the text of picks under its hash, which it returns. A repeat writes the same.
func KeepPicks(ctx context.Context, catalog backup.Catalog, picks []backup.Pick) (hash string, err error) {
	hash = hashOf(picks)
	return hash, keepText(ctx, catalog, hash, textOf(picks))
}

// LoadPicks reads the picks with the hash; none for "".
func LoadPicks(ctx context.Context, catalog backup.Catalog, hash string) (picks []backup.Pick, err error) {
	if hash == "" {
		return nil, nil
	}
	text, err := loadText(ctx, catalog, hash)
	if err == nil {
		err = json.Unmarshal([]byte(text), &picks)
	}
	if err != nil {
		return nil, fmt.Errorf("load what the plans select: %w", err)
	}
	return picks, nil
}

// NotLooked is the code of the fault of a text, if no timer run has looked for the services of one of its plans yet.
const NotLooked = "NotLookedYet"

// unreachable is the error of a read that may succeed later.
func unreachable(err error) error {
	return &backup.Fault{Kind: backup.Retryable, Code: "PlanUnreachable", Message: "what the plans select cannot be read for the moment: " + err.Error()}
}

// withPicks adds to the text what its plans select, as of the last look: another look is another text. It makes one request, and more for
// texts that this process has not read yet. While a plan has none, or picks wait for a person, the text is an error with the same words each
// time, so that the last good plans count.
func (b *Store) withPicks(ctx context.Context, text []byte, asked []backup.Plan) ([]byte, error) {
	row, _, err := b.Catalog.Get(ctx, backup.SelectionKey)
	if err != nil && !errors.Is(err, backup.ErrNotFound) && !errors.Is(err, backup.ErrUnreadable) {
		return nil, unreachable(err)
	}
	is := DecodeSelection(row)
	if is.Unread != nil {
		return nil, fmt.Errorf("what the plans select cannot be read: %w", is.Unread)
	}
	known, err := b.picks(ctx, is.Picks)
	if err != nil {
		return nil, err
	}
	picks := []backup.Pick{}
	for _, p := range asked {
		if p.Select == nil {
			continue
		}
		if slices.Contains(is.Losing, p.Select.Key()) {
			return nil, fmt.Errorf("since %s plan %s would lose more than half of the services that it selects, or all in a subscription: lifeboat "+
				"selection shows them, and how to accept that", is.Since.UTC().Format(time.RFC3339), p.Name)
		}
		one, looked := backup.PickOf(known, p.Name, *p.Select)
		switch {
		case looked:
			picks = append(picks, backup.Pick{Plan: p.Name, Key: p.Select.Key(), Targets: one.Targets})
		case is.Failed.Code == "": // a timer run looks within some minutes
			return nil, &backup.Fault{Kind: backup.Retryable, Code: NotLooked, Message: "the app has not looked for the services of plan " + p.Name + " yet"}
		default:
			return nil, fmt.Errorf("plan %s selects services, and the app could not look for them yet: lifeboat selection says why", p.Name)
		}
	}
	return backup.WithPicks(text, picks), nil
}

// picks reads picks, once for each hash.
func (b *Store) picks(ctx context.Context, hash string) ([]backup.Pick, error) {
	b.mu.Lock()
	read := b.picked
	b.mu.Unlock()
	if read.hash == hash {
		return read.picks, nil
	}
	picks, err := LoadPicks(ctx, b.Catalog, hash)
	if errors.Is(err, errLoad) {
		return nil, unreachable(err)
	}
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.picked = picked{hash, picks}
	return picks, nil
}

// picked are picks with the hash of their text.
type picked struct {
	hash  string
	picks []backup.Pick
}

// Asked returns the plans of plan.yaml as it was read last, without picks. If it is refused without them, they are of the active text.
func (b *Store) Asked(ctx context.Context, active Active) []backup.Plan {
	b.mu.Lock()
	asked := b.asked
	b.mu.Unlock()
	if asked.hash != "" && asked.err == nil {
		return asked.plans
	}
	last, err := b.text(ctx, active.Hash)
	if err != nil || !Selects(last.plans) {
		return last.plans
	}
	text, _, _ := backup.SplitPicks(last.text)
	return b.parse("", text).plans
}
