package fakeazure

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// Config describes a Sim.
type Config struct {
	// Dir receives PEM files and is created if it is missing. Required. A Sim started again on the same directory uses the same
	// certificate authority, so that running clients and a running storage emulator stay valid.
	Dir string
	// TimeScale multiplies every duration of Azure's side and every Retry-After. 0 means 1, real time.
	TimeScale float64
	// Seed determines object IDs, client IDs, the tenant, operation durations and the content of backups. Sims of one seed are
	// one tenant: they accept each other's tokens.
	Seed uint64
	// TokenLifetime is the time for which issued tokens are valid. 0 means 24 h, as on App Service.
	TokenLifetime time.Duration
	// Options are the first options of services; see Tune.
	Options Options
	// State is the path of the file that Save writes. If it is there, services, HSMs and ledgers that are added have the content
	// that they had, file shares are there again, and the ports are the same if they are free. "" means that Save is not called.
	State string
}

// Sim is the running simulator. Its methods may be called from any goroutine.
type Sim struct {
	authority  *authority
	directory  *directory
	identity   *identityEndpoint
	roles      *roles
	storage    *storage
	management *apiManagement
	hsms       *managedHSMs
	files      *files
	ledgers    *ledgers
	topics     *topics
	front      *frontEnd
	proxy      *proxy
	pace       *pace
	stop       context.CancelFunc
	// state is Config.State; kept is its content at the start.
	state string
	kept  state
}

