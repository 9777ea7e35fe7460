package manifest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/health"
)

// Search looks in the storage for artifacts and manifests of the target that no recovery point of the catalog names. It costs a list
// of each, and the target's points and runs if there are any. An artifact that was made after the target's first run in the catalog
// counts as that run's, or as a later one's: it may be of a lost start. Runs that were pruned count too.
func (k Keeper) Search(ctx context.Context, provider backup.Provider, target string, in backup.Storage) (health.Incomplete, error) {
	found := health.Incomplete{Target: target, Storage: in}
	at, folder := k.place(target, in)
	// The manifests come before the points: a point made meanwhile is among these.
	manifests, err := k.Store.List(ctx, at, folder+backup.Partition(target)+"-")
	if err != nil {
		return found, fmt.Errorf("search %s for manifests of %s: %w", in.Container, target, err)
	}
	var artifacts []backup.Artifact
	if lister, ok := provider.(backup.Lister); ok {
		if artifacts, err = lister.Artifacts(ctx, target, in); err != nil {
			return found, fmt.Errorf("search %s for artifacts of %s: %w", in.Container, target, err)
		}
	}
	if len(manifests) == 0 && len(artifacts) == 0 {
		return found, nil
	}
	points, names, oldest, err := k.known(ctx, target)
	var pruned backup.History
	if err == nil {
		pruned, err = backup.ReadHistory(ctx, k.Catalog, target)
	}
	if err != nil {
		return found, fmt.Errorf("compare the artifacts of %s with the catalog: %w", target, err)
	}
	if pruned.Runs > 0 && (oldest.IsZero() || pruned.First.Before(oldest)) {
		oldest = pruned.First
	}
	manifests = slices.DeleteFunc(manifests, func(name string) bool { return points[pointOf(name)] })
	artifacts = slices.DeleteFunc(artifacts, func(a backup.Artifact) bool {
		return names[a.Name] || points[pointOf(a.Name)] || !oldest.IsZero() && !a.Made.Before(oldest)
	})
	found.Manifests, found.Artifacts = len(manifests), len(artifacts)
	if len(manifests) > 0 {
		found.First = slices.Min(manifests)
	}
	if len(artifacts) > 0 {
		found.First = slices.MinFunc(artifacts, func(a, b backup.Artifact) int { return strings.Compare(a.Name, b.Name) }).Name
	}
	return found, nil
}

// known returns the IDs of the target's recovery points, the names of their artifacts, and when the oldest run was made; zero if there
// is none.
func (k Keeper) known(ctx context.Context, target string) (points, names map[string]bool, oldest time.Time, err error) {
	points, names = map[string]bool{}, map[string]bool{}
	for from := backup.PointPrefix; ; {
		rows, _, err := k.Catalog.List(ctx, backup.Partition(target), from, backup.Behind(backup.RunPrefix), 1000)
		if err != nil {
			return nil, nil, oldest, err
		}
		for _, row := range rows {
			if strings.HasPrefix(row.Row, backup.PointPrefix) {
				p, err := backup.DecodePoint(row)
				if err != nil {
					p = backup.UnreadablePoint(row, target, err)
				}
				points[p.ID], names[p.Artifact] = true, true
				continue
			}
			r, err := backup.Decode[backup.Run](row)
			if err != nil {
				return nil, nil, oldest, err
			}
			oldest = r.Created // the newest comes first
		}
		if len(rows) < 1000 {
			return points, names, oldest, nil
		}
		from = rows[len(rows)-1].Row + "!"
	}
}
