package managedhsm

import (
	"context"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// Marker is the [backup.Marker] of Managed HSM: a mark is a key that may be used for nothing.
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
	for pages := keys.NewListKeyPropertiesPager(nil); pages.More(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, marking("list the keys of", target, roleUser).Fault(err)
		}
		for _, key := range page.Value {
			if key != nil && key.KID != nil && strings.HasPrefix(key.KID.Name(), prefix) {
				names = append(names, key.KID.Name())
			}
		}
	}
	return names, nil
}

// Mark makes the key. If it is there, it gets another version.
func (m Marker) Mark(ctx context.Context, target, name string) error {
	keys, err := m.keys(target)
	if err != nil {
		return err
	}
	parameters := azkeys.CreateKeyParameters{
		Kty: to.Ptr(azkeys.KeyTypeECHSM), Curve: to.Ptr(azkeys.CurveNameP256), KeyOps: []*azkeys.KeyOperation{to.Ptr(azkeys.KeyOperationVerify)},
	}
	_, err = keys.CreateKey(ctx, name, parameters, nil)
	if azure.HasStatus(err, http.StatusConflict) { // an earlier call deleted one of that name, and did not come to purge it
		if _, purge := keys.PurgeDeletedKey(ctx, name, nil); purge == nil {
			_, err = keys.CreateKey(ctx, name, parameters, nil)
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
	if _, err = keys.DeleteKey(ctx, name, nil); err != nil && !azure.HasStatus(err, http.StatusNotFound) {
		return marking("delete a key of", target, roleUser).Fault(err)
	}
	if _, err = keys.PurgeDeletedKey(ctx, name, nil); err != nil && !azure.HasStatus(err, http.StatusNotFound) {
		return marking("purge a deleted key of", target, roleOfficer).Fault(err)
	}
	return nil
}

// Shown returns the state and the tier of the HSM.
func (m Marker) Shown(ctx context.Context, target string) (backup.Shown, error) {
	return m.azure.Shown(ctx, target, managementVersion)
}

func (m Marker) keys(target string) (*azkeys.Client, error) {
	if _, err := parseTarget(target); err != nil {
		return nil, err
	}
	host := m.azure.HSMHost(name(target))
	keys, err := azkeys.NewClient("https://"+host, m.azure.Credential, &azkeys.ClientOptions{ClientOptions: m.azure.At(host)})
	if err != nil {
		return nil, azure.Invalid("InvalidTarget", target, "a Managed HSM", err)
	}
	return keys, nil
}

// These are the HSM's own roles that a person needs for marks; the second one purges alone.
const (
	roleUser    = "Managed HSM Crypto User"
	roleOfficer = "Managed HSM Crypto Officer"
)

func marking(what, target, role string) azure.Call {
	return azure.Marking(what+" "+target, role+" at the scope / of the HSM "+name(target))
}
