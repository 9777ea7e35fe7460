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

// Mark makes the key. If it is there, it gets another version. If a deleted one has its name, an earlier call made that: it gives way, or
// comes back where purge protection keeps it.
func (m Marker) Mark(ctx context.Context, target, name string) error {
	keys, err := m.keys(target)
	if err != nil {
		return err
	}
	content, create := map[string]any{"kty": "EC-HSM", "crv": "P-256", "key_ops": []string{"verify"}}, "/keys/"+name+"/create"
	err = keys.Do(ctx, http.MethodPost, create, content)
	if azure.HasStatus(err, http.StatusConflict) {
		err = keys.Do(ctx, http.MethodDelete, "/deletedkeys/"+name, nil)
		if azure.HasStatus(err, unpurged...) {
			if err = keys.Do(ctx, http.MethodPost, "/deletedkeys/"+name+"/recover", nil); err != nil {
				return marking("recover a deleted key of", target, roleOfficer).Fault(err)
			}
			return nil
		}
		if err != nil && !azure.HasStatus(err, http.StatusNotFound) {
			return marking("purge a deleted key of", target, roleOfficer).Fault(err)
		}
		err = keys.Do(ctx, http.MethodPost, create, content)
	}
	if err != nil {
		return marking("make a key in", target, roleUser).Fault(err)
	}
	return nil
}

// unpurged are the statuses of a purge that is refused: by purge protection, for want of the role, or because the key is still being
// deleted.
var unpurged = []int{http.StatusForbidden, http.StatusConflict}

// Unmark deletes the key, and purges it: as long as it could be recovered, none of its name can be made. A deleted key is no mark, so that
// it may stay where it cannot be purged.
func (m Marker) Unmark(ctx context.Context, target, name string) error {
	keys, err := m.keys(target)
	if err != nil {
		return err
	}
	if err = keys.Do(ctx, http.MethodDelete, "/keys/"+name, nil); err != nil && !azure.HasStatus(err, http.StatusNotFound) {
		return marking("delete a key of", target, roleUser).Fault(err)
	}
	err = keys.Do(ctx, http.MethodDelete, "/deletedkeys/"+name, nil)
	if err != nil && !azure.HasStatus(err, http.StatusNotFound) && !azure.HasStatus(err, unpurged...) {
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

// These are the HSM's own roles that a person needs for marks; the second one alone purges and recovers.
const (
	roleUser    = "Managed HSM Crypto User"
	roleOfficer = "Managed HSM Crypto Officer"
)

func marking(what, target, role string) azure.Call {
	return azure.Marking(what+" "+target, role+" at the scope / of the HSM "+name(target))
}
