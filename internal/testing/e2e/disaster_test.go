package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
	"github.com/google/uuid"

	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/fakeazure/domainwriter"
	"lifeboat/internal/testing/figures"
	"lifeboat/internal/testing/stack"
)

// hsmAdministrator activates HSMs.
const hsmAdministrator = "hsm-administrator"

// newInactiveHSM adds an HSM without a security domain.
func newInactiveHSM(t *testing.T) (target string) {
	t.Helper()
	name := "h" + strings.ReplaceAll(uuid.NewString(), "-", "")[:20]
	if err := world.AddNewHSM(name, hsmAdministrator); err != nil {
		t.Fatal(err)
	}
	return stack.HSM(name)
}

// administer makes a request about the security domain of an HSM, as azure-cli does.
func administer(ctx context.Context, t *testing.T, method, hsm, call string, body, into any) {
	t.Helper()
	token, err := world.Sim.Credential(hsmAdministrator).GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{"https://managedhsm.azure.net/.default"}})
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(ctx, method, "https://"+path.Base(hsm)+".managedhsm.azure.net/securitydomain/"+call+"?api-version=7.5",
		strings.NewReader(text(body)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token.Token)
	request.Header.Set("Content-Type", "application/json")
	response, err := transport().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= 300 {
		t.Fatalf("%s %s: %d %s %v", method, call, response.StatusCode, said, err)
	}
	if err := json.Unmarshal(said, into); err != nil {
		t.Fatalf("%s: %v", said, err)
	}
}

// settled waits until the activation of an HSM is over.
func settled(ctx context.Context, t *testing.T, hsm, call string) {
	t.Helper()
	for status := "InProgress"; status != "Success"; pause(ctx) {
		var pending struct{ Status string }
		administer(ctx, t, http.MethodGet, hsm, call+"/pending", nil, &pending)
		if status = pending.Status; status == "Failed" || ctx.Err() != nil {
			t.Fatalf("the %s is %s", call, status)
		}
	}
}

// disaster is a lost HSM: its folder has the security domain and the holders' keys.
type disaster struct {
	folder  string
	holders []domainwriter.Holder
}

// activate downloads the security domain of a new HSM into the folder, for three holders of whom two are a quorum.
func (d *disaster) activate(ctx context.Context, t *testing.T, hsm, name string) {
	t.Helper()
	var value domainwriter.Value
	administer(ctx, t, http.MethodPost, hsm, "download", domainwriter.NewCertificateInfo(2, d.holders...), &value)
	d.write(t, name, []byte(value.Value))
	settled(ctx, t, hsm, "download")
}

