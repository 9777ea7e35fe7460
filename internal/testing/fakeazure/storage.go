package fakeazure

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

const (
	blobServices  = "Microsoft.Storage/storageAccounts/blobServices"
	queueServices = "Microsoft.Storage/storageAccounts/queueServices"
	tableServices = "Microsoft.Storage/storageAccounts/tableServices"

	// upstreamIdle closes idle connections well before Azurite does, so that no request is sent on a connection while it is
	// being closed: after 60 s as the local stack starts it, after 5 s by default.
	upstreamIdle = 30 * time.Second
	// upstreamName is the name in the emulator's certificate.
	upstreamName = "127.0.0.1"
)

// storageHost matches the host names of storage accounts; its groups are account and service.
var storageHost = regexp.MustCompile(`^([a-z0-9]{3,24})\.(blob|queue|table)\.core\.windows\.net$`)

// StorageAccount is a storage account and the emulator's addresses for it; the Sim itself serves its file service. The
// emulator speaks HTTPS with a certificate of Sim.Certificate("127.0.0.1"), takes the account from the Host header and checks
// bearer tokens.
type StorageAccount struct {
	Name string
	// ResourceID is the full Azure resource ID; it ends in the account's name.
	ResourceID string
	// Key is the account key, base64; the account has another one, which only listKeys shows.
	Key string
	// KeyPermissions is the permission of a key in listKeys: "FULL" or "Full"; empty means "FULL".
	KeyPermissions string
	// BlobAddr, QueueAddr and TableAddr are "127.0.0.1:port". A service without an address does not resolve.
	BlobAddr, QueueAddr, TableAddr string
	// Location is the region, such as "westeurope"; empty means "West Europe".
	Location string
	// CORS are the methods that the blob service's CORS rule allows; none means no rule. API Management's backup fails because
	// of PATCH (reported 2023-11 and since).
	CORS []string
	// NoSharedKey sets allowSharedKeyAccess to false, for backups and for the file service.
	NoSharedKey bool
	Firewall    Firewall
	// Immutability prevents the deletion of blobs.
	Immutability Immutability
	// BlocksByAdd: blobs/add/action is enough for a new blob in blocks too, in which API Management writes a backup. False: each block takes
	// blobs/write. Azure lists Put Blob and Put Block List for the former, and does not say how API Management writes.
	BlocksByAdd bool
	// PageSize is the greatest number of entries in a page of a list of the file service; 0 means Azure's own 5,000. A page may
	// have fewer entries than a client asks for.
	PageSize int
}

// Storage attaches a storage account, or attaches it again.
func (s *Sim) Storage(account StorageAccount) error {
	id, err := parseResourceID(account.ResourceID)
	if err != nil {
		return fmt.Errorf("attach storage account %s: %w", account.Name, err)
	}
	if !strings.EqualFold(id.provider+"/"+id.kind, "Microsoft.Storage/storageAccounts") || id.name != account.Name {
		return fmt.Errorf("attach storage account %s: resource ID %s is not its own", account.Name, account.ResourceID)
	}
	if !storageHost.MatchString(account.Name + ".blob.core.windows.net") {
		return fmt.Errorf("attach storage account %s: want 3 to 24 lower-case letters and digits", account.Name)
	}
	s.storage.mu.Lock()
	s.storage.accounts[account.Name] = account
	s.storage.mu.Unlock()
	s.storage.added(id)
	s.storage.transport.CloseIdleConnections() // they may lead to an emulator that was stopped
	return nil
}

// MoveStorage gives a storage account another resource ID, as `az resource move` does. Its hosts, keys and content stay. The old ID
// answers 404, and role assignments at the account itself or below stay behind at that ID, as Azure's page "Move Azure resources to a
// new resource group or subscription" says; those above the new place count. The group of the new ID is made.
func (s *Sim) MoveStorage(name, resourceID string) error {
	account, ok := s.storage.account(name)
	if !ok {
		return fmt.Errorf("move storage account %s: there is none", name)
	}
	if strings.EqualFold(account.ResourceID, resourceID) {
		return fmt.Errorf("move storage account %s: it is at %s already", name, resourceID)
	}
	account.ResourceID = resourceID
	return s.Storage(account)
}

