// Package plans says which text of plan.yaml is active: the newest good one, which it keeps.
package plans

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"lifeboat/internal/apps"
	"lifeboat/internal/backup"
	"lifeboat/internal/event"
)

// Store says which plans are active: the plans of plan.yaml, or, while that is broken, the last good ones from the catalog. Its
// memory only saves requests: any number of processes may have a store on one catalog.
type Store struct {
	Catalog backup.Catalog
	// App is the name of this app: it saves nothing while another app owns the catalog.
	App string
	// Read returns plan.yaml as it is now. A *Fault of the kind Retryable means that it cannot be read for the moment; any other
	// error counts as a fault of plan.yaml itself, and must have the same text each time.
	Read func(ctx context.Context) ([]byte, error)
	// Parse makes plans of the text, or says everything that is wrong with it.
	Parse func(text []byte) ([]backup.Plan, error)
	// Default returns the value of a key of a service's block for a plan without that key; nil: "".
	Default func(key string) string

	mu sync.Mutex
	// asked is plan.yaml as it was read last, and file the same with what its plans select. kept is the last good text loaded from the
	// catalog, and head the row as last seen.
	asked, file, kept revision
	picked            picked
	head              Head
	// past are the texts of head.Before that were loaded, by their hashes.
	past map[string]revision
}

// revision is a text of plan.yaml and its plans; err says why the text is refused.
type revision struct {
	hash  string
	text  []byte
	plans []backup.Plan
	err   error
}

// Head is the row that says which text is active. It stands among the checkpoints, because each timer run reads them anyway.
type Head struct {
	// Hash is the hash of the active text, under which the text is kept; empty if there never was a good one.
	Hash string `json:"Hash,omitempty"`
	// Since is the time at which Lifeboat found that plan.yaml has that text.
	Since time.Time `json:"Since,omitzero"`
	// Refused is the hash of the text that is refused since RefusedSince, for Reason; empty if none is.
	Refused      string    `json:"Refused,omitempty"`
	RefusedSince time.Time `json:"RefusedSince,omitzero"`
	Reason       string    `json:"Reason,omitempty"`
	// Before lists the texts that were active in the last seven days before this one, each once, newest first.
	Before []Past `json:"Before,omitempty"`

	backup.Carried
}

// ReadHead decodes the row of the active text. It returns the zero value if there is no row.
func ReadHead(row backup.Row) (Head, error) {
	if row.ETag == "" {
		return Head{}, nil
	}
	return backup.Decode[Head](row)
}

// Active has the plans that hold now.
type Active struct {
	// Plans are nil if it is not known which are active, and empty if there are none.
	Plans []backup.Plan
	// Since is the time at which Lifeboat found these plans in plan.yaml; zero if it is not known.
	Since time.Time
	// Refused says why the present plan.yaml is not active, a line for each fault; nil if it is active.
	Refused error
	// RefusedSince is the time at which a timer run found that; zero if none has found it yet.
	RefusedSince time.Time

	// Hash is the hash of the text that holds the plans.
	Hash string
}

// Plans returns the active plans; none if they are not known.
func (b *Store) Plans(ctx context.Context) []backup.Plan {
	active, _ := b.Current(ctx)
	return active.Plans
}

// Current says which plans are active, and changes nothing. If plan.yaml is broken and there is no last good plan, it returns
// no plans and the error of plan.yaml.
func (b *Store) Current(ctx context.Context) (Active, error) {
	file := b.read(ctx)
	if file.err == nil {
		return Active{Plans: file.plans, Hash: file.hash}, nil
	}
	_, head, _, err := b.load(ctx)
	if err != nil {
		return Active{Refused: file.err}, fmt.Errorf("plan.yaml is refused: %w; the active plan cannot be loaded: %w", file.err, err)
	}
	return b.lastGood(ctx, head, file)
}

