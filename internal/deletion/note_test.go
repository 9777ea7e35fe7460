package deletion_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/deletion"
	"lifeboat/internal/health"
	"lifeboat/internal/testing/memory"
)

// meanwhile is a catalog in which something happens just before a write.
type meanwhile struct {
	*memory.Catalog
	happens func() error
}

func (m meanwhile) Apply(ctx context.Context, writes ...backup.Write) ([]string, error) {
	if err := m.happens(); err != nil {
		return nil, err
	}
	return m.Catalog.Apply(ctx, writes...)
}

// TestAFasterCleanupsNoteStands: two cleanups may note the same points, and then the first of them is enough. A note that cannot be saved fails
// the cleanup, or health would go on without it.
func TestAFasterCleanupsNoteStands(t *testing.T) {
	const target = "target"
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	point := backup.Point{ID: "p", Target: target, State: backup.Deleting, Reason: backup.Reason{Code: "LeaseIdMissing"}}
	point.Undeleted.Since, point.Undeleted.Published = now, "event"
	load := func(context.Context, string) (backup.Point, error) { return backup.Point{}, backup.ErrNotFound }
	faster := health.Undeleted{Target: target, Points: 7, Point: "q", Since: now}
	away := errors.New("503 ServerBusy")
	for name, c := range map[string]struct {
		happens func(catalog *memory.Catalog) error
		fails   error
		points  int
	}{
		"nothing": {func(*memory.Catalog) error { return nil }, nil, 1},
		"another cleanup notes it": {func(catalog *memory.Catalog) error {
			_, err := catalog.Apply(t.Context(), backup.Write{Op: backup.Put, Key: backup.DeletionKey(target), Body: backup.Encode(faster)})
			return err
		}, nil, 7},
		"storage is away": {func(*memory.Catalog) error { return away }, away, 0},
	} {
		catalog := memory.NewCatalog(func() time.Time { return now })
		err := deletion.Note(t.Context(), meanwhile{catalog, func() error { return c.happens(catalog) }}, target, []backup.Point{point}, load)
		if !errors.Is(err, c.fails) {
			t.Errorf("%s: %v", name, err)
		}
		is := health.Undeleted{}
		if row, _, err := catalog.Get(t.Context(), backup.DeletionKey(target)); err == nil {
			if is, err = backup.Decode[health.Undeleted](row); err != nil {
				t.Error(err)
			}
		}
		if is.Points != c.points {
			t.Errorf("%s: noted %+v", name, is)
		}
	}
}

// TestANoteCountsWhatOneCleanupDoesNotRead checks that the points count which an earlier cleanup has noted, until one finds them gone.
func TestANoteCountsWhatOneCleanupDoesNotRead(t *testing.T) {
	const target = "target"
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	catalog := memory.NewCatalog(func() time.Time { return now })
	all := map[string]backup.Point{}
	for i, id := range []string{"a", "b", "c"} {
		p := backup.Point{ID: id, Target: target, State: backup.Deleting, Reason: backup.Reason{Code: "Lease" + id}}
		p.Undeleted.Since, p.Undeleted.Published = now.Add(time.Duration(i)*time.Hour), "event"
		all[id] = p
	}
	load := func(_ context.Context, id string) (backup.Point, error) { return all[id], nil }
	for _, step := range []struct {
		read   string
		gone   bool
		points int
		oldest string
	}{
		{"b", false, 1, "b"},
		{"c", false, 2, "b"},
		{"a", false, 3, "a"},
		{"c", true, 2, "a"},
		{"a", true, 1, "b"},
		{"b", true, 0, ""},
	} {
		p := all[step.read]
		if step.gone {
			p.State = backup.Expired
			all[step.read] = p
		}
		if err := deletion.Note(t.Context(), catalog, target, []backup.Point{p}, load); err != nil {
			t.Fatal(err)
		}
		is := health.Undeleted{}
		row, _, err := catalog.Get(t.Context(), backup.DeletionKey(target))
		if err == nil {
			is, err = backup.Decode[health.Undeleted](row)
		}
		if (step.points > 0) != (err == nil) || is.Points != step.points || is.Point != step.oldest || step.oldest != "" && is.Reason.Code != "Lease"+step.oldest {
			t.Errorf("after %s, gone %t: %+v, %v", step.read, step.gone, is, err)
		}
	}
}
