package memory

import (
	"context"
	"slices"
	"strings"
	"sync"

	"lifeboat/internal/backup"
)

// Manifests is a [backup.Manifests] in memory. Its zero value has none, and its methods may be called from any goroutine.
type Manifests struct {
	mu    sync.Mutex
	blobs map[string]map[string][]byte // by container, then by name
	// Fail returns the error of a call, such as "write", for a name; nil lets all pass.
	Fail func(call, name string) error
}

func place(in backup.Storage) string {
	return strings.ToLower(in.AccountName()) + "." + in.Zone + "/" + in.Container
}

func (m *Manifests) fail(call, name string) error {
	if m.Fail == nil {
		return nil
	}
	return m.Fail(call, name)
}

// Write implements [backup.Manifests].
func (m *Manifests) Write(_ context.Context, in backup.Storage, name string, content []byte) error {
	if err := m.fail("write", name); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.blobs == nil {
		m.blobs = map[string]map[string][]byte{}
	}
	if m.blobs[place(in)] == nil {
		m.blobs[place(in)] = map[string][]byte{}
	}
	if _, there := m.blobs[place(in)][name]; !there {
		m.blobs[place(in)][name] = slices.Clone(content)
	}
	return nil
}

// List implements [backup.Manifests].
func (m *Manifests) List(_ context.Context, in backup.Storage, prefix string) (names []string, err error) {
	if err := m.fail("list", prefix); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for name := range m.blobs[place(in)] {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Delete implements [backup.Manifests].
func (m *Manifests) Delete(_ context.Context, in backup.Storage, name string) error {
	if err := m.fail("delete", name); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.blobs[place(in)], name)
	return nil
}

// Read returns the content of a manifest; nil if there is none.
func (m *Manifests) Read(in backup.Storage, name string) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.blobs[place(in)][name])
}
