package fakeazure

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/testing/fakeazure/domainwriter"
)

// activation is the way of a new HSM to its security domain: the download of its own, or the upload of another one's. Its fields
// are guarded by managedHSMs.mu.
type activation struct {
	// by is the last path under which it began, "" before.
	by string
	// ends is the time at which it is over; refused is the reason for which it fails then.
	ends    time.Time
	refused string
	// exchange has the exchange key for an upload, once it was asked for.
	exchange domainwriter.Holder
	domain   *domainwriter.Domain
}

// These are the paths under which an HSM is activated.
const (
	byDownload = "/securitydomain/download"
	byUpload   = "/securitydomain/upload"
)

// These are the details of an activation, while it lasts and at its end. The first three were recorded (2025).
const (
	confirming = "The Security Domain is being confirmed."
	restoring  = "The Security Domain is being restored."
	resourceUp = "The resource is active."
	notOpened  = "The Security Domain could not be restored."
)

// state returns the status of an activation, with its details.
func (a *activation) state() (status, details string) {
	switch {
	case time.Now().Before(a.ends) && a.by == byUpload:
		return "InProgress", restoring
	case time.Now().Before(a.ends):
		return "InProgress", confirming
	case a.refused != "":
		return "Failed", a.refused
	}
	return "Success", resourceUp
}

// shown is the activation that Resource Manager shows.
func (h *hsm) shown() Activation {
	if h.options.Activation == Activated && !h.active() {
		return NotActivated
	}
	return h.options.Activation
}

// active tells whether the HSM has its security domain. It is called under the lock.
func (h *hsm) active() bool {
	if h.activation == nil {
		return true
	}
	status, _ := h.activation.state()
	return h.activation.by != "" && status == "Success"
}

// inactive returns the answer of an HSM that is not active to all but its activation. It was not recorded; the words are invented.
func (h *hsm) inactive(r hsmRoute) *http.Response {
	if h.active() || r.step == OnDomain {
		return nil
	}
	return hsmError(http.StatusForbidden, "Forbidden", "The HSM is not activated")
}

// begins returns the refusal to activate an HSM that is active, or that is being activated. It was not recorded.
func (h *hsm) begins() *http.Response {
	switch a := h.activation; {
	case h.active():
		return hsmError(http.StatusConflict, "Conflict", "The HSM is active: its security domain can be neither downloaded nor uploaded")
	case a.by != "" && time.Now().Before(a.ends):
		return hsmError(http.StatusConflict, "Conflict", "The HSM is being activated")
	}
	return nil
}

// holdersOf returns the holders of a download. The words of a refusal are invented.
func holdersOf(c domainwriter.CertificateInfo, twins TwinHolders) (all []domainwriter.Holder, refusal *http.Response) {
	refuse := func(why string) ([]domainwriter.Holder, *http.Response) {
		return nil, hsmError(http.StatusBadRequest, "BadParameter", why)
	}
	if n := len(c.Certificates); n < 3 || n > 10 {
		return refuse("The number of certificates must be from 3 to 10")
	}
	if c.Required < 2 || c.Required > 10 || c.Required > len(c.Certificates) {
		return refuse("required must be from 2 to 10, and at most the number of certificates")
	}
	for n, k := range c.Certificates {
		cert, err := k.Certificate()
		if err == nil && k.Alg != "RSA-OAEP-256" {
			err = errors.New("it is not for RSA-OAEP-256")
		}
		if err != nil {
			return refuse(fmt.Sprintf("certificate %d: %v", n+1, err))
		}
		same := func(o domainwriter.Holder) bool { return o.Cert.Equal(cert) }
		if twins == TwinHoldersRefused && slices.ContainsFunc(all, same) {
			return refuse(fmt.Sprintf("certificate %d is there twice", n+1))
		}
		all = append(all, domainwriter.Holder{Name: cert.Subject.CommonName, Cert: cert})
	}
	return all, nil
}

// downloadDomain activates a new HSM, and answers with its security domain at once (recorded 2020 to 2025).
func (m *managedHSMs) downloadDomain(c *hsmCall) *http.Response {
	var body domainwriter.CertificateInfo
	if err := readJSON(c.request, &body); err != nil {
		return hsmError(http.StatusBadRequest, "BadParameter", err.Error())
	}
	m.mu.Lock()
	twins := c.hsm.options.TwinHolders
	m.mu.Unlock()
	holders, refusal := holdersOf(body, twins)
	if refusal != nil {
		return refusal
	}
	anchor := domainwriter.NewKey(2048)
	m.mu.Lock()
	defer m.mu.Unlock()
	if refusal := c.hsm.begins(); refusal != nil {
		return refusal
	}
	m.activate(c.hsm, byDownload, domainwriter.Activate(c.hsm.id.name, time.Now().UTC(), body.Required, anchor, holders...), "")
	resp := armJSON(http.StatusAccepted, domainwriter.Value{Value: string(c.hsm.activation.domain.File().JSON())})
	return c.pending(resp, byDownload)
}

