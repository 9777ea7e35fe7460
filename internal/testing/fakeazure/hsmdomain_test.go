package fakeazure_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azadmin/backup"

	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/fakeazure/domainwriter"
)

const (
	downloadPath  = "/securitydomain/download"
	uploadPath    = "/securitydomain/upload"
	domainVersion = "?api-version=7.5"
	castle        = group + "/providers/Microsoft.KeyVault/managedHSMs/castle"
	castleURL     = "https://castle.managedhsm.azure.net"
)

// domainHolders are alice, bob, carol and weak, whose key is too short.
var domainHolders = sync.OnceValue(func() (all []domainwriter.Holder) {
	for _, name := range []string{"alice", "bob", "carol"} {
		all = append(all, domainwriter.NewHolder(name, 2048))
	}
	return append(all, domainwriter.NewHolder("weak", 1024))
})

// addNewHSM adds an HSM that is not active. The app may make and restore backups, and take part in nothing before.
func addNewHSM(t *testing.T, s *fakeazure.Sim, id string) {
	t.Helper()
	must(t, s.AddHSM(fakeazure.HSM{ResourceID: id, Identity: "hsm-writer", New: true}))
	s.Assign(s.ObjectID("hsm-writer"), accountID, fakeazure.StorageBlobDataContributor)
	must(t, s.AssignHSM(id, s.ObjectID("app"), fakeazure.ManagedHSMBackup, fakeazure.ManagedHSMRestore))
	must(t, s.AssignHSM(id, s.ObjectID("officer"), fakeazure.ManagedHSMCryptoOfficer, fakeazure.ManagedHSMCryptoUser))
}

// ask sends a request to an HSM, checks the status, and decodes the answer, unless into is nil.
func ask(t *testing.T, s *fakeazure.Sim, status int, method, url, identity string, body, into any) reply {
	t.Helper()
	var text string
	if body != nil {
		b, err := json.Marshal(body)
		must(t, err)
		text = string(b)
	}
	r, err := sendAs(t, s, method, url, "Bearer "+tokenOf(t, s, identity, "https://managedhsm.azure.net"), "application/json", text)
	must(t, err)
	if r.StatusCode != status {
		t.Fatalf("%s %s: got %d, want %d: %s", method, url, r.StatusCode, status, r.body)
	}
	if into != nil {
		must(t, json.Unmarshal(r.body, into))
	}
	return r
}

// pendingDomain checks the status of an activation.
func pendingDomain(t *testing.T, s *fakeazure.Sim, url, status, details string) {
	t.Helper()
	var got map[string]string
	r := ask(t, s, 200, "GET", url+"/pending"+domainVersion, "administrator", nil, &got)
	if len(got) != 2 || got["status"] != status || !strings.HasPrefix(got["status_details"], details) || r.Header.Get("Retry-After") != "" ||
		r.Header.Get("Azure-AsyncOperation") != url+"/pending"+domainVersion {
		t.Errorf("%s: %s %v", url, r.body, r.Header)
	}
}

// activateHSM downloads the security domain of a new HSM for alice, bob and carol, of whom two are a quorum.
func activateHSM(t *testing.T, s *fakeazure.Sim, id, url string) (f domainwriter.File) {
	t.Helper()
	var value domainwriter.Value
	body := domainwriter.NewCertificateInfo(2, domainHolders()[:3]...)
	ask(t, s, 202, "POST", url+downloadPath+domainVersion, "administrator", body, &value)
	must(t, s.HurryHSM(id))
	must(t, json.Unmarshal([]byte(value.Value), &f))
	return f
}

// shownActivation returns the state that Resource Manager shows.
func shownActivation(t *testing.T, s *fakeazure.Sim, id string) string {
	t.Helper()
	s.Assign(s.ObjectID("app"), id, fakeazure.Reader)
	var shown struct {
		Properties struct {
			SecurityDomainProperties struct{ ActivationStatus string }
		}
	}
	r := send(t, s, "GET", "https://management.azure.com"+id+"?api-version=2023-07-01", "app", "")
	must(t, json.Unmarshal(r.body, &shown))
	return shown.Properties.SecurityDomainProperties.ActivationStatus
}