// Reconcile is Current for a timer run of the schedule, and also saves the changes: it keeps a good text before the text is
// needed, and publishes that a text is broken. It makes no request of its own if the text is good and already active. The caller
// may use the plans in spite of an error.
func (b *Store) Reconcile(ctx context.Context) (Active, error) {
	file := b.read(ctx)
	if file.err == nil {
		b.mu.Lock()
		head := b.head
		b.mu.Unlock()
		var err error
		if !head.matches(file) {
			head, err = b.record(ctx, file)
		}
		active := Active{Plans: file.plans, Hash: file.hash}
		if head.Hash == file.hash { // else another timer run was faster
			active.Since = head.Since
		}
		return active, err
	}
	// The row counts, not what this process remembers: since its last timer run another process may have made another plan
	// active.
	_, head, _, err := b.load(ctx)
	if err != nil {
		return Active{Refused: file.err}, errors.Join(file.err, err)
	}
	if f, ok := errors.AsType[*backup.Fault](file.err); (!ok || f.Kind != backup.Retryable) && !head.matches(file) {
		head, err = b.record(ctx, file)
	}
	active, noPlan := b.lastGood(ctx, head, file)
	return active, errors.Join(noPlan, err)
}

// Observe gives the store a timer run's read of its head, so that it learns of other processes without a request of its own.
func (b *Store) Observe(row backup.Row) {
	head, err := ReadHead(row)
	if err != nil {
		return // the next read returns the error
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.head = head
}

// matches tells whether the head needs no change for this text of plan.yaml.
func (h Head) matches(file revision) bool {
	if file.err != nil {
		return h.Refused == file.hash
	}
	return h.Hash == file.hash && h.Refused == ""
}

// read reads plan.yaml, with what its plans select. It does not parse the same text twice.
func (b *Store) read(ctx context.Context) revision {
	text, err := b.Read(ctx)
	if err != nil {
		return unreadable(err)
	}
	asked := b.once(&b.asked, text)
	if !Selects(asked.plans) {
		return asked
	}
	if text, err = b.withPicks(ctx, text, asked.plans); err != nil {
		return unreadable(err)
	}
	return b.once(&b.file, text)
}

func unreadable(err error) revision {
	return revision{hash: backup.Digest("unreadable\n"+err.Error(), 32), err: err}
}

// once parses the text, unless the revision that is remembered is of the same.
func (b *Store) once(known *revision, text []byte) revision {
	hash := backup.Digest(string(text), 32)
	b.mu.Lock()
	defer b.mu.Unlock()
	if known.hash != hash {
		*known = b.parse(hash, text)
	}
	return *known
}

// load reads the head. There may be none yet.
func (b *Store) load(ctx context.Context) (backup.Row, Head, time.Time, error) {
	row, now, err := b.Catalog.Get(ctx, backup.ActivePlanKey)
	if errors.Is(err, backup.ErrNotFound) {
		return backup.Row{}, Head{}, now, nil
	}
	if err != nil {
		return row, Head{}, now, fmt.Errorf("load the row of the active plan: %w", err)
	}
	head, err := backup.Decode[Head](row)
	return row, head, now, err
}

// record saves that the text of plan.yaml is active, or refused, and returns the head. It keeps a good text first, then saves
// the head together with the events, which the timer run sends. After a crash in between, the next call repeats both, under the
// same keys and IDs.
func (b *Store) record(ctx context.Context, file revision) (Head, error) {
	row, head, now, err := b.load(ctx)
	if err != nil {
		return head, err
	}
	if !head.matches(file) {
		if err := (apps.App{Catalog: b.Catalog, Name: b.App}).Check(ctx); err != nil {
			return head, err
		}
		next := head.then(file.hash, now)
		if file.err != nil {
			next = head
			next.Refused, next.RefusedSince, next.Reason = file.hash, now, backup.NewReason("", file.err.Error(), "").Message
		} else if err := b.keep(ctx, file); err != nil {
			return head, err
		}
		write := backup.InsertOrReplace(backup.ActivePlanKey, row.ETag, backup.Encode(next))
		events, err := b.changed(ctx, head, file, now)
		if err != nil {
			return head, err
		}
		events = append(turned(head, next, now), events...)
		_, err = b.Catalog.Apply(ctx, append(event.OutboxWrites(backup.SchedulePartition, events), write)...)
		switch {
		case errors.Is(err, backup.ErrExists), errors.Is(err, backup.ErrChanged), errors.Is(err, backup.ErrNotFound):
			return head, nil // another timer run was faster: the next one reads the row again
		case err != nil:
			return head, fmt.Errorf("save which plan is active: %w", err)
		}
		head = next
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.head = head
	return head, nil
}

// turned makes the event that a text is refused, or that a good text has replaced it; none for an edit, or the first plan.
func turned(was, is Head, now time.Time) []backup.Event {
	t := event.PlanTurn{
		Hash: is.Refused, Refused: is.Refused != "", Reason: is.Reason, LastGood: was.Since, ActiveSince: is.Since, Found: now,
	}
	if !t.Refused {
		if was.Refused == "" {
			return nil
		}
		t.Hash = is.Hash
	}
	return []backup.Event{event.PlanTurned(t)}
}

// keep writes the text under its hash. A repeat writes the same.
func (b *Store) keep(ctx context.Context, file revision) error {
	return keepText(ctx, b.Catalog, file.hash, string(file.text))
}

func keepText(ctx context.Context, catalog backup.Catalog, hash, text string) error {
	var writes []backup.Write
	for i, page := range backup.Pages(text) {
		writes = append(writes, backup.Write{Op: backup.Put, Key: backup.PlanTextKey(hash, i), Body: page})
	}
	if _, err := catalog.Apply(ctx, writes...); err != nil {
		return fmt.Errorf("keep the text of the plan: %w", err)
	}
	return nil
}

// lastGood returns the plans of the text that the head names. They are active instead of the present plan.yaml.
func (b *Store) lastGood(ctx context.Context, head Head, file revision) (Active, error) {
	active := Active{Since: head.Since, Refused: file.err, Hash: head.Hash}
	if head.Refused == file.hash {
		active.RefusedSince = head.RefusedSince
	}
	if head.Hash == "" {
		return active, file.err
	}
	b.mu.Lock()
	kept := b.kept
	b.mu.Unlock()
	if kept.hash != head.Hash {
		var err error
		if kept, err = b.fetch(ctx, head.Hash); err != nil {
			return active, fmt.Errorf("plan.yaml is refused: %w; the last good plan, of %s, cannot be used: %w", file.err,
				head.Since.UTC().Format(time.RFC3339), err)
		}
		b.mu.Lock()
		b.kept = kept
		b.mu.Unlock()
	}
	active.Plans = kept.plans
	return active, nil
}

// errLoad: storage gave no answer about a kept text.
var errLoad = errors.New("load its text")

// fetch reads a kept text from the catalog.
func (b *Store) fetch(ctx context.Context, hash string) (revision, error) {
	kept, err := loadText(ctx, b.Catalog, hash)
	if err != nil {
		return revision{}, err
	}
	found := b.parse(hash, []byte(kept))
	return found, found.err
}

func loadText(ctx context.Context, catalog backup.Catalog, hash string) (string, error) {
	rows, _, err := catalog.List(ctx, backup.PlanTextPartition, hash+"-", hash+".", 1000)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errLoad, err)
	}
	kept, err := backup.JoinPages(rows)
	if err != nil {
		return "", err
	}
	if backup.Digest(kept, 32) != hash {
		return "", fmt.Errorf("its text, the rows %s/%s-…, was changed after it was kept", backup.PlanTextPartition, hash)
	}
	return kept, nil
}

// parse makes the revision of a text. A good text without plans has an empty list of them.
func (b *Store) parse(hash string, text []byte) revision {
	plans, err := b.Parse(text)
	if err == nil && plans == nil {
		plans = []backup.Plan{}
	}
	return revision{hash: hash, text: text, plans: plans, err: err}
}
