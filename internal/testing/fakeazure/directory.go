package fakeazure

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/google/uuid"
)

// defaultTokenLifetime is the lifetime of App Service's tokens for managed identities.
const defaultTokenLifetime = 24 * time.Hour

// directory is the tenant: it knows identities by name and issues their tokens. Every ID is computed from seed and name.
type directory struct {
	namespace uuid.UUID
	key       []byte
	lifetime  time.Duration
	// asked has the object IDs of the identities that anyone has named so far: these exist.
	asked sync.Map
}

func newDirectory(seed uint64, lifetime time.Duration) *directory {
	if lifetime == 0 {
		lifetime = defaultTokenLifetime
	}
	key := binary.BigEndian.AppendUint64([]byte("lifeboat simulator tenant "), seed)
	return &directory{namespace: uuid.NewSHA1(uuid.NameSpaceOID, key), key: key, lifetime: lifetime}
}

func (d *directory) id(kind, name string) string {
	return uuid.NewSHA1(d.namespace, []byte(kind+" "+strings.ToLower(name))).String()
}

func (d *directory) tenant() string              { return d.id("tenant", "") }
func (d *directory) clientID(name string) string { return d.id("client", name) }

func (d *directory) objectID(name string) string {
	id := d.id("object", name)
	d.asked.Store(id, true)
	return id
}

// knows tells whether an identity has the object ID.
func (d *directory) knows(objectID string) bool {
	_, ok := d.asked.Load(strings.ToLower(objectID))
	return ok
}

// claims is the payload of a token, as Microsoft Entra ID fills it for a managed identity.
type claims struct {
	Audience  string `json:"aud"`
	Issuer    string `json:"iss"`
	IssuedAt  int64  `json:"iat"`
	NotBefore int64  `json:"nbf"`
	Expires   int64  `json:"exp"`
	AppID     string `json:"appid"`
	ObjectID  string `json:"oid"`
	TenantID  string `json:"tid"`
	Version   string `json:"ver"`
	// Nonce replaces the missing signature of the token: a code over the other claims that only this tenant computes. Entra ID
	// puts an opaque identifier here.
	Mark string `json:"uti"`
}

// mark computes claims.Mark.
func (d *directory) mark(c claims) string {
	c.Mark = ""
	payload, _ := json.Marshal(c) // strings and integers only: cannot fail
	code := hmac.New(sha256.New, d.key)
	code.Write(payload)
	return base64.RawURLEncoding.EncodeToString(code.Sum(nil))
}

// issue makes an unsigned JSON web token for the named identity, with the audience exactly as requested.
func (d *directory) issue(name, audience string) (token string, c claims) {
	now := time.Now()
	c = claims{
		Audience:  audience,
		Issuer:    "https://sts.windows.net/" + d.tenant() + "/",
		IssuedAt:  now.Unix(),
		NotBefore: now.Unix(),
		Expires:   now.Add(d.lifetime).Unix(),
		AppID:     d.clientID(name),
		ObjectID:  d.objectID(name),
		TenantID:  d.tenant(),
		Version:   "1.0",
	}
	c.Mark = d.mark(c)
	payload, _ := json.Marshal(c) // see mark
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"typ":"JWT","alg":"none"}`)) + "." + encode(payload) + ".", c
}

var (
	errForeignToken = errors.New("not a token of this tenant")
	errExpiredToken = errors.New("expired token")
)

// verify returns the claims of a valid token of this tenant. Otherwise the error is errForeignToken or errExpiredToken; with
// the latter it returns the claims too.
func (d *directory) verify(token string) (claims, error) {
	c, err := decodeClaims(token)
	if err != nil || !hmac.Equal([]byte(c.Mark), []byte(d.mark(c))) {
		return claims{}, errForeignToken
	}
	if time.Now().Unix() >= c.Expires {
		return c, errExpiredToken
	}
	return c, nil
}

// decodeClaims reads a token without checking it.
func decodeClaims(token string) (claims, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return claims{}, fmt.Errorf("token has %d parts, want 3", len(parts))
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return claims{}, fmt.Errorf("token payload: %w", err)
	}
	var c claims
	if err := json.Unmarshal(payload, &c); err != nil {
		return claims{}, fmt.Errorf("token payload: %w", err)
	}
	return c, nil
}

// validResource tells whether a token can be requested for this resource: an https identifier URI or an application ID.
func validResource(resource string) bool {
	if uuid.Validate(resource) == nil {
		return true
	}
	u, err := url.Parse(resource)
	return err == nil && u.Scheme == "https" && u.Host != ""
}

// ObjectID returns the object ID of an identity: an app's by its name, the system-assigned one of an API Management service by
// its resource ID, a user-assigned one by the name given to Attach, Service.UserAssigned or HSM.Identity.
func (s *Sim) ObjectID(name string) string { return s.directory.objectID(name) }

// ClientID returns the client (application) ID of an identity; names as for ObjectID.
func (s *Sim) ClientID(name string) string { return s.directory.clientID(name) }

// TenantID returns the ID of the tenant that issues the tokens.
func (s *Sim) TenantID() string { return s.directory.tenant() }

// Credential returns a credential of the named identity for clients in this process.
//
// azidentity's managed-identity credential works as well, but keeps its tokens in one cache per process: apps that differ only
// in IDENTITY_HEADER get each other's tokens there.
func (s *Sim) Credential(name string) azcore.TokenCredential {
	return credential{directory: s.directory, name: name}
}

type credential struct {
	directory *directory
	name      string
}

// GetToken requires exactly one scope that ends in "/.default", as managed identities do.
func (c credential) GetToken(_ context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if len(options.Scopes) != 1 {
		return azcore.AccessToken{}, fmt.Errorf("token for %s: want one scope, got %q", c.name, options.Scopes)
	}
	resource, ok := strings.CutSuffix(options.Scopes[0], "/.default")
	if !ok || !validResource(resource) {
		return azcore.AccessToken{}, fmt.Errorf("token for %s: invalid scope %q", c.name, options.Scopes[0])
	}
	token, claims := c.directory.issue(c.name, resource)
	return azcore.AccessToken{Token: token, ExpiresOn: time.Unix(claims.Expires, 0)}, nil
}
