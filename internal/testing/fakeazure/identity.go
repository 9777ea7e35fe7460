package fakeazure

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
)

const (
	// defaultApp is the identity of the function app without a name.
	defaultApp = "app"
	// identityAPIVersion is the only version that App Service offers with IDENTITY_ENDPOINT.
	identityAPIVersion = "2019-08-01"
	identityPath       = "/msi/token"
	// readHeaderTimeout is the time limit for clients that connect and send nothing.
	readHeaderTimeout = 30 * time.Second
)

// identityEndpoint is App Service's managed-identity endpoint: plain HTTP on loopback, guarded by a secret that only the app's
// own process knows. One endpoint serves all apps; the secret tells them apart.
type identityEndpoint struct {
	directory *directory
	listener  net.Listener
	server    *http.Server

	mu       sync.Mutex
	apps     map[string]string   // secret -> app
	attached map[string][]string // app -> names of its user-assigned identities
}

func startIdentityEndpoint(d *directory, port int) (*identityEndpoint, error) {
	listener, err := listenOn(port)
	if err != nil {
		return nil, err
	}
	e := &identityEndpoint{
		directory: d,
		listener:  listener,
		apps:      make(map[string]string),
		attached:  make(map[string][]string),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+identityPath, e.token)
	e.server = &http.Server{Handler: mux, ReadHeaderTimeout: readHeaderTimeout}
	go func() { _ = e.server.Serve(listener) }() // always ends with ErrServerClosed
	return e, nil
}

func (e *identityEndpoint) close() error {
	if err := e.server.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

func (e *identityEndpoint) url() string { return "http://" + e.listener.Addr().String() + identityPath }

// secret returns the app's IDENTITY_HEADER.
func (e *identityEndpoint) secret(app string) string {
	secret := e.directory.id("secret", app)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.apps[secret] = app
	return secret
}

// Attach gives an app a user-assigned identity and returns its client ID. With that the app can request its tokens.
func (s *Sim) Attach(app, identity string) (clientID string) {
	e := s.identity
	e.mu.Lock()
	defer e.mu.Unlock()
	if !slices.Contains(e.attached[app], identity) {
		e.attached[app] = append(e.attached[app], identity)
	}
	return e.directory.clientID(identity)
}

// token answers GET ?resource=R&api-version=2019-08-01[&client_id=C] with header X-IDENTITY-HEADER.
func (e *identityEndpoint) token(w http.ResponseWriter, r *http.Request) {
	secret := r.Header.Get("X-Identity-Header")
	query := r.URL.Query()
	e.mu.Lock()
	app, known := e.apps[secret]
	identities := slices.Clone(e.attached[app])
	e.mu.Unlock()
	switch {
	case secret == "":
		refuseToken(w, http.StatusBadRequest, "The X-IDENTITY-HEADER header is missing.")
		return
	case !known:
		refuseToken(w, http.StatusForbidden, "The X-IDENTITY-HEADER header is not the one of this app.")
		return
	case query.Get("api-version") != identityAPIVersion:
		refuseToken(w, http.StatusBadRequest, "The api-version is missing or not supported.")
		return
	case !validResource(query.Get("resource")):
		refuseToken(w, http.StatusBadRequest, "The resource is missing or no identifier of an application.")
		return
	}
	identity, ok := e.choose(app, identities, query)
	if !ok {
		refuseToken(w, http.StatusBadRequest,
			"No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId.")
		return
	}
	token, claims := e.directory.issue(identity, query.Get("resource"))
	writeIdentityJSON(w, http.StatusOK, map[string]string{
		"access_token": token,
		"expires_on":   strconv.FormatInt(claims.Expires, 10),
		"resource":     claims.Audience,
		"token_type":   "Bearer",
		"client_id":    claims.AppID,
	})
}

// choose returns the requested identity: the app's own one unless the query selects another.
func (e *identityEndpoint) choose(app string, attached []string, query map[string][]string) (name string, ok bool) {
	for key := range query {
		switch key {
		case "client_id":
			i := slices.IndexFunc(attached, func(name string) bool {
				return e.directory.clientID(name) == query[key][0]
			})
			if i < 0 {
				return "", false
			}
			return attached[i], true
		case "resource", "api-version":
		default: // selectors by resource or principal ID, and all others, find no identity
			return "", false
		}
	}
	return app, true
}

// refuseToken answers in App Service's own form; Azure Resource Manager's is different.
func refuseToken(w http.ResponseWriter, status int, message string) {
	writeIdentityJSON(w, status, map[string]any{
		"statusCode": status, "message": message, "correlationId": uuid.NewString(),
	})
}

func writeIdentityJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // it fails only when the client has gone
}
