package plans

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
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
	// Keys are the keys of the selections that the last look has answered.
	Keys []string `json:"Keys,omitempty"`
	// Waiting is the hash of the text of picks that wait for a person since Since, and Losing are the keys of the selections that would
	// lose more than half of their services.
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
	// lookEvery is the time between two looks, and sooner the time after which a new selection is looked for again without an answer.
	lookEvery = time.Hour
	sooner    = 5 * time.Minute
)

// mostPicked bounds the text of picks, in bytes: some 4,000 services. It is kept together with the text of plan.yaml, in one transaction of at
// most 4 MiB.
const mostPicked = 512 << 10

// Due says that it is time to look. A time later than latest comes from a clock that was wrong.
func (s Selection) Due(plans []backup.Plan, now, latest time.Time) bool {
	selects, fresh := false, false
	for _, p := range plans {
		if p.Select != nil {
			selects, fresh = true, fresh || !slices.Contains(s.Keys, p.Select.Key())
		}
	}
	since := now.Sub(s.Tried)
	return selects && s.Unread == nil && (since >= lookEvery || fresh && since >= sooner || s.Tried.After(latest))
}

// Answer returns the row and the picks after a look at the time now; picked are the picks before it. A selection that the look did not go
// through keeps its pick. If one would lose more than half of its services, all that the look has found waits for a person.
func (s Selection) Answer(there backup.Inventory, plans []backup.Plan, services backup.Services, picked []backup.Pick, now time.Time) (is Selection, picks []backup.Pick) {
	is = Selection{Looked: now, Tried: now, Picks: s.Picks, Carried: s.Carried, ETag: s.ETag}
	var unseen []string
	for _, p := range plans {
		if p.Select == nil {
			continue
		}
		was, known := backup.PickOf(picked, p.Name, *p.Select)
		one := backup.Pick{Plan: p.Name, Key: p.Select.Key(), Targets: []string{}}
		if i := slices.IndexFunc(p.Select.Subscriptions, func(sub string) bool { return !there.Looked(sub) }); i >= 0 {
			unseen = append(unseen, p.Select.Subscriptions[i])
			if known {
				picks = append(picks, was)
			}
			continue
		}
		for _, f := range there.Services {
			if _, wrong := services.Check(f.ID); wrong == nil && p.Select.Fits(f) && services.Unfit(f) == "" {
				one.Targets = append(one.Targets, f.ID)
			}
		}
		is.Keys, picks = append(is.Keys, one.Key), append(picks, one)
		if known && was.Key == one.Key && 2*len(Gone(was, one)) > len(was.Targets) {
			is.Losing = append(is.Losing, one.Key)
		}
	}
	if n := len(textOf(picks)); n > mostPicked {
		return s.Missed(backup.NewReason("TooMuchSelected", fmt.Sprintf("the IDs of the services that the plans select are %d bytes long, and may be %d together", n, mostPicked),
			"Select fewer services, or let a second app have some of the plans."), now), picked
	}
	if len(unseen) > 0 {
		is.Failed = backup.NewReason("NotReadable", "the app may not read all services of the subscription "+strings.Join(slices.Compact(unseen), ", "),
			"Give the app's identity the role Reader on the subscription.")
	}
	if hash := hashOf(picks); len(is.Losing) == 0 {
		is.Picks = hash
	} else if is.Waiting, is.Since = hash, now; s.Waiting != "" {
		is.Since = s.Since
	}
	return is, picks
}

// Missed returns the row after a look without an answer: it changes nothing.
func (s Selection) Missed(reason backup.Reason, now time.Time) Selection {
	s.Tried, s.Failed = now, reason
	return s
}

// Accepted returns the row after a person has agreed to the picks that waited.
func (s Selection) Accepted() Selection {
	s.Picks, s.Waiting, s.Since, s.Losing = s.Waiting, "", time.Time{}, nil
	return s
}

// Gone returns the services that a pick had and another has no more.
func Gone(was, is backup.Pick) (gone []string) {
	for _, target := range was.Targets {
		if !slices.ContainsFunc(is.Targets, func(one string) bool { return backup.Same(one, target) }) {
			gone = append(gone, target)
		}
	}
	return gone
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

// Selecting returns a read of plan.yaml together with what its plans select, as of the last look: for a [Store] another look is another text.
// Source reads plan.yaml as [Store.Read] does, and parse is [Store.Parse]. It makes one request besides if a plan selects anything, and one
// more for picks that this process has not read yet. It changes nothing. While picks wait for a person, it is an error with the same text each
// time, so that the last good plans count.
func Selecting(catalog backup.Catalog, source func(context.Context) ([]byte, error), parse func([]byte) ([]backup.Plan, error)) func(context.Context) ([]byte, error) {
	s := &selecting{catalog: catalog, source: source, parse: parse}
	return s.read
}

type selecting struct {
	catalog backup.Catalog
	source  func(ctx context.Context) ([]byte, error)
	parse   func(text []byte) ([]backup.Plan, error)

	mu sync.Mutex
	// plans are of the text with the hash, and picks of the one with picksHash.
	hash, picksHash string
	plans           []backup.Plan
	picks           []backup.Pick
}

func (s *selecting) read(ctx context.Context) ([]byte, error) {
	text, err := s.source(ctx)
	if err != nil {
		return nil, err
	}
	plans := s.parsed(text)
	if !slices.ContainsFunc(plans, func(p backup.Plan) bool { return p.Select != nil }) {
		return text, nil
	}
	row, _, err := s.catalog.Get(ctx, backup.SelectionKey)
	if err != nil && !errors.Is(err, backup.ErrNotFound) && !errors.Is(err, backup.ErrUnreadable) {
		return nil, &backup.Fault{Kind: backup.Retryable, Code: "PlanUnreachable", Message: fmt.Sprintf("what the plans select cannot be read for the moment: %v", err)}
	}
	is := DecodeSelection(row)
	if is.Unread != nil {
		return nil, fmt.Errorf("what the plans select cannot be read: %w", is.Unread)
	}
	for _, p := range plans {
		if p.Select != nil && slices.Contains(is.Losing, p.Select.Key()) {
			return nil, fmt.Errorf("since %s plan %s would lose more than half of the services that it selects: lifeboat selection shows them, "+
				"and how to accept that", is.Since.UTC().Format(time.RFC3339), p.Name)
		}
	}
	picks, err := s.load(ctx, is.Picks)
	if errors.Is(err, errLoad) {
		return nil, &backup.Fault{Kind: backup.Retryable, Code: "PlanUnreachable", Message: err.Error()}
	}
	if err != nil {
		return nil, err
	}
	return backup.WithPicks(text, picks), nil
}

// parsed returns the plans of the text without picks; none if it is refused, which the store finds as well.
func (s *selecting) parsed(text []byte) []backup.Plan {
	hash := backup.Digest(string(text), 32)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hash != hash {
		plans, err := s.parse(text)
		if err != nil {
			plans = nil
		}
		s.hash, s.plans = hash, plans
	}
	return s.plans
}

func (s *selecting) load(ctx context.Context, hash string) ([]backup.Pick, error) {
	s.mu.Lock()
	known, picks := s.picksHash == hash, s.picks
	s.mu.Unlock()
	if known {
		return picks, nil
	}
	picks, err := LoadPicks(ctx, s.catalog, hash)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.picksHash, s.picks = hash, picks
	return picks, nil
}