// TestHSMIsActivatedByADownload checks each refusal of a download, the answers meanwhile, and that a quorum opens the file.
func TestHSMIsActivatedByADownload(t *testing.T) {
	t.Parallel()
	s := start(t)
	addNewHSM(t, s, fort)
	if got := shownActivation(t, s, fort); got != "NotActivated" {
		t.Errorf("a new HSM is %s", got)
	}
	closed := func() {
		t.Helper()
		if r := hsmSend(t, s, "GET", "/keys"+hsmVersion, "officer", ""); r.StatusCode != 403 || r.code() != "Forbidden" {
			t.Errorf("keys of an inactive HSM: %d %s", r.StatusCode, r.body)
		}
		if r := hsmSend(t, s, "POST", "/backup"+hsmVersion, "app", "{}"); r.StatusCode != 403 {
			t.Errorf("backup of an inactive HSM: %d %s", r.StatusCode, r.body)
		}
	}
	closed()
	people := domainHolders()
	good := func() domainwriter.CertificateInfo { return domainwriter.NewCertificateInfo(2, people[:3]...) }
	changed := func(change func(k *domainwriter.JWK)) domainwriter.CertificateInfo {
		info := good()
		change(&info.Certificates[1])
		return info
	}
	for why, body := range map[string]any{
		"two holders":         domainwriter.NewCertificateInfo(2, people[:2]...),
		"eleven holders":      domainwriter.NewCertificateInfo(2, append(people[:3:3], append(people[:3:3], append(people[:3:3], people[:2]...)...)...)...),
		"a quorum of one":     domainwriter.NewCertificateInfo(1, people[:3]...),
		"a quorum of four":    domainwriter.NewCertificateInfo(4, people[:3]...),
		"a quorum of eleven":  domainwriter.NewCertificateInfo(11, people[:3]...),
		"a weak key":          domainwriter.NewCertificateInfo(2, people[1:4]...),
		"another thumbprint":  changed(func(k *domainwriter.JWK) { k.X5tS256 = domainwriter.X5T(people[0].Cert) }),
		"another modulus":     changed(func(k *domainwriter.JWK) { k.N = domainwriter.NewJWK(people[0].Cert).N }),
		"another algorithm":   changed(func(k *domainwriter.JWK) { k.Alg = "RSA-OAEP" }),
		"a chain":             changed(func(k *domainwriter.JWK) { k.X5c = append(k.X5c, k.X5c...) }),
		"no certificate":      changed(func(k *domainwriter.JWK) { k.X5c[0] = "AAAA" }),
		"an unknown member":   map[string]any{"certificates": good().Certificates, "required": 2, "quorum": 2},
		"text for the number": map[string]any{"certificates": good().Certificates, "required": "2"},
	} {
		if r := ask(t, s, 400, "POST", fortURL+downloadPath+domainVersion, "administrator", body, nil); r.code() != "BadParameter" {
			t.Errorf("%s: %s", why, r.body)
		}
	}
	for _, path := range []string{downloadPath, uploadPath} {
		ask(t, s, 404, "GET", fortURL+path+"/pending"+domainVersion, "administrator", nil, nil)
		ask(t, s, 403, "POST", fortURL+path+domainVersion, "app", good(), nil)
	}
	must(t, s.TuneHSM(fort, func(k *fakeazure.HSMOptions) { k.Activating = fakeazure.Range{Shortest: 1000 * time.Hour} }))
	var value domainwriter.Value
	r := ask(t, s, 202, "POST", fortURL+downloadPath+domainVersion, "administrator", good(), &value)
	if r.Header.Get("Azure-AsyncOperation") != fortURL+downloadPath+"/pending"+domainVersion || r.Header.Get("Retry-After") != "" {
		t.Errorf("accepted with %v", r.Header)
	}
	pendingDomain(t, s, fortURL+downloadPath, "InProgress", "The Security Domain is being confirmed.")
	closed()
	ask(t, s, 409, "POST", fortURL+downloadPath+domainVersion, "administrator", good(), nil)
	ask(t, s, 409, "GET", fortURL+uploadPath+domainVersion, "administrator", nil, nil)
	must(t, s.HurryHSM(fort))
	pendingDomain(t, s, fortURL+downloadPath, "Success", "The resource is active.")
	if got := shownActivation(t, s, fort); got != "Active" {
		t.Errorf("an activated HSM is %s", got)
	}
	ask(t, s, 200, "GET", fortURL+"/keys"+hsmVersion, "officer", nil, nil)
	ask(t, s, 409, "POST", fortURL+downloadPath+domainVersion, "administrator", good(), nil)
	var file domainwriter.File
	must(t, json.Unmarshal([]byte(value.Value), &file))
	if _, err := file.ForExchange(people[0].Cert, people[2], people[1]); err != nil {
		t.Errorf("a quorum does not open the file: %v", err)
	}
}

func TestHSMTwinHolders(t *testing.T) {
	t.Parallel()
	s := start(t)
	people := domainHolders()
	twins := domainwriter.NewCertificateInfo(2, people[0], people[1], people[0])
	for option, status := range map[fakeazure.TwinHolders]int{fakeazure.TwinHoldersTaken: 202, fakeazure.TwinHoldersRefused: 400} {
		addNewHSM(t, s, fort)
		must(t, s.TuneHSM(fort, func(k *fakeazure.HSMOptions) { k.TwinHolders = option }))
		ask(t, s, status, "POST", fortURL+downloadPath+domainVersion, "administrator", twins, nil)
	}
}