// activate begins an activation. It is called under the lock.
func (m *managedHSMs) activate(h *hsm, by string, domain *domainwriter.Domain, refused string) {
	a := h.activation
	a.by, a.refused, a.domain = by, refused, domain
	a.ends = time.Now().Add(m.pace.scale(m.draw(h.options.Activating, Range{6 * time.Minute, 12 * time.Minute})))
	if refused == "" {
		h.SecurityDomain = domain.ID
	}
}

// pending adds the address at which an activation is followed. There is no Retry-After (recorded 2025).
func (c *hsmCall) pending(resp *http.Response, path string) *http.Response {
	resp.Header.Set("Azure-AsyncOperation", "https://"+strings.ToLower(c.hsm.id.name)+hsmDomain+path+"/pending?api-version="+c.version)
	return resp
}

// pollDomain answers GET of an activation's status, at any later time too. Before one began the answer is invented.
func (m *managedHSMs) pollDomain(c *hsmCall) *http.Response {
	m.mu.Lock()
	defer m.mu.Unlock()
	path := strings.TrimSuffix(strings.TrimSuffix(c.request.URL.Path, "/"), "/pending")
	if a := c.hsm.activation; a != nil && a.by == path {
		status, details := a.state()
		return c.pending(armJSON(http.StatusOK, map[string]any{"status": status, "status_details": details}), path)
	}
	return hsmError(http.StatusNotFound, "NotFound", "No such operation has begun")
}

// transferKey answers with the exchange key that a restore blob is for (recorded 2025). The recorded one has 4096 bits, and an
// attestation in its certificate; making one of 2048 takes less time.
func (m *managedHSMs) transferKey(c *hsmCall) *http.Response {
	fresh := newExchange(strings.ToLower(c.hsm.id.name) + hsmDomain)
	m.mu.Lock()
	defer m.mu.Unlock()
	if refusal := c.hsm.begins(); refusal != nil {
		return refusal
	}
	a := c.hsm.activation
	if a.exchange.Key == nil || c.hsm.options.ExchangeKey == ExchangeKeyRenewed {
		a.exchange = fresh
	}
	key := domainwriter.NewJWK(a.exchange.Cert)
	key.Kid = "not used"
	return armJSON(http.StatusOK, domainwriter.TransferKey{Format: "jwk", Key: string(encodeJSON(key))})
}

// newExchange makes an exchange key with its certificate, for a year.
func newExchange(host string) domainwriter.Holder {
	h := domainwriter.Holder{Name: host, Key: domainwriter.NewKey(2048)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, NotBefore: time.Now().UTC(), NotAfter: time.Now().UTC().AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageKeyEncipherment, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &h.Key.PublicKey, h.Key)
	if err == nil {
		h.Cert, err = x509.ParseCertificate(der)
	}
	if err != nil {
		panic(err) // nothing here depends on an input
	}
	return h
}

// uploadDomain activates a new HSM with the security domain of another one.
func (m *managedHSMs) uploadDomain(c *hsmCall) *http.Response {
	var body domainwriter.Value
	if err := readJSON(c.request, &body); err != nil {
		return hsmError(http.StatusBadRequest, "BadParameter", err.Error())
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if refusal := c.hsm.begins(); refusal != nil {
		return refusal
	}
	if c.hsm.activation.exchange.Key == nil {
		return hsmError(http.StatusBadRequest, "BadParameter", "The exchange key was not asked for")
	}
	domain, err := domainwriter.OpenBlob([]byte(body.Value), c.hsm.id.name, c.hsm.activation.exchange)
	refused := ""
	switch {
	case err != nil && c.hsm.options.BadUpload == BadUploadAtStart:
		return hsmError(http.StatusBadRequest, "BadParameter", notOpened+" "+err.Error())
	case err != nil:
		refused = notOpened + " " + err.Error()
	}
	m.activate(c.hsm, byUpload, domain, refused)
	return c.pending(armJSON(http.StatusAccepted, map[string]any{"status": "InProgress", "status_details": restoring}), byUpload)
}

// attestKey answers with a key and its attestation, of which only the certificates have a meaning here. An HSM that was active from the
// start has no security domain to attest.
func (m *managedHSMs) attestKey(c *hsmCall) *http.Response {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, refusal := c.hsm.vault.Keys[c.key].version(c)
	if refusal != nil {
		return refusal
	}
	if c.hsm.activation == nil {
		return hsmError(http.StatusNotImplemented, "NotImplemented", "This simulator attests only the keys of an HSM that was new")
	}
	body := c.hsm.bundled(c.key, v, 0)
	body["attributes"].(map[string]any)["attestation"] = map[string]any{
		"certificatePemFile": c.hsm.activation.domain.Certificates(), "privateKeyAttestation": "", "publicKeyAttestation": "", "version": "1.0",
	}
	return armJSON(http.StatusOK, body)
}
