package managedhsm

import (
	"context"
	"net/http"
	"strings"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// Marker is the [backup.Marker] of Managed HSM: a mark is a key that may only verify.
type Marker struct{ azure azure.Client }

var _ backup.Marker = Marker{}

// NewMarker makes a Marker that acts with the identity of the client.
func NewMarker(client azure.Client) Marker { return Marker{client} }

// Marks returns the names of the keys that begin with the prefix, without deleted ones.
func (m Marker) Marks(ctx context.Context, target, prefix string) ([]string, error) {
	keys, err := m.keys(target)
	if err != nil {
		return nil, err
	}
	var names []string
	err = azure.Pages(ctx, keys, "/keys", func(key struct {
		ID string `json:"kid"`
	},
	) {
		_, name, _ := strings.Cut(key.ID, "/keys/")
		if name, _, _ = strings.Cut(name, "/"); strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	})
	if err != nil {
		return nil, marking("list the keys of", target, roleUser).Fault(err)
	}
	return names, nil
}

// Mark makes the key. If it is there, it gets another version.
func (m Marker) Mark(ctx context.Context, target, name string) error {
	keys, err := m.keys(target)
	if err != nil {
		return err
	}
	content, create := map[string]any{"kty": "EC-HSM", "crv": "P-256", "key_ops": []string{"verify"}}, "/keys/"+name+"/create"
	err = keys.Do(ctx, http.MethodPost, create, content)
	if azure.HasStatus(err, http.StatusConflict) { // an earlier call deleted one of that name, and did not come to purge it
		if purged := keys.Do(ctx, http.MethodDelete, "/deletedkeys/"+name, nil); purged == nil {
			err = keys.Do(ctx, http.MethodPost, create, content)
		}
	}
	if err != nil {
		return marking("make a key in", target, roleUser).Fault(err)
	}
	return nil
}

// Unmark deletes the key, and purges it: as long as it could be recovered, none of its name can be made.
func (m Marker) Unmark(ctx context.Context, target, name string) error {
	keys, err := m.keys(target)
	if err != nil {
		return err
	}
	if err = keys.Do(ctx, http.MethodDelete, "/keys/"+name, nil); err != nil && !azure.HasStatus(err, http.StatusNotFound) {
		return marking("delete a key of", target, roleUser).Fault(err)
	}
	if err = keys.Do(ctx, http.MethodDelete, "/deletedkeys/"+name, nil); err != nil && !azure.HasStatus(err, http.StatusNotFound) {
		return marking("purge a deleted key of", target, roleOfficer).Fault(err)
	}
	return nil
}

// Shown returns the state and the tier of the HSM.
func (m Marker) Shown(ctx context.Context, target string) (backup.Shown, error) {
	return m.azure.Shown(ctx, target, managementVersion)
}

// keysVersion is the api-version of the HSM's keys.
const keysVersion = "7.5"

func (m Marker) keys(target string) (azure.Plain, error) {
	if _, err := parseTarget(target); err != nil {
		return azure.Plain{}, err
	}
	return m.azure.HSM(name(target), keysVersion), nil
}

// These are the HSM's own roles that a person needs for marks; the second one purges alone.
const (
	roleUser    = "Managed HSM Crypto User"
	roleOfficer = "Managed HSM Crypto Officer"
)

func marking(what, target, role string) azure.Call {
	return azure.Marking(what+" "+target, role+" at the scope / of the HSM "+name(target))
}