// exchangeOf asks for the exchange key.
func exchangeOf(t *testing.T, s *fakeazure.Sim, url string) (k domainwriter.TransferKey) {
	t.Helper()
	ask(t, s, 200, "GET", url+uploadPath+domainVersion, "administrator", nil, &k)
	return k
}

// blobFor returns the restore blob of the file for an exchange key.
func blobFor(t *testing.T, f domainwriter.File, k domainwriter.TransferKey) domainwriter.Value {
	t.Helper()
	cert, err := k.Certificate()
	must(t, err)
	blob, err := f.ForExchange(cert, domainHolders()[:2]...)
	must(t, err)
	return domainwriter.Value{Value: string(blob.JSON())}
}

// TestHSMIsActivatedByAnUpload moves a security domain to a new HSM, past blobs that do not open. It sees both readings of each option.
func TestHSMIsActivatedByAnUpload(t *testing.T) {
	t.Parallel()
	s := start(t)
	addNewHSM(t, s, fort)
	file := activateHSM(t, s, fort, fortURL)
	addNewHSM(t, s, castle)
	ask(t, s, 400, "POST", castleURL+uploadPath+domainVersion, "administrator", domainwriter.Value{Value: string(file.JSON())}, nil)
	first := exchangeOf(t, s, castleURL)
	old := blobFor(t, file, first)
	second := exchangeOf(t, s, castleURL)
	must(t, s.TuneHSM(castle, func(k *fakeazure.HSMOptions) { k.ExchangeKey = fakeazure.ExchangeKeyKept }))
	if third := exchangeOf(t, s, castleURL); first == second || second != third {
		t.Error("the exchange key is made anew, and kept, at the wrong times")
	}
	for what, body := range map[string]domainwriter.Value{
		"the exchange key before": old, "the file": {Value: string(file.JSON())}, "nothing": {},
	} {
		must(t, s.TuneHSM(castle, func(k *fakeazure.HSMOptions) { k.BadUpload = fakeazure.BadUploadAtStart }))
		if r := ask(t, s, 400, "POST", castleURL+uploadPath+domainVersion, "administrator", body, nil); r.code() != "BadParameter" {
			t.Errorf("%s: %s", what, r.body)
		}
		must(t, s.TuneHSM(castle, func(k *fakeazure.HSMOptions) { k.BadUpload = fakeazure.BadUploadLate }))
		ask(t, s, 202, "POST", castleURL+uploadPath+domainVersion, "administrator", body, nil)
		must(t, s.HurryHSM(castle))
		pendingDomain(t, s, castleURL+uploadPath, "Failed", "The Security Domain could not be restored.")
		if got := shownActivation(t, s, castle); got != "NotActivated" {
			t.Errorf("%s: the HSM is %s", what, got)
		}
	}
	must(t, s.TuneHSM(castle, func(k *fakeazure.HSMOptions) { k.Activating = fakeazure.Range{Shortest: 1000 * time.Hour} }))
	var accepted map[string]string
	blob := blobFor(t, file, second)
	r := ask(t, s, 202, "POST", castleURL+uploadPath+domainVersion, "administrator", blob, &accepted)
	if r.Header.Get("Azure-AsyncOperation") != castleURL+uploadPath+"/pending"+domainVersion || accepted["status"] != "InProgress" {
		t.Errorf("accepted with %s %v", r.body, r.Header)
	}
	pendingDomain(t, s, castleURL+uploadPath, "InProgress", "The Security Domain is being restored.")
	ask(t, s, 409, "POST", castleURL+uploadPath+domainVersion, "administrator", blob, nil)
	must(t, s.HurryHSM(castle))
	pendingDomain(t, s, castleURL+uploadPath, "Success", "The resource is active.")
	ask(t, s, 404, "GET", castleURL+downloadPath+"/pending"+domainVersion, "administrator", nil, nil)
	ask(t, s, 409, "POST", castleURL+uploadPath+domainVersion, "administrator", blob, nil)
	if got := shownActivation(t, s, castle); got != "Active" {
		t.Errorf("the HSM is %s", got)
	}
}

// backUpHSM makes a backup of an HSM, and returns its folder.
func backUpHSM(t *testing.T, s *fakeazure.Sim, url, name string) string {
	t.Helper()
	poller, err := newBackupClient(t, s, url, s.Credential("app")).BeginFullBackup(t.Context(), byIdentity(name), nil)
	result, err := settle(t, poller, err)
	must(t, err)
	return (*result.AzureStorageBlobContainerURI)[strings.LastIndex(*result.AzureStorageBlobContainerURI, "/")+1:]
}

