package fakeazure

import (
	"crypto/ecdh"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// recoverableDays is the number of days for which a deleted key can be recovered.
const recoverableDays = 7

// hsmKey is a key with all its versions, oldest first. It has only the public parts, because nothing is signed here.
type hsmKey struct {
	Versions []keyVersion `json:"versions"`
	// Deleted is the time of its deletion, in Unix seconds; 0 for a live key.
	Deleted int64 `json:"deleted,omitempty"`
}

type keyVersion struct {
	ID      string            `json:"id"`
	Created int64             `json:"created"`
	Enabled bool              `json:"enabled"`
	JWK     map[string]any    `json:"jwk"`
	Tags    map[string]string `json:"tags,omitempty"`
}

// keyParameters is the body of POST create.
type keyParameters struct {
	Kty            string   `json:"kty"`
	KeySize        int      `json:"key_size"`
	PublicExponent int      `json:"public_exponent"`
	Curve          string   `json:"crv"`
	KeyOps         []string `json:"key_ops"`
	Attributes     struct {
		Enabled    *bool `json:"enabled"`
		Exportable bool  `json:"exportable"`
	} `json:"attributes"`
	Tags map[string]string `json:"tags"`
}

var hsmCurves = map[string]struct {
	ecdh.Curve
	bytes int
}{"P-256": {ecdh.P256(), 32}, "P-384": {ecdh.P384(), 48}, "P-521": {ecdh.P521(), 66}}

// check returns the error in the parameters, "" if there is none, and sets missing ones to their defaults.
func (p *keyParameters) check() string {
	switch strings.TrimSuffix(p.Kty, "-HSM") {
	case "RSA":
		if p.KeySize == 0 {
			p.KeySize = 2048
		}
		if !slices.Contains([]int{2048, 3072, 4096}, p.KeySize) || (p.PublicExponent != 0 && p.PublicExponent != 65537) {
			return "Property key_size or public_exponent has invalid value"
		}
	case "EC":
		if p.Curve == "" {
			p.Curve = "P-256"
		}
		if _, ok := hsmCurves[p.Curve]; !ok {
			return "Property crv has invalid value"
		}
	case "oct":
	default:
		return "Property kty has invalid value"
	}
	if p.Attributes.Exportable {
		return "An exportable key needs a release policy"
	}
	return ""
}

// newVersion makes a version of a key. The parameters were checked. It is called under the lock.
func (m *managedHSMs) newVersion(p keyParameters) keyVersion {
	_ = p.check() // sets the defaults
	encode := base64.RawURLEncoding.EncodeToString
	jwk := map[string]any{"kty": strings.TrimSuffix(p.Kty, "-HSM") + "-HSM"}
	ops := []string{"wrapKey", "decrypt", "encrypt", "unwrapKey", "sign", "verify"}
	switch jwk["kty"] {
	case "RSA-HSM":
		modulus := m.bytes(p.KeySize / 8)
		modulus[0] |= 0x80
		modulus[len(modulus)-1] |= 1
		jwk["n"], jwk["e"] = encode(modulus), "AQAB"
	case "EC-HSM":
		curve := hsmCurves[p.Curve]
		for {
			scalar := m.bytes(curve.bytes)
			if p.Curve == "P-521" {
				scalar[0] &= 1
			}
			key, err := curve.NewPrivateKey(scalar)
			if err != nil {
				continue // out of range: the next one will do
			}
			point := key.PublicKey().Bytes()[1:]
			jwk["crv"], jwk["x"], jwk["y"] = p.Curve, encode(point[:curve.bytes]), encode(point[curve.bytes:])
			break
		}
		ops = []string{"sign", "verify"}
	default:
		ops = ops[:4]
	}
	if p.KeyOps != nil {
		ops = p.KeyOps
	}
	jwk["key_ops"] = ops
	return keyVersion{
		ID: hex.EncodeToString(m.bytes(16)), Created: time.Now().Unix(), JWK: jwk, Tags: p.Tags,
		Enabled: p.Attributes.Enabled == nil || *p.Attributes.Enabled,
	}
}

// bytes returns random bytes, determined by the seed. It is called under the lock.
func (m *managedHSMs) bytes(n int) []byte {
	b := make([]byte, n)
	_, _ = m.random.Read(b) // never fails
	return b
}

func (k *hsmKey) live() bool { return k != nil && k.Deleted == 0 }

// describe returns a key's properties, without the key itself.
func (h *hsm) describe(kind, name string, v keyVersion, deleted int64) map[string]any {
	level := "CustomizedRecoverable+Purgeable"
	if h.options.PurgeProtection {
		level = "CustomizedRecoverable"
	}
	body := map[string]any{
		"kid": "https://" + strings.ToLower(h.id.name) + hsmDomain + "/" + kind + "/" + name,
		"attributes": map[string]any{
			"created": v.Created, "updated": v.Created, "enabled": v.Enabled, "exportable": false,
			"recoverableDays": recoverableDays, "recoveryLevel": level,
		},
	}
	if v.Tags != nil {
		body["tags"] = v.Tags
	}
	if deleted != 0 {
		body["recoveryId"] = "https://" + strings.ToLower(h.id.name) + hsmDomain + "/deletedkeys/" + name
		body["deletedDate"], body["scheduledPurgeDate"] = deleted, deleted+recoverableDays*86400
	}
	return body
}

// bundle answers with a key and its properties.
func (h *hsm) bundle(name string, v keyVersion, deleted int64) *http.Response {
	return armJSON(http.StatusOK, h.bundled(name, v, deleted))
}

// bundled returns a key with its properties.
func (h *hsm) bundled(name string, v keyVersion, deleted int64) map[string]any {
	body := h.describe("keys", name+"/"+v.ID, v, 0)
	jwk := map[string]any{"kid": body["kid"]}
	for member, value := range v.JWK {
		jwk[member] = value
	}
	delete(body, "kid")
	body["key"] = jwk
	if deleted != 0 {
		for member, value := range h.describe("keys", name, v, deleted) {
			if member != "kid" {
				body[member] = value
			}
		}
	}
	return body
}

func (k *hsmKey) newest() keyVersion { return k.Versions[len(k.Versions)-1] }

func keyNotFound(name string) *http.Response {
	return hsmError(http.StatusNotFound, "KeyNotFound", "Key not found: "+name)
}

func (m *managedHSMs) createKey(c *hsmCall) *http.Response {
	var p keyParameters
	if err := readJSON(c.request, &p); err != nil {
		return hsmError(http.StatusBadRequest, "BadParameter", err.Error())
	}
	if wrong := p.check(); wrong != "" {
		return hsmError(http.StatusBadRequest, "BadParameter", wrong)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	key, ok := c.hsm.vault.Keys[c.key]
	if ok && !key.live() {
		return hsmError(http.StatusConflict, "Conflict", fmt.Sprintf("Key %s is currently in a deleted but recoverable "+
			"state, and its name cannot be reused; in this state, the key can only be recovered or purged.", c.key))
	}
	if !ok {
		key = &hsmKey{}
		c.hsm.vault.Keys[c.key] = key
	}
	key.Versions = append(key.Versions, m.newVersion(p))
	return c.hsm.bundle(c.key, key.newest(), 0)
}

func (m *managedHSMs) getKey(c *hsmCall) *http.Response {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := c.hsm.vault.Keys[c.key]
	v, refusal := key.version(c)
	if refusal != nil {
		return refusal
	}
	return c.hsm.bundle(c.key, v, 0)
}

// version returns the version of a live key that a call is about, or the 404 for it. It is called under the lock.
func (k *hsmKey) version(c *hsmCall) (keyVersion, *http.Response) {
	if !k.live() {
		return keyVersion{}, keyNotFound(c.key)
	}
	if c.keyVersion == "" {
		return k.newest(), nil
	}
	for _, v := range k.Versions {
		if v.ID == c.keyVersion {
			return v, nil
		}
	}
	return keyVersion{}, keyNotFound(c.key + "/" + c.keyVersion)
}

func (m *managedHSMs) deleteKey(c *hsmCall) *http.Response {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := c.hsm.vault.Keys[c.key]
	if !key.live() {
		return keyNotFound(c.key)
	}
	key.Deleted = time.Now().Unix()
	return c.hsm.bundle(c.key, key.newest(), key.Deleted)
}

// deleted returns a deleted key, or the 404 for it. It is called under the lock.
func (h *hsm) deleted(name string) (*hsmKey, *http.Response) {
	if key, ok := h.vault.Keys[name]; ok && !key.live() {
		return key, nil
	}
	return nil, keyNotFound(name)
}

func (m *managedHSMs) getDeletedKey(c *hsmCall) *http.Response {
	m.mu.Lock()
	defer m.mu.Unlock()
	key, refusal := c.hsm.deleted(c.key)
	if refusal != nil {
		return refusal
	}
	return c.hsm.bundle(c.key, key.newest(), key.Deleted)
}

func (m *managedHSMs) purgeDeletedKey(c *hsmCall) *http.Response {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, refusal := c.hsm.deleted(c.key); refusal != nil {
		return refusal
	}
	if c.hsm.options.PurgeProtection { // the words are a key vault's (reported 2022-05); an HSM's are not known
		return hsmError(http.StatusForbidden, "Forbidden", `Operation "purge" is not allowed because purge protection is enabled for this `+
			"vault. Key Vault service will automatically purge it after the retention period has passed.")
	}
	delete(c.hsm.vault.Keys, c.key)
	return newResponse(http.StatusNoContent, http.Header{}, nil)
}

func (m *managedHSMs) recoverDeletedKey(c *hsmCall) *http.Response {
	m.mu.Lock()
	defer m.mu.Unlock()
	key, refusal := c.hsm.deleted(c.key)
	if refusal != nil {
		return refusal
	}
	key.Deleted = 0
	return c.hsm.bundle(c.key, key.newest(), 0)
}

func (m *managedHSMs) listKeys(c *hsmCall) *http.Response        { return m.list(c, true) }
func (m *managedHSMs) listDeletedKeys(c *hsmCall) *http.Response { return m.list(c, false) }

// list answers with all live or all deleted keys on one page.
func (m *managedHSMs) list(c *hsmCall, live bool) *http.Response {
	m.mu.Lock()
	defer m.mu.Unlock()
	value := []any{}
	for _, name := range slices.Sorted(maps.Keys(c.hsm.vault.Keys)) {
		if key := c.hsm.vault.Keys[name]; key.live() == live {
			value = append(value, c.hsm.describe("keys", name, key.newest(), key.Deleted))
		}
	}
	return armJSON(http.StatusOK, map[string]any{"value": value, "nextLink": nil})
}

func (m *managedHSMs) listVersions(c *hsmCall) *http.Response {
	m.mu.Lock()
	defer m.mu.Unlock()
	value := []any{}
	if key := c.hsm.vault.Keys[c.key]; key.live() {
		for _, v := range key.Versions {
			value = append(value, c.hsm.describe("keys", c.key+"/"+v.ID, v, 0))
		}
	}
	return armJSON(http.StatusOK, map[string]any{"value": value, "nextLink": nil})
}