// storage simulates the hosts of storage accounts: it checks the callers, and the emulator does the rest.
type storage struct {
	directory *directory
	roles     *roles
	// transport reaches any account by its real host name.
	transport *http.Transport
	// own is for the traffic of Azure itself, because no client repeats it: each request has its own connection, since the
	// emulator may close an idle one just as the request leaves.
	own *http.Transport
	// added tells Resource Manager about an account's subscription and group.
	added func(resourceID)
	// files has the file shares of all accounts.
	files *files

	mu       sync.RWMutex
	accounts map[string]StorageAccount
}

func newStorage(d *directory, r *roles, a *authority) *storage {
	s := &storage{directory: d, roles: r, accounts: make(map[string]StorageAccount)}
	config := a.clientConfig()
	config.ServerName = upstreamName
	s.transport = &http.Transport{
		TLSClientConfig:     config,
		DisableCompression:  true,
		IdleConnTimeout:     upstreamIdle,
		MaxIdleConnsPerHost: 16,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			_, upstream, ok := s.resolve(strings.TrimSuffix(address, ":"+httpsPort))
			if !ok {
				return nil, &net.DNSError{Err: "no such host", Name: address, IsNotFound: true}
			}
			var dialer net.Dialer
			return dialer.DialContext(ctx, network, upstream)
		},
	}
	s.own = s.transport.Clone()
	s.own.DisableKeepAlives = true
	return s
}

func (s *storage) account(name string) (StorageAccount, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	a, ok := s.accounts[name]
	return a, ok
}

// resolve returns the account and the emulator's address for a host name.
func (s *storage) resolve(host string) (a StorageAccount, upstream string, ok bool) {
	parts := storageHost.FindStringSubmatch(host)
	if parts == nil {
		return a, "", false
	}
	if a, ok = s.account(parts[1]); !ok {
		return a, "", false
	}
	upstream = map[string]string{"blob": a.BlobAddr, "queue": a.QueueAddr, "table": a.TableAddr}[parts[2]]
	return a, upstream, upstream != ""
}

func (s *storage) knows(host string) bool {
	_, _, ok := s.resolve(host)
	return ok
}

// answer forwards a request as it came, streaming. There is no retry: the transport repeats a request only if no part of it
// was sent.
func (s *storage) answer(r *http.Request) (*http.Response, error) {
	host := strings.TrimSuffix(strings.ToLower(r.Host), ":"+httpsPort)
	account, _, ok := s.resolve(host)
	if !ok {
		return nil, fmt.Errorf("no such host %s", host)
	}
	refusal, fresh := s.check(account, host, r)
	if refusal != nil {
		return refusal, nil
	}
	if refusal := account.Immutability.refuse(host, r, time.Now()); refusal != nil {
		return refusal, nil
	}
	out := r.Clone(r.Context())
	out.RequestURI = ""
	out.URL.Scheme, out.URL.Host = "https", host
	if out.ContentLength == 0 {
		out.Body = http.NoBody
	}
	dropHopHeaders(out.Header)
	conditional := r.Header.Get("If-Match") != ""
	switch {
	case !fresh || r.URL.Query().Get("comp") == "block":
	case conditional: // it would overwrite a blob, if there is one
		out.Header.Set("If-Match", `"0x0"`)
	default:
		out.Header.Set("If-None-Match", "*")
	}
	if out.Header.Get("User-Agent") == "" {
		out.Header.Set("User-Agent", "") // otherwise Go adds its own
	}
	resp, err := s.transport.RoundTrip(out)
	if err != nil {
		return nil, fmt.Errorf("forward to storage emulator: %w", err)
	}
	if fresh && !conditional && (resp.StatusCode == http.StatusConflict || resp.StatusCode == http.StatusPreconditionFailed) {
		_ = resp.Body.Close() // it is not read
		return mismatch(host), nil
	}
	dropHopHeaders(resp.Header)
	account.Immutability.show(resp)
	return resp, nil
}