// TestHSMRestoresOfItsSecurityDomainAlone restores the backup of a lost HSM into a new one with its security domain. In both readings
// it fails to restore it into one with another.
func TestHSMRestoresOfItsSecurityDomainAlone(t *testing.T) {
	t.Parallel()
	s := startWithHSM(t)
	must(t, s.TuneHSM("", func(k *fakeazure.HSMOptions) { k.BackupFirst = fakeazure.BackupUnchecked }))
	name := createContainer(t, s)
	addNewHSM(t, s, fort)
	file := activateHSM(t, s, fort, fortURL)
	ask(t, s, 200, "POST", fortURL+"/keys/orders/create"+hsmVersion, "officer", map[string]any{"kty": "RSA"}, nil)
	n := modulus(t, s, "orders")
	folder := backUpHSM(t, s, fortURL, name)
	must(t, s.RemoveHSM(fort))
	if r := send(t, s, "GET", "https://management.azure.com"+fort+"?api-version=2023-07-01", "app", ""); r.StatusCode != 404 && r.StatusCode != 403 {
		t.Errorf("a lost HSM: %d", r.StatusCode)
	}

	addNewHSM(t, s, fort)
	activateHSM(t, s, fort, fortURL) // under the same name, and of its own security domain
	client := newBackupClient(t, s, fortURL, s.Credential("app"))
	for _, option := range []fakeazure.ForeignBackup{fakeazure.ForeignBackupLate, fakeazure.ForeignBackupEarly} {
		must(t, s.TuneHSM(fort, func(k *fakeazure.HSMOptions) { k.ForeignBackup = option }))
		check, err := client.BeginPreFullRestore(t.Context(), backup.PreRestoreOperationParameters{
			FolderToRestore: &folder, SASTokenParameters: to.Ptr(byIdentity(name)),
		}, nil)
		_, foretold := settle(t, check, err)
		restore, err := client.BeginFullRestore(t.Context(), restoreOf(name, folder), nil)
		_, failed := settle(t, restore, err)
		if said := details(t, failed); said != "Invalid backup provided" || (foretold != nil) != (option == fakeazure.ForeignBackupEarly) {
			t.Errorf("%d: the check said %v, the restore %q", option, foretold, said)
		}
	}
	if modulus(t, s, "orders") != "" {
		t.Error("a failed restore brought the key back")
	}

	addNewHSM(t, s, fort)
	ask(t, s, 202, "POST", fortURL+uploadPath+domainVersion, "administrator", blobFor(t, file, exchangeOf(t, s, fortURL)), nil)
	must(t, s.HurryHSM(fort))
	if said := fullRestore(t, s, fortURL, name, folder); said != "" || modulus(t, s, "orders") != n {
		t.Errorf("with the right security domain: %q", said)
	}
	for path, status := range map[string]int{"orders": 200, "orders/": 200, "other": 404} {
		var key struct {
			Attributes struct {
				Attestation struct{ CertificatePemFile []byte }
			}
		}
		r := ask(t, s, status, "GET", fortURL+"/keys/"+path+"/attestation?api-version=7.6-preview.2", "officer", nil, &key)
		if n := strings.Count(string(key.Attributes.Attestation.CertificatePemFile), "BEGIN CERTIFICATE"); status == 200 && n != 4 {
			t.Errorf("%s: %d certificates in %s", path, n, r.body)
		}
	}
}

// TestHSMKeepsItsSecurityDomain checks that a later Sim has the security domain of an active HSM, and takes any other for new.
func TestHSMKeepsItsSecurityDomain(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "azure.json")
	keep := func(c *fakeazure.Config) { c.State = file }
	s := start(t, keep)
	addNewHSM(t, s, fort)
	addNewHSM(t, s, castle)
	activateHSM(t, s, fort, fortURL)
	must(t, s.Save())
	must(t, s.Close())
	s, err := fakeazure.Start(fakeazure.Config{Dir: shared.dir, TimeScale: 0.001, State: file})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	addNewHSM(t, s, fort)
	addNewHSM(t, s, castle)
	if got := fmt.Sprintln(shownActivation(t, s, fort), shownActivation(t, s, castle)); got != "Active NotActivated\n" {
		t.Errorf("later: %s", got)
	}
}

// TestHSMDomainFaults lets a fault meet a call about a security domain.
func TestHSMDomainFaults(t *testing.T) {
	t.Parallel()
	s := start(t)
	addNewHSM(t, s, fort)
	must(t, s.Inject(fort, fakeazure.Fault{Step: fakeazure.OnDomain, Kind: fakeazure.Refuse, Status: http.StatusServiceUnavailable}))
	ask(t, s, 503, "GET", fortURL+uploadPath+domainVersion, "administrator", nil, nil)
	ask(t, s, 200, "GET", fortURL+uploadPath+domainVersion, "administrator", nil, nil)
}
