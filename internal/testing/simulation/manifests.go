package simulation

import (
	"context"

	"lifeboat/internal/backup"
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
	return m.v.send("delete manifest "+name, func() error { return m.v.w.manifests.Delete(context.Background(), in, name) })
}
