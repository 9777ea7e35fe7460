package e2e

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	apim "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/apimanagement/armapimanagement/v3"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"
	"github.com/google/uuid"

	"lifeboat/internal/backup"
	"lifeboat/internal/restore"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/fakehost"
	"lifeboat/internal/testing/stack"
)

// patient is a service that the tests can damage and restore.
type patient struct {
	target string
	// plan has more lines of the plan, ask more fields of the request.
	plan string
	ask  map[string]any
	// state returns the state that must be the same after the restore, as text; damage changes it.
	state  func() string
	damage func()
	// secured says that the restore makes a safety backup, handed that secrets are passed to the service.
	secured, handed bool
	// warning has words of the warning that the restore ends with.
	warning string
	// untold says that no event reports the start of the restore, since it is first seen when it is done.
	untold bool
}

// TestRestore restores each service to its state at the backup, after a message of another system: first as a dry run, then
// for good, ten times over, in every form of the message. The restore is made once; both queues get the answers; and there is
// no secret in anything that the program left, sent and logged.
func TestRestore(t *testing.T) {
	t.Parallel()
	for name, admit := range map[string]func(context.Context, *testing.T, *app) patient{
		"API Management": func(ctx context.Context, t *testing.T, a *app) patient {
			return newPatientService(ctx, t, a)
		},
		"API Management, by the account's key": func(ctx context.Context, t *testing.T, a *app) patient {
			p := newPatientService(ctx, t, a)
			world.Sim.Unassign(world.Sim.ObjectID(p.target), stack.Account(stack.Backups))
			p.plan, p.handed = "    identity: accessKey\n", true
			return p
		},
		"Managed HSM, all of it, by SAS": func(ctx context.Context, t *testing.T, a *app) patient {
			p, keys := newPatientHSM(ctx, t, a)
			p.plan, p.handed = "    hsm: {access: sas}\n", true
			// The 30 minutes after the safety backup are 15 seconds here, and a slow machine may need more.
			tuneHSM(t, p.target, func(k *fakeazure.HSMOptions) { k.BackupFirst = fakeazure.BackupUnchecked })
			p.warning = "az keyvault role assignment create --hsm-name " + path.Base(p.target)
			p.damage = func() {
				keys.purge("rsa1")
				keys.create("intruder")
			}
			return p
		},
		"Managed HSM, one key": func(ctx context.Context, t *testing.T, a *app) patient {
			p, keys := newPatientHSM(ctx, t, a)
			tuneHSM(t, p.target, func(k *fakeazure.HSMOptions) { k.BackupFirst = fakeazure.BackupUnchecked }) // as above
			p.ask = map[string]any{"kind": "selective", "key": "rsa1"}
			p.damage = func() { keys.purge("rsa1") }
			return p
		},
		"Managed CCF": newPatientCCF,
		"Managed CCF, the answer lost, and nothing to be seen before the end": func(ctx context.Context, t *testing.T, a *app) patient {
			p := newPatientCCF(ctx, t, a)
			err := world.Sim.TuneLedger(p.target, func(k *fakeazure.LedgerOptions) { k.Restored = fakeazure.RestoredAtEnd })
			if err == nil {
				err = world.Sim.Inject(p.target, fakeazure.Fault{Step: fakeazure.OnRestore, Kind: fakeazure.LoseAnswer})
			}
			if err != nil {
				t.Fatal(err)
			}
			p.untold = true
			return p
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			kept := &keeper{seen: map[string][]string{}}
			show := logTo(t)
			a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "1d", newServices(t, 1)...), Log: func(e fakehost.Entry) {
				kept.see("log", e.String())
				show(e)
			}})
			intercept(t, a.ObjectID, kept.meet)
			world.Sim.Assign(a.ObjectID, stack.Account(stack.Backups), fakeazure.StorageAccountKeyOperator)
			p := admit(ctx, t, a)
			err := a.edit(planOf(yearly, "1d", p.target) + p.plan + "    restore: {into: [itself], safetyBackup: true, replyTo: [soar]}\n")
			if !strings.Contains(p.target, "Microsoft.ApiManagement") { // a Managed HSM always has one, a Managed CCF never
				err = a.edit(planOf(yearly, "1d", p.target) + p.plan + "    restore: {into: [itself], replyTo: [soar]}\n")
			}
			if err != nil {
				t.Fatal(err)
			}
			point := a.recoverable(ctx, t, p.target)
			healthy := p.state()
			p.damage()
			if p.state() == healthy {
				t.Fatal("the damage cannot be seen")
			}

			boxes := []*mailbox{a.mailbox(ctx, t, "lifeboat-events"), a.mailbox(ctx, t, "soar")}
			request := map[string]any{
				"id": "incident", "target": p.target, "recoveryPoint": "latest", "requestedBy": "a playbook", "reason": "damage",
				"replyTo": "soar",
			}
			for field, value := range p.ask {
				request[field] = value
			}
			send := a.sender(ctx, t)
			request["dryRun"] = true
			send(text(request))
			delete(request, "dryRun")
			var preview answer
			for _, box := range boxes {
				preview = box.await(ctx, t, "incident", "previewed")
				if preview.Data.Reason.Code != "" || preview.Data.Preview.Point.ID != point.ID || preview.Data.Preview.Safety != p.secured ||
					len(preview.Data.Preview.Overwrites) == 0 || len(preview.Data.Preview.Calls) == 0 {
					t.Errorf("%s: the dry run says %+v", box.queue, preview.Data)
				}
			}
			if n := restoresSent(p.target); n != 0 || p.state() == healthy {
				t.Fatalf("a dry run sent %d requests for a restore", n)
			}

			forms := formsOf(request)
			rand.Shuffle(len(forms), func(i, j int) { forms[i], forms[j] = forms[j], forms[i] })
			for _, form := range forms[:8] {
				send(form)
			}
			for _, box := range boxes {
				end := box.await(ctx, t, "incident", "succeeded", "failed", "refused", "unknown", "canceled")
				if end.word() != "succeeded" || (end.Data.Warning == "") != (p.warning == "") || !strings.Contains(end.Data.Warning, p.warning) || end.Data.Hash != preview.Data.Preview.Hash {
					t.Fatalf("%s: %s: %+v", box.queue, end.word(), end.Data)
				}
				words := []string{"accepted", "started"}
				if p.untold {
					words = words[:1]
				}
				for _, word := range words {
					if told := box.await(ctx, t, "incident", word); told.Data.Run != end.Data.Run {
						t.Errorf("%s: %+v and %+v are of two runs", box.queue, told, end)
					}
				}
			}
			if now := p.state(); now != healthy {
				t.Errorf("before the damage\n%s\nafter the restore\n%s", healthy, now)
			}
			for _, form := range forms[8:] {
				send(form)
			}
			a.workedOff(ctx, t)
			run := boxes[0].await(ctx, t, "incident", "succeeded").Data.Run
			for _, box := range boxes {
				box.collect(ctx, t)
				for _, told := range box.answers {
					if told.word() != "previewed" && (told.Data.Request != "incident" || told.Data.Run != run) {
						t.Errorf("%s: %+v", box.queue, told)
					}
				}
			}
			if n := restoresSent(p.target); n != 1 {
				t.Errorf("%d requests for a restore", n)
			}
			a.holds(ctx, t, p, run)

			response, said, err := a.request(ctx, http.MethodGet, "/api/restores/"+run, "", nil)
			if err != nil || response.StatusCode != http.StatusOK {
				t.Fatalf("%v, %v, %s", response, err, said)
			}
			kept.see("API", string(said))
			kept.read(ctx, t, a)
			for _, box := range boxes {
				kept.see("events", box.texts...)
			}
			kept.evaluate(t, p.handed, "log", "requests", "API", "table", "events")
		})
	}
}

