package fakeazure_test

import (
	"slices"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"lifeboat/internal/testing/fakeazure"
)

func TestHSMKeysThroughOfficialClient(t *testing.T) {
	t.Parallel()
	s := startWithHSM(t)
	keys := newKeyClient(t, s, fortURL)
	first, err := keys.CreateKey(t.Context(), "rsa3", azkeys.CreateKeyParameters{
		Kty: to.Ptr(azkeys.KeyTypeRSA), KeySize: to.Ptr(int32(3072)), Tags: map[string]*string{"team": to.Ptr("a")},
	}, nil)
	must(t, err)
	second, err := keys.CreateKey(t.Context(), "rsa3", azkeys.CreateKeyParameters{Kty: to.Ptr(azkeys.KeyTypeRSAHSM)}, nil)
	must(t, err)
	if len(first.Key.N) != 384 || len(second.Key.N) != 256 || *first.Key.Kty != azkeys.KeyTypeRSAHSM ||
		first.Key.KID.Version() == second.Key.KID.Version() || first.Key.KID.Name() != "rsa3" || *first.Tags["team"] != "a" {
		t.Errorf("first %+v, second %+v", first.Key, second.Key)
	}
	old, err := keys.GetKey(t.Context(), "rsa3", first.Key.KID.Version(), nil)
	must(t, err)
	if string(old.Key.N) != string(first.Key.N) || modulus(t, s, "rsa3") != string(second.Key.N) {
		t.Error("versions are mixed up")
	}
	curves := map[azkeys.CurveName]int{azkeys.CurveNameP256: 32, azkeys.CurveNameP384: 48, azkeys.CurveNameP521: 66}
	for curve, size := range curves {
		parameters := azkeys.CreateKeyParameters{Kty: to.Ptr(azkeys.KeyTypeECHSM), Curve: &curve}
		ec, err := keys.CreateKey(t.Context(), "ec1", parameters, nil)
		must(t, err)
		if len(ec.Key.X) != size || len(ec.Key.Y) != size || *ec.Key.Crv != curve {
			t.Errorf("%s: %+v", curve, ec.Key)
		}
	}
	versions := 0
	for pager := keys.NewListKeyPropertiesVersionsPager("ec1", nil); pager.More(); {
		page, err := pager.NextPage(t.Context())
		must(t, err)
		versions += len(page.Value)
	}
	deleted, err := keys.DeleteKey(t.Context(), "rsa3", nil)
	must(t, err)
	if deleted.DeletedDate == nil || *deleted.RecoveryID != fortURL+"/deletedkeys/rsa3" || versions != 3 {
		t.Errorf("deleted %+v, %d versions", deleted, versions)
	}
	_, err = keys.CreateKey(t.Context(), "rsa3", azkeys.CreateKeyParameters{Kty: to.Ptr(azkeys.KeyTypeRSA)}, nil)
	if status, _ := errorCode(err); status != 409 || modulus(t, s, "rsa3") != "" {
		t.Errorf("deleted key created anew: %v", err)
	}
	_, err = keys.RecoverDeletedKey(t.Context(), "rsa3", nil)
	must(t, err)
	if modulus(t, s, "rsa3") != string(second.Key.N) {
		t.Error("recovered key is another one")
	}
	_, err = keys.DeleteKey(t.Context(), "rsa3", nil)
	must(t, err)
	_, err = keys.GetDeletedKey(t.Context(), "rsa3", nil)
	must(t, err)
	_, err = keys.PurgeDeletedKey(t.Context(), "rsa3", nil)
	must(t, err)
	if _, err = keys.GetDeletedKey(t.Context(), "rsa3", nil); err == nil {
		t.Error("purged key is still there")
	}
	var names []string
	for pager := keys.NewListKeyPropertiesPager(nil); pager.More(); {
		page, err := pager.NextPage(t.Context())
		must(t, err)
		for _, key := range page.Value {
			names = append(names, key.KID.Name())
		}
	}
	if !slices.Equal(names, []string{"ec1", "rsa1", "rsa2"}) {
		t.Errorf("keys %v", names)
	}
	_, err = keys.CreateKey(t.Context(), "k", azkeys.CreateKeyParameters{Kty: to.Ptr(azkeys.KeyType("DSA"))}, nil)
	if status, _ := errorCode(err); status != 400 {
		t.Errorf("unknown type: %v", err)
	}
}

// TestPurgeProtection: a deleted key cannot be purged, its name cannot be taken, and it can be recovered.
func TestPurgeProtection(t *testing.T) {
	t.Parallel()
	s := startWithHSM(t)
	must(t, s.TuneHSM(fort, func(k *fakeazure.HSMOptions) { k.PurgeProtection = true }))
	keys := newKeyClient(t, s, fortURL)
	made, err := keys.CreateKey(t.Context(), "k", azkeys.CreateKeyParameters{Kty: to.Ptr(azkeys.KeyTypeECHSM)}, nil)
	must(t, err)
	if level := *made.Attributes.RecoveryLevel; level != "CustomizedRecoverable" {
		t.Errorf("recovery level %s", level)
	}
	_, err = keys.DeleteKey(t.Context(), "k", nil)
	must(t, err)
	_, err = keys.PurgeDeletedKey(t.Context(), "k", nil)
	if status, code := errorCode(err); status != 403 || code != "Forbidden" {
		t.Errorf("purge: %v", err)
	}
	_, err = keys.CreateKey(t.Context(), "k", azkeys.CreateKeyParameters{Kty: to.Ptr(azkeys.KeyTypeECHSM)}, nil)
	if status, _ := errorCode(err); status != 409 {
		t.Errorf("create: %v", err)
	}
	_, err = keys.RecoverDeletedKey(t.Context(), "k", nil)
	must(t, err)
	_, err = keys.GetKey(t.Context(), "k", "", nil)
	must(t, err)
}
