package simulation

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/manifest"
)

// manifests is the port of an invocation to the manifests beside the artifacts, with the accidents on the way.
type manifests struct{ v *invocation }

var _ backup.Manifests = manifests{}

// Write implements [backup.Manifests].
func (m manifests) Write(_ context.Context, in backup.Storage, name string, content []byte) error {
	return m.v.send("write manifest "+name, func() error {
		m.v.w.check(manifested{name})
		return m.v.w.manifests.Write(context.Background(), in, name, content)
	})
}

// List implements [backup.Manifests].
func (m manifests) List(_ context.Context, in backup.Storage, prefix string) ([]string, error) {
	what := "list manifests " + prefix
	if err := m.v.read(what); err != nil {
		return nil, err
	}
	names, err := m.v.w.manifests.List(context.Background(), in, prefix)
	m.v.answer(what, err)
	return names, err
}

// Delete implements [backup.Manifests].
func (m manifests) Delete(_ context.Context, in backup.Storage, name string) error {
	id, _, _ := strings.Cut(strings.TrimPrefix(name, backup.ManifestFolder+"/"), ".")
	for _, s := range m.v.w.services {
		if s.locked.After(m.v.w.now) && strings.HasPrefix(id, backup.Partition(s.target)) {
			return fault(backup.Kept, "BlobImmutableDueToPolicy", 0)
		}
	}
	return m.v.send("delete manifest "+name, func() error { return m.v.w.manifests.Delete(context.Background(), in, name) })
}

// Artifacts implements [backup.Lister].
func (v *invocation) Artifacts(_ context.Context, target string, _ backup.Storage) (found []backup.Artifact, err error) {
	what := "list artifacts"
	if err := v.read(what); err != nil {
		return nil, err
	}
	for _, b := range v.w.service(target).blobs {
		found = append(found, backup.Artifact{Name: b.name, Made: b.modified})
	}
	v.answer(what, nil)
	return found, nil
}

// manifestsKept: a manifest is written after its point, and in the end each kept point has a manifest for each of its changes, and no other point
// has any.
func manifestsKept(w *World, moment any) string {
	switch m := moment.(type) {
	case manifested:
		id, _, _ := strings.Cut(m.name[strings.LastIndex(m.name, "/")+1:], ".")
		if w.ledger.points[id] == nil {
			return "a manifest of " + w.ledger.runName(id) + " is written, and it has no recovery point"
		}
	case over:
		for _, id := range slices.Sorted(maps.Keys(w.ledger.points)) {
			if what := w.manifestsOf(w.ledger.points[id]); what != "" {
				return what
			}
		}
	}
	return ""
}

func (w *World) manifestsOf(p *backup.Point) string {
	in, folder := p.Storage, backup.ManifestFolder+"/"
	if service, _ := known.Of(p.Target); service.Shares {
		in.Container, folder = backup.ManifestFolder, ""
	}
	name := w.ledger.runName(p.ID)
	var newest *manifest.Manifest
	var said backup.Point
	names, err := w.manifests.List(context.Background(), in, folder+p.ID+".")
	if err != nil {
		return err.Error()
	}
	for _, one := range names {
		content := w.manifests.Read(in, one)
		var m manifest.Manifest
		if err := json.Unmarshal(content, &m); err != nil {
			return "a manifest of " + name + " cannot be read: " + err.Error()
		}
		if newest == nil || !m.Written.Before(newest.Written) {
			newest, said = &m, backup.Point{}
			if err := json.Unmarshal(m.Point, &said); err != nil {
				return "the row in a manifest of " + name + " cannot be read: " + err.Error()
			}
		}
	}
	switch {
	case p.State == backup.Expired:
		if newest != nil && w.now.Sub(p.Deleted) > 12*time.Hour { // else the cleanup that deletes them comes after the end
			return "a manifest of " + name + " is left, and its artifact is deleted"
		}
	case newest == nil:
		return name + " is kept, and has no manifest"
	case said.Artifact != p.Artifact || said.SHA256 != p.SHA256 || said.Safety != p.Safety || !said.Expires.Equal(p.Expires) ||
		!said.Accepted.Time.Equal(p.Accepted.Time) || !said.Held.Until.Equal(p.Held.Until) || said.Released.Hold != p.Released.Hold || said.SoftDeletion.ID != p.SoftDeletion.ID || len(said.HeldBy(w.now)) != len(p.HeldBy(w.now)) || !said.Restored.Equal(p.Restored) || (said.State == backup.Altered) != (p.State == backup.Altered):
		return fmt.Sprintf("%s is kept, and its newest manifest says something else: %s, and the row %s", name, newest.Point, backup.Encode(*p))
	}
	return ""
}

// catalogComplete: no catalog is lost in a world, so no artifact is unknown.
func catalogComplete(_ *World, moment any) string {
	if m, ok := moment.(told); ok && m.event.Type == "lifeboat.catalog.incomplete" {
		return "an event says that the catalog does not know " + string(m.event.Data)
	}
	return ""
}