// holds checks the rows that a restore left in the table: one run, no dead letter, and a safety backup that is held.
func (a *app) holds(ctx context.Context, t *testing.T, p patient, run string) {
	t.Helper()
	status, err := a.await(ctx, run)
	if err != nil || status.Run.Restore == nil || status.Run.Restore.RequestedBy != "a playbook" {
		t.Fatalf("%v: %+v", err, status.Run)
	}
	history, _, err := a.engine.History(ctx, p.target, "", 100)
	if err != nil || len(history) != 2 {
		t.Errorf("%d runs, %v; want the backup and the restore", len(history), err)
	}
	letters, _, err := a.catalog.List(ctx, "deadletter", "", "~", 10)
	if err != nil || len(letters) != 0 {
		t.Errorf("dead letters %v, %v", letters, err)
	}
	safety, err := a.engine.RecoveryPoint(ctx, run)
	if p.secured != (err == nil && safety.Safety && safety.State == backup.Live && safety.Held.Until.After(time.Now().Add(6*24*time.Hour))) {
		t.Errorf("the safety backup is %+v, %v", safety, err)
	}
}

// recoverable makes a backup by hand, and returns its recovery point.
func (a *app) recoverable(ctx context.Context, t testing.TB, target string) backup.Point {
	t.Helper()
	id, err := a.backupOf(ctx, target, uuid.NewString())
	if err != nil {
		t.Fatal(err)
	}
	status, err := a.await(ctx, id)
	if err != nil || status.Run.State != backup.Succeeded {
		t.Fatalf("%s, %v: %+v", status.Run.State, err, status.Run.Reason)
	}
	p, err := a.engine.RecoveryPoint(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// text returns the value in JSON.
func text(value any) string {
	b, err := json.Marshal(value)
	if err != nil {
		panic(err) // the value has only maps and text
	}
	return string(b)
}

// formsOf returns ten messages for the same request.
func formsOf(request map[string]any) []string {
	plain := text(request)
	var members []string
	for name, value := range request {
		members = append(members, text(name)+" : "+text(value))
	}
	slices.Sort(members)
	slices.Reverse(members)
	reversed := "\n{" + strings.Join(members, " ,\n") + "}\n"
	event := text(map[string]any{
		"specversion": "1.0", "id": "another", "source": "/soar", "type": "ask", "datacontenttype": "application/json", "data": request,
	})
	packed := text(map[string]any{
		"specversion": "1.0", "id": "one more", "source": "/soar", "type": "ask", "data_base64": []byte(plain),
	})
	encoded := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	return []string{
		plain, plain, encoded(plain), encoded(plain), reversed, encoded(reversed), event, encoded(event), packed, encoded(packed),
	}
}

// sender returns a func that sends messages to the queue of requests for restores.
func (a *app) sender(ctx context.Context, t testing.TB) func(message string) {
	t.Helper()
	return a.senderTo(ctx, t, "restore-requests")
}

// senderTo returns a func that sends messages to the queue, under an identity without any other right.
func (a *app) senderTo(ctx context.Context, t testing.TB, requests string) func(message string) {
	t.Helper()
	if _, err := a.queue(requests).Create(ctx, nil); err != nil {
		t.Fatal(err)
	}
	world.Sim.Assign(world.Sim.ObjectID("playbook"), stack.Account(a.config.Account)+"/queueServices/default/queues/"+requests,
		fakeazure.StorageQueueDataMessageSender)
	q, err := azqueue.NewQueueClient("https://"+a.config.Account+".queue.core.windows.net/"+requests,
		world.Sim.Credential("playbook"), &azqueue.ClientOptions{ClientOptions: options()})
	if err != nil {
		t.Fatal(err)
	}
	return func(message string) {
		t.Helper()
		if _, err := q.EnqueueMessage(ctx, message, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// workedOff waits until no request for a restore is left.
func (a *app) workedOff(ctx context.Context, t *testing.T) {
	t.Helper()
	a.empty(ctx, t, "restore-requests")
}

// empty waits until the queue is empty.
func (a *app) empty(ctx context.Context, t *testing.T, queue string) {
	t.Helper()
	for q := a.queue(queue); ; pause(ctx) {
		p, err := q.GetProperties(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		if *p.ApproximateMessagesCount == 0 {
			return
		}
	}
}

// answer is an event about a restore.
type answer struct {
	ID, Type, Specversion string
	Data                  struct {
		Request, Run, Warning string
		Hash                  string `json:"previewHash"`
		Reason                backup.Reason
		Preview               restore.Preview
	}
}

func (e answer) word() string { return strings.TrimPrefix(e.Type, "lifeboat.restore.") }

// mailbox is a queue of answers, with the answers so far.
type mailbox struct {
	*app
	queue   string
	texts   []string
	answers []answer
}

func (a *app) mailbox(ctx context.Context, t testing.TB, queue string) *mailbox {
	t.Helper()
	if _, err := a.queue(queue).Create(ctx, nil); err != nil {
		t.Fatal(err)
	}
	return &mailbox{app: a, queue: queue}
}

// collect removes the answers from the queue and keeps them.
func (m *mailbox) collect(ctx context.Context, t testing.TB) {
	t.Helper()
	for _, text := range m.receive(ctx, t, m.queue) {
		m.texts = append(m.texts, text)
		if !strings.Contains(text, `"type":"lifeboat.restore.`) {
			continue // other events have other data
		}
		var e answer
		if err := json.Unmarshal([]byte(text), &e); err != nil || e.Specversion != "1.0" {
			t.Fatalf("%s: %v", text, err)
		}
		m.answers = append(m.answers, e)
	}
}

// await waits for the first answer of one of the kinds to the request.
func (m *mailbox) await(ctx context.Context, t testing.TB, request string, words ...string) answer {
	t.Helper()
	for {
		written := m.written()
		m.collect(t.Context(), t)
		for _, e := range m.answers {
			if e.Data.Request == request && slices.Contains(words, e.word()) {
				return e
			}
		}
		if ctx.Err() != nil {
			t.Fatalf("%s has no answer %v to %s, but %+v", m.queue, words, request, m.answers)
		}
		written.wait(ctx)
	}
}

// restoresSent counts the requests for a restore, of all or of one key, that reached the service.
func restoresSent(target string) (n int) {
	for _, r := range world.Sim.RestoreRequests() {
		if strings.EqualFold(r.Service, target) {
			n++
		}
	}
	for _, r := range world.Sim.HSMRequests() {
		if strings.EqualFold(r.HSM, target) && (r.Kind == fakeazure.FullRestore || r.Kind == fakeazure.KeyRestore) {
			n++
		}
	}
	for _, r := range world.Sim.LedgerRequests() {
		if strings.EqualFold(r.Ledger, target) && r.Kind == fakeazure.LedgerRestore {
			n++
		}
	}
	return n
}

// newPatientService returns an API Management service with an API and a secret.
func newPatientService(ctx context.Context, t *testing.T, a *app) patient {
	t.Helper()
	name := newServices(t, 1)[0]
	tune(t, name, func(k *fakeazure.Options) { k.Shortest, k.Settles = 2*time.Minute, time.Minute })
	subscription, group, _ := strings.Cut(strings.TrimPrefix(stack.Scope, "/subscriptions/"), "/resourceGroups/")
	owner := "owner-of-" + name
	world.Sim.Assign(world.Sim.ObjectID(owner), stack.Service(name), fakeazure.APIManagementServiceContributor)
	clients, err := apim.NewClientFactory(subscription, world.Sim.Credential(owner), &arm.ClientOptions{
		ClientOptions: options(), DisableRPRegistration: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	apis, values := clients.NewAPIClient(), clients.NewNamedValueClient()
	configure := func(path, value string) {
		api := apim.APICreateOrUpdateParameter{Properties: &apim.APICreateOrUpdateProperties{
			DisplayName: to.Ptr("Orders"), Path: &path, Protocols: []*apim.Protocol{to.Ptr(apim.ProtocolHTTPS)},
		}}
		putAPI, err := apis.BeginCreateOrUpdate(ctx, group, name, "orders", api, nil)
		if err == nil {
			_, err = putAPI.PollUntilDone(ctx, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		secret := apim.NamedValueCreateContract{Properties: &apim.NamedValueCreateContractProperties{
			DisplayName: to.Ptr("token"), Value: &value, Secret: to.Ptr(true),
		}}
		putValue, err := values.BeginCreateOrUpdate(ctx, group, name, "token", secret, nil)
		if err == nil {
			_, err = putValue.PollUntilDone(ctx, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	configure("orders", "one")
	return patient{
		target: stack.Service(name), secured: true,
		state: func() string {
			var state strings.Builder
			for pages := apis.NewListByServicePager(group, name, nil); pages.More(); {
				page, err := pages.NextPage(ctx)
				if err != nil {
					t.Fatal(err)
				}
				for _, api := range page.Value {
					fmt.Fprintln(&state, *api.Name, *api.Properties.Path)
				}
			}
			value, err := values.ListValue(ctx, group, name, "token", nil)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(&state, *value.Value)
			return state.String()
		},
		damage: func() { configure("nowhere", "two") },
	}
}

// keys has access to the keys of an HSM, with an identity that may do everything with them.
type keys struct {
	*azkeys.Client
	ctx context.Context
	t   *testing.T
}

func (k keys) create(name string) {
	k.t.Helper()
	if _, err := k.CreateKey(k.ctx, name, azkeys.CreateKeyParameters{Kty: to.Ptr(azkeys.KeyTypeRSAHSM)}, nil); err != nil {
		k.t.Fatal(err)
	}
}

func (k keys) purge(name string) {
	k.t.Helper()
	_, err := k.DeleteKey(k.ctx, name, nil)
	if err == nil {
		_, err = k.PurgeDeletedKey(k.ctx, name, nil)
	}
	if err != nil {
		k.t.Fatal(err)
	}
}

// versions returns all keys with all their versions, and the public parts.
func (k keys) versions() string {
	k.t.Helper()
	var all []string
	for pages := k.NewListKeyPropertiesPager(nil); pages.More(); {
		page, err := pages.NextPage(k.ctx)
		if err != nil {
			k.t.Fatal(err)
		}
		for _, key := range page.Value {
			for versions := k.NewListKeyPropertiesVersionsPager(key.KID.Name(), nil); versions.More(); {
				page, err := versions.NextPage(k.ctx)
				if err != nil {
					k.t.Fatal(err)
				}
				for _, version := range page.Value {
					found, err := k.GetKey(k.ctx, version.KID.Name(), version.KID.Version(), nil)
					if err != nil {
						k.t.Fatal(err)
					}
					all = append(all, fmt.Sprintf("%s %x", *version.KID, found.Key.N))
				}
			}
		}
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// newPatientHSM returns an HSM with a key of two versions.
func newPatientHSM(ctx context.Context, t *testing.T, a *app) (patient, keys) {
	t.Helper()
	target := newHSM(t, a)
	officer := "officer-of-" + path.Base(target)
	err := world.Sim.AssignHSM(target, world.Sim.ObjectID(officer), fakeazure.ManagedHSMCryptoUser, fakeazure.ManagedHSMCryptoOfficer)
	if err != nil {
		t.Fatal(err)
	}
	client, err := azkeys.NewClient("https://"+path.Base(target)+".managedhsm.azure.net", world.Sim.Credential(officer),
		&azkeys.ClientOptions{ClientOptions: options()})
	if err != nil {
		t.Fatal(err)
	}
	k := keys{client, ctx, t}
	k.create("rsa1")
	return patient{target: target, secured: true, state: k.versions}, k
}

// newPatientCCF returns a Managed CCF application; its damage is its deletion.
func newPatientCCF(_ context.Context, t *testing.T, a *app) patient {
	t.Helper()
	target := newLedger(t, a, stack.CCF, (*stack.Stack).AddCCF)
	err := world.Sim.TuneLedger(target, func(k *fakeazure.LedgerOptions) {
		k.Backup, k.Restore = fakeazure.Range{Shortest: 2 * time.Minute}, fakeazure.Range{Shortest: 4 * time.Minute}
	})
	if err != nil {
		t.Fatal(err)
	}
	return patient{
		target: target, plan: "    ccf: {restoreRegion: westeurope}\n", handed: true,
		state: func() string {
			state, err := world.Sim.LedgerState(target)
			return fmt.Sprint(state, err)
		},
		damage: func() {
			if err := world.Sim.DeleteLedger(target); err != nil {
				t.Fatal(err)
			}
		},
	}
}