// Start runs a Sim on free ports of 127.0.0.1 until Close.
func Start(c Config) (*Sim, error) {
	if c.Dir == "" {
		return nil, errors.New("start simulator: Config.Dir is empty")
	}
	if c.TimeScale < 0 || c.TokenLifetime < 0 {
		return nil, errors.New("start simulator: Config.TimeScale and Config.TokenLifetime must not be negative")
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("start simulator: %w", err)
	}
	authority, err := openAuthority(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("start simulator: certificate authority in %s: %w", c.Dir, err)
	}
	kept, err := readState(c.State)
	if err != nil {
		return nil, fmt.Errorf("start simulator: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Sim{authority: authority, roles: newRoles(), pace: &pace{}, stop: stop, state: c.State, kept: kept}
	s.pace.set(c.TimeScale)
	s.directory = newDirectory(c.Seed, c.TokenLifetime)
	s.storage = newStorage(s.directory, s.roles, authority)
	s.proxy = newProxy(authority)
	s.management = newAPIManagement(ctx, c, s)
	s.hsms = newManagedHSMs(ctx, c, s)
	s.files = newFiles(s.storage)
	s.storage.files = s.files
	s.files.restore(kept.Shares)
	s.ledgers = newLedgers(ctx, c, s)
	s.topics = newTopics(s.directory, s.roles)
	front := newFrontEnd(s.directory, s.roles, s.pace)
	s.front, front.apim = front, s.management
	s.management.added, s.storage.added, s.hsms.added = front.exists, front.exists, front.exists
	s.ledgers.added, s.topics.added = front.exists, front.exists
	front.provide("Microsoft.ApiManagement", "service", s.management.resourceType())
	front.provide("Microsoft.Storage", "storageAccounts", s.storage.resourceType())
	front.provide(ledgerProvider, ledgersKind, s.ledgers.resourceType(ledgersKind))
	front.provide(ledgerProvider, managedCCFs, s.ledgers.resourceType(managedCCFs))
	front.operations[strings.ToLower(ledgerProvider)] = s.ledgers.follow
	front.operations["microsoft.apimanagement"] = s.management.follow
	front.operations["microsoft.keyvault"] = s.hsms.follow
	s.proxy.host(func(name string) bool { return name == managementHost }, front.answer)
	front.provide("Microsoft.KeyVault", "managedHSMs", s.hsms.resourceType())
	front.provide(identityProvider, identityKind, s.identityType())
	front.provide(topicProvider, "topics", s.topics.resourceType())
	s.proxy.host(func(name string) bool { return name == graphHost }, refuseGraph)
	s.proxy.host(s.storage.knows, s.storage.answer)
	s.proxy.host(s.hsms.knows, s.hsms.answer)
	s.proxy.host(s.files.knows, s.files.answer)
	s.proxy.host(s.topics.knows, s.topics.answer)
	if err := s.proxy.listen(kept.ProxyPort); err != nil {
		stop()
		return nil, fmt.Errorf("start simulator: proxy: %w", err)
	}
	if s.identity, err = startIdentityEndpoint(s.directory, kept.IdentityPort); err != nil {
		stop()
		return nil, errors.Join(fmt.Errorf("start simulator: identity endpoint: %w", err), s.proxy.close())
	}
	return s, nil
}

// Close ends the listeners, cuts every connection and waits for running operations, which stop where they are.
func (s *Sim) Close() error {
	s.stop()
	err := errors.Join(s.proxy.close(), s.identity.close())
	s.management.close()
	s.hsms.close()
	s.ledgers.close()
	s.storage.transport.CloseIdleConnections()
	if err != nil {
		return fmt.Errorf("close simulator: %w", err)
	}
	return nil
}

// Env returns the variables, as NAME=value, that lead a child process to the Sim with the identity of the function app, "app".
// They belong after the inherited environment, so that they win.
func (s *Sim) Env() []string { return s.EnvFor(defaultApp) }

// EnvFor returns the same for another app: a process with its own identity, whose object ID is ObjectID(app).
func (s *Sim) EnvFor(app string) []string {
	address := "http://" + s.proxy.address()
	const direct = "127.0.0.1,localhost"
	return []string{
		"HTTPS_PROXY=" + address,
		"https_proxy=" + address,
		"NO_PROXY=" + direct,
		"no_proxy=" + direct,
		"SSL_CERT_FILE=" + s.authority.file,
		"NODE_EXTRA_CA_CERTS=" + s.authority.file,
		"REQUESTS_CA_BUNDLE=" + s.authority.file,
		"IDENTITY_ENDPOINT=" + s.identity.url(),
		"IDENTITY_HEADER=" + s.identity.secret(app),
	}
}

// Client returns an HTTP client that uses the proxy and trusts its authority. Each call returns a new one with its own
// connections.
func (s *Sim) Client() *http.Client {
	proxy := &url.URL{Scheme: "http", Host: s.proxy.address()}
	return &http.Client{Transport: &http.Transport{
		Proxy:               http.ProxyURL(proxy),
		TLSClientConfig:     s.authority.clientConfig(),
		MaxIdleConnsPerHost: 16,
	}}
}

// Certificate writes a certificate for the host names or IP addresses, and its key, as PEM files into Config.Dir,
// and returns their paths. The storage emulator needs one for 127.0.0.1.
func (s *Sim) Certificate(hosts ...string) (certFile, keyFile string, err error) {
	return s.authority.write(hosts...)
}

// SetTimeScale changes Config.TimeScale for later operations and answers.
func (s *Sim) SetTimeScale(scale float64) { s.pace.set(scale) }

// SkewDate moves the Date header of every answer by the given amount; 0 ends it. Azure's clock then seems to differ from the
// client's. API Management also computes the age of a backup by it.
func (s *Sim) SkewDate(by time.Duration) { s.proxy.skew.Store(int64(by)) }

// pace is the speed of Azure's side.
type pace struct{ bits atomic.Uint64 }

// set sets the factor by which durations are multiplied; 0 means 1.
func (p *pace) set(scale float64) {
	if scale == 0 {
		scale = 1
	}
	p.bits.Store(math.Float64bits(scale))
}

func (p *pace) scale(d time.Duration) time.Duration {
	return time.Duration(float64(d) * math.Float64frombits(p.bits.Load()))
}

// seconds returns a scaled Retry-After: whole seconds, at least 1.
func (p *pace) seconds(d time.Duration) int {
	return max(1, int(math.Ceil(p.scale(d).Seconds())))
}