// check refuses bearer tokens of another tenant, expired ones and ones for another audience, and identities without the role.
// The emulator checks shared keys and signed URLs. fresh says that the identity may write no blob that exists.
func (s *storage) check(a StorageAccount, host string, r *http.Request) (refusal *http.Response, fresh bool) {
	token, ok := bearer(r)
	if !ok {
		return nil, false
	}
	c, err := s.directory.verify(token)
	if err != nil || !storageAudience(c.Audience, host) {
		refusal = storageError(host, http.StatusUnauthorized, "InvalidAuthenticationInfo",
			"Server failed to authenticate the request. Please refer to the information in the www-authenticate header.")
		refusal.Header.Set("Www-Authenticate", fmt.Sprintf(
			`Bearer authorization_uri=https://login.microsoftonline.com/%s/oauth2/authorize `+
				`resource_id=https://storage.azure.com`, s.directory.tenant()))
		return refusal, false
	}
	scope, action := dataAction(host, r)
	if !s.roles.allow(c.ObjectID, a.ResourceID+scope, action) {
		fresh = action == writeBlobs && addsBlob(r, a.BlocksByAdd) && s.roles.allow(c.ObjectID, a.ResourceID+scope, addBlobs)
		if !fresh {
			return mismatch(host), false
		}
	}
	if !s.mayCopy(c.ObjectID, r.Header.Get("X-Ms-Copy-Source")) {
		return storageError(host, http.StatusForbidden, "CannotVerifyCopySource", mismatchText), false
	}
	return nil, fresh
}

const mismatchText = "This request is not authorized to perform this operation using this permission."

func mismatch(host string) *http.Response {
	return storageError(host, http.StatusForbidden, "AuthorizationPermissionMismatch", mismatchText)
}

// addsBlob tells whether a request may make a blob: it writes a whole one, a list of blocks, or a block if those count.
func addsBlob(r *http.Request, blocks bool) bool {
	comp := r.URL.Query().Get("comp")
	return r.Method == http.MethodPut && (comp == "" || comp == "blocklist" || comp == "block" && blocks)
}

// mayCopy tells whether the identity may read the source of a copy. The emulator takes any source in its own accounts, and goes up
// at "..". A source with a signature speaks for itself.
func (s *storage) mayCopy(objectID, source string) bool {
	if source == "" {
		return true
	}
	u, err := url.Parse(source)
	if err != nil || slices.Contains(strings.Split(u.Path, "/"), "..") {
		return false
	}
	account, _, ok := s.resolve(strings.ToLower(u.Hostname()))
	if !ok || u.Query().Has("sig") {
		return true
	}
	scope, action := dataAction(strings.ToLower(u.Hostname()), &http.Request{Method: http.MethodGet, URL: u})
	return s.roles.allow(objectID, account.ResourceID+scope, action)
}

// storageAudience accepts Azure Storage as a whole, by URI or application ID, and the account's own service.
func storageAudience(audience, host string) bool {
	switch strings.TrimSuffix(audience, "/") {
	case "https://storage.azure.com", "e406a681-f3d4-42a8-90b6-c2b029497af1", "https://" + host:
		return true
	}
	return false
}

// storageError answers in the form of the service: XML for blobs and queues, OData JSON for tables.
func storageError(host string, status int, code, message string) *http.Response {
	id := uuid.NewString()
	header := http.Header{}
	header.Set("X-Ms-Request-Id", id)
	header.Set("X-Ms-Error-Code", code)
	text := message + "\nRequestId:" + id + "\nTime:" + time.Now().UTC().Format(time.RFC3339Nano)
	if strings.Contains(host, ".table.") {
		header.Set("Content-Type", "application/json;odata=minimalmetadata;streaming=true;charset=utf-8")
		return newResponse(status, header, encodeJSON(map[string]any{"odata.error": map[string]any{
			"code": code, "message": map[string]string{"lang": "en-US", "value": text},
		}}))
	}
	header.Set("Content-Type", "application/xml")
	return newResponse(status, header, []byte(`<?xml version="1.0" encoding="utf-8"?><Error><Code>`+code+
		`</Code><Message>`+text+`</Message></Error>`))
}

// dropHopHeaders removes headers for one connection only.
func dropHopHeaders(h http.Header) {
	for _, name := range []string{
		"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding",
		"Upgrade", "Expect",
	} {
		h.Del(name)
	}
}