// upload activates a new HSM with the security domain of the lost one.
func (d *disaster) upload(ctx context.Context, t *testing.T, hsm string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(d.folder, "domain.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file domainwriter.File
	if err := json.Unmarshal(content, &file); err != nil {
		t.Fatal(err)
	}
	var key domainwriter.TransferKey
	administer(ctx, t, http.MethodGet, hsm, "upload", nil, &key)
	exchange, err := key.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	blob, err := file.ForExchange(exchange, d.holders[2], d.holders[0])
	if err != nil {
		t.Fatal(err)
	}
	var accepted map[string]string
	administer(ctx, t, http.MethodPost, hsm, "upload", domainwriter.Value{Value: string(blob.JSON())}, &accepted)
	settled(ctx, t, hsm, "upload")
}

func (d *disaster) write(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(d.folder, name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestTheDayOfTheDisaster goes the whole way of an HSM: its activation, the check of its security domain, a backup, its loss, the
// upload of the security domain to a new HSM, and the restore there. The test does the part of azure-cli; "make clients" has azure-cli
// do it. An HSM that was activated anew takes no such backup, whichever way Azure notices that.
func TestTheDayOfTheDisaster(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	d := &disaster{folder: t.TempDir()}
	for _, name := range []string{"alice", "bob", "carol"} {
		h := domainwriter.NewHolder(name, 2048)
		d.holders = append(d.holders, h)
		d.write(t, name+".key", h.KeyPEM())
		d.write(t, name+".cer", h.PEM())
	}
	a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "1d", newServices(t, 1)...)})
	lost, fresh, foreign := newInactiveHSM(t), newInactiveHSM(t), newInactiveHSM(t)
	for _, hsm := range []string{lost, fresh, foreign} {
		world.Sim.Assign(a.ObjectID, hsm, fakeazure.Reader)
		tuneHSM(t, hsm, func(o *fakeazure.HSMOptions) {
			o.Activating, o.Backup, o.Check = fakeazure.Range{Shortest: time.Minute}, fakeazure.Range{Shortest: time.Second}, fakeazure.Range{Shortest: time.Second}
			o.Restore = fakeazure.Range{Shortest: 2 * time.Second}
			// The 30 minutes after the safety backup are 15 seconds here, and a slow machine may need more.
			o.BackupFirst = fakeazure.BackupUnchecked
		})
	}
	plan := planOf(yearly, "1d", lost) + "    restore: {into: [itself, " + fresh + ", " + foreign + "]}\n"
	if err := a.edit(plan); err != nil {
		t.Fatal(err)
	}
	lifeboat := func(want int, words string, args ...string) (out string) {
		t.Helper()
		code, out, errs := command(ctx, t, a.URL(), a.Key("api"), args...)
		if code != want || !strings.Contains(out+errs, words) {
			t.Fatalf("lifeboat %s: %d, want %d and %q\n%s%s", strings.Join(args, " "), code, want, words, out, errs)
		}
		return out
	}
	var took []string
	began := time.Now()
	step := func(what string) {
		took, began = append(took, fmt.Sprintf("%s %.1f s", what, time.Since(began).Seconds())), time.Now()
	}

	d.activate(ctx, t, lost, "domain.json")
	step("activation")
	in := func(name string) string { return filepath.Join(d.folder, name) }
	lifeboat(0, "recoverable", "security-domain", "check", in("domain.json"), "--key", in("alice.key"), "--key", in("carol.key"))
	step("check")
	k := d.admit(ctx, t, a, lost)
	k.create("orders")
	lifeboat(0, "", "backup", lost, "--wait")
	step("backup")
	want := strings.ReplaceAll(k.versions(), path.Base(lost), path.Base(fresh))
	if err := world.Sim.RemoveHSM(lost); err != nil {
		t.Fatal(err)
	}

	lifeboat(1, "NotActivated", "restore", lost, "--into", fresh, "--yes", "--wait")
	d.upload(ctx, t, fresh)
	step("upload")
	d.admit(ctx, t, a, fresh)
	lifeboat(0, "", "restore", lost, "--into", fresh, "--yes", "--wait")
	step("restore with a safety backup")
	figures.Report(t, "the way of a lost HSM, with an Azure whose minute is half a second: %s", strings.Join(took, ", "))
	k = d.admit(ctx, t, a, fresh) // a restore brings the roles of the lost HSM
	if got := k.versions(); got != want {
		t.Errorf("the new HSM has\n%s\nwant\n%s", got, want)
	}

	d.activate(ctx, t, foreign, "foreign.json")
	if bytes.Equal(d.read(t, "foreign.json"), d.read(t, "domain.json")) {
		t.Error("two downloads are the same")
	}
	d.admit(ctx, t, a, foreign)
	for _, reading := range []fakeazure.ForeignBackup{fakeazure.ForeignBackupLate, fakeazure.ForeignBackupEarly} {
		tuneHSM(t, foreign, func(o *fakeazure.HSMOptions) { o.ForeignBackup = reading })
		lifeboat(1, "Invalid backup provided", "restore", lost, "--into", foreign, "--yes", "--wait", "--no-safety-backup", "--reason", "a test")
	}
}

func (d *disaster) read(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(d.folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// admit gives the app its roles on the HSM, and the returned client those for keys.
func (d *disaster) admit(ctx context.Context, t *testing.T, a *app, hsm string) keys {
	t.Helper()
	officer := "officer-of-" + path.Base(hsm)
	err := world.Sim.AssignHSM(hsm, a.ObjectID, fakeazure.ManagedHSMBackup, fakeazure.ManagedHSMRestore)
	if err == nil {
		err = world.Sim.AssignHSM(hsm, world.Sim.ObjectID(officer), fakeazure.ManagedHSMCryptoUser, fakeazure.ManagedHSMCryptoOfficer)
	}
	if err != nil {
		t.Fatal(err)
	}
	client, err := azkeys.NewClient("https://"+path.Base(hsm)+".managedhsm.azure.net", world.Sim.Credential(officer),
		&azkeys.ClientOptions{ClientOptions: options()})
	if err != nil {
		t.Fatal(err)
	}
	return keys{client, ctx, t}
}
