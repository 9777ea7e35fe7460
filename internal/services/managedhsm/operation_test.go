package managedhsm_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"lifeboat/internal/backup"
	"lifeboat/internal/services/managedhsm"
)

const key = "bm90IGEgc2VjcmV0LCBvbmx5IGEgdGVzdCBrZXk="

// keyed is Resource Manager's answer with the account's keys.
var keyed = answers(200, `{"keys":[{"keyName":"key1","value":"`+key+`","permissions":"FULL"}]}`,
	"Date: Tue, 03 Nov 2026 02:30:00 GMT")

// success is the status of a backup that has succeeded, as recorded.
const success = `"status":"Succeeded","statusDetails":null,"error":null,` +
	`"azureStorageBlobContainerUri":"https://contosobackups.blob.core.windows.net/lifeboat/` + folder + `"`

// begin starts a backup on the wire, and returns its token.
func begin(t *testing.T, w *wire) string {
	t.Helper()
	w.replies[start] = accepted("backup")
	operation, err := w.provider().Begin(t.Context(), attempt())
	must(t, err)
	if operation.Token == "" || operation.Done || operation.RetryAfter != 10*time.Second {
		t.Fatalf("%+v", operation)
	}
	return operation.Token
}

func TestBeginSendsOneRequest(t *testing.T) {
	w := &wire{replies: map[step]reply{}}
	token := begin(t, w)
	w.expect(t, start)
	want := `{"storageResourceUri":"https://contosobackups.blob.core.windows.net/lifeboat","useManagedIdentity":true}`
	if w.bodies[0] != want {
		t.Errorf("sent %s", w.bodies[0])
	}
	if strings.Contains(token, "contosobackups") {
		t.Errorf("the token has the body: %s", token)
	}
}

// TestASASIsMadeForEachStart checks that a SAS is valid for 25 hours from Azure's own time, and that neither the token
// nor an error holds a part of it.
func TestASASIsMadeForEachStart(t *testing.T) {
	a := attempt()
	a.Blocks = by("sas")
	r := backup.Restore{Target: target, Storage: a.Storage, Artifact: folder, Blocks: by("sas"), Kind: backup.RestoreFull}
	for _, test := range []struct {
		step        step
		permissions string
		send        func(p *managedhsm.Provider) (backup.Operation, error)
	}{
		{start, "rcwd", func(p *managedhsm.Provider) (backup.Operation, error) { return p.Begin(t.Context(), a) }},
		{check, "rcwd", func(p *managedhsm.Provider) (backup.Operation, error) { return p.Prepare(t.Context(), a, "") }},
		{restore, "rl", func(p *managedhsm.Provider) (backup.Operation, error) { return p.BeginRestore(t.Context(), r) }},
		{prove, "rl", func(p *managedhsm.Provider) (backup.Operation, error) { return p.PrepareRestore(t.Context(), r, "") }},
	} {
		var sas url.Values
		said := ""
		w := &wire{replies: map[step]reply{keys: keyed, create: answers(201, "")}}
		w.replies[test.step] = accepted("backup")
		operation, err := test.send(w.provider())
		must(t, err)
		var body struct {
			Token              string
			SASTokenParameters struct{ Token string } `json:"sasTokenParameters"`
		}
		must(t, json.Unmarshal([]byte(w.bodies[len(w.bodies)-1]), &body))
		said = body.Token + body.SASTokenParameters.Token
		sas, err = url.ParseQuery(said)
		must(t, err)
		if sas.Get("sp") != test.permissions || sas.Get("se") != "2026-11-04T03:30:00Z" || sas.Get("sr") != "c" || sas.Get("sig") == "" {
			t.Errorf("%s: the SAS %v", test.step, sas)
		}
		for _, secret := range []string{key, said, sas.Get("sig"), url.QueryEscape(sas.Get("sig"))} {
			if strings.Contains(operation.Token, secret) {
				t.Errorf("%s: the token holds %q", test.step, secret)
			}
			encoded := base64.StdEncoding.EncodeToString([]byte(secret))
			for _, form := range []string{secret, url.QueryEscape(secret), encoded} {
				w.replies[test.step] = refuses(400, "BadRequest", "I was given "+form+" and nothing else")
				_, err := test.send(w.provider())
				if f := backup.AsFault(err); f == nil || f.Kind != backup.Refused || strings.Contains(f.Message, form) ||
					!strings.Contains(f.Message, "nothing else") {
					t.Errorf("%s: %v", test.step, err)
				}
			}
		}
	}
}

// TestAnotherSASIsNotTold checks that no fault shows the SAS of an earlier request: Lifeboat knows a SAS by its form.
func TestAnotherSASIsNotTold(t *testing.T) {
	w := &wire{replies: map[step]reply{}}
	token := begin(t, w)
	w.replies[poll] = says(`"status":"Failed","statusDetails":"cannot read https://x/y?sp=r&sig=abc%2Bdef%3D&se=2 or %3Fsig%3Dabc"`)
	_, err := w.provider().Poll(t.Context(), attempt(), token)
	if f := backup.AsFault(err); strings.Contains(f.Message, "abc") || !strings.Contains(f.Message, "&se=2") {
		t.Error(f.Message)
	}
}

func TestBeginUnderstandsEveryAnswer(t *testing.T) {
	malformed := "The customer provided SAS token is malformed. The SAS token does not contain the expiry field"
	for name, test := range map[string]struct {
		reply reply
		fault fault
	}{
		"a malformed SAS (recorded 2022)": {
			refuses(400, "BadRequest", malformed), fault{kind: backup.Refused, code: "BadRequest", message: malformed, hint: "identity"},
		},
		"busy (reported 2026-07)": {
			refuses(409, "Conflict", "Another backup operation is in progress"),
			fault{kind: backup.Retryable, code: "Conflict", message: "Another backup operation is in progress", hint: "busy"},
		},
		"no role": {
			refuses(403, "AccessDenied", "Not authorized"),
			fault{kind: backup.Refused, code: "AccessDenied", hint: "Managed HSM Backup at the scope / of the HSM Contoso"},
		},
		"throttled": {
			refuses(429, "TooManyRequests", "Slow down.", "Retry-After: 17"),
			fault{kind: backup.Throttled, code: "TooManyRequests", after: 17 * time.Second, hint: "Lifeboat asks again"},
		},
		"500":                    {refuses(500, "InternalServerError", "x"), fault{kind: backup.Ambiguous, code: "InternalServerError", hint: "Lifeboat looks for the operation"}},
		"503":                    {refuses(503, "ServiceUnavailable", "x"), fault{kind: backup.Ambiguous, code: "ServiceUnavailable", hint: "Lifeboat looks for the operation"}},
		"408":                    {refuses(408, "RequestTimeout", "x"), fault{kind: backup.Ambiguous, code: "RequestTimeout", hint: "Lifeboat looks for the operation"}},
		"200, not documented":    {says(`"status":"InProgress"`), fault{kind: backup.Ambiguous, code: "OK", hint: "Lifeboat looks for the operation"}},
		"202 that leads nowhere": {answers(202, `{"status":"InProgress"}`), fault{kind: backup.Ambiguous, code: "AnswerLost", hint: "Lifeboat looks for the operation"}},
		"cut":                    {cut, fault{kind: backup.Ambiguous, code: "AnswerLost", hint: "Lifeboat looks for the operation"}},
		"no such name":           {unknown, fault{kind: backup.Retryable, code: "Unreachable", hint: "contoso.managedhsm.azure.net"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := &wire{replies: map[step]reply{start: test.reply}}
			_, err := w.provider().Begin(t.Context(), attempt())
			test.fault.check(t, err)
			w.expect(t, start)
		})
	}
}

// TestWhatWasCertainlyNotSent checks the first request, without a token: the HSM refuses it, so it starts nothing.
func TestWhatWasCertainlyNotSent(t *testing.T) {
	w := &wire{replies: map[step]reply{}}
	_, err := managedhsm.New(identity{failsFor: "managedhsm"}, azcore.ClientOptions{Transport: w}).Begin(t.Context(), attempt())
	fault{kind: backup.Retryable, code: "NoIdentityToken", hint: "managed identity"}.check(t, err)
	w.expect(t)

	good := challenge
	defer func() { challenge = good }()
	for name, first := range map[string]reply{"cut": cut, "no challenge": answers(401, "")} {
		challenge = first
		_, err := w.provider().Begin(t.Context(), attempt())
		if f := backup.AsFault(err); f.Kind != backup.Retryable {
			t.Errorf("%s: %s %v", name, f.Kind, err)
		}
		w.expect(t)
	}
}

// TestPollUnderstandsEveryAnswer follows each operation with a fresh client and the saved token before each poll.
// TestEveryShapeOfEveryOperation has the shapes that all operations have in common.
func TestPollUnderstandsEveryAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		polls []reply
		fault fault
	}{
		"success": {polls: []reply{says(`"status":"InProgress","error":null`), says(success)}},
		"failed, and the reason in the details alone": {
			polls: []reply{says(`"status":"InProgress"`), says(`"status":"Failed","statusDetails":"ResourceNotFound"`)},
			fault: fault{
				kind: backup.Refused, code: "OperationFailed", message: "back up " + target + ": ResourceNotFound",
				hint: "user-assigned identity",
			},
		},
		"failed without a word": {
			polls: []reply{says(`"status":"Failed"`)},
			fault: fault{kind: backup.Refused, code: "OperationFailed", message: "without a reason", hint: "exists"},
		},
		"403": {
			polls: []reply{refuses(403, "AccessDenied", "Not authorized")},
			fault: fault{kind: backup.Unobservable, code: "AccessDenied", hint: "Managed HSM Backup"},
		},
		"404": {
			polls: []reply{refuses(404, "ResourceNotFound", "no job")},
			fault: fault{kind: backup.Unobservable, code: "ResourceNotFound", hint: "mhsm-contoso-"},
		},
		"429": {
			polls: []reply{refuses(429, "TooManyRequests", "x", "Retry-After: 9")},
			fault: fault{kind: backup.Throttled, code: "TooManyRequests", after: 9 * time.Second, hint: "Lifeboat asks again"},
		},
		"500":         {polls: []reply{refuses(500, "InternalServerError", "x")}, fault: fault{kind: backup.Retryable, code: "InternalServerError", hint: "Lifeboat asks again"}},
		"cut":         {polls: []reply{cut}, fault: fault{kind: backup.Retryable, code: "Unreachable", hint: "Lifeboat asks again"}},
		"no status":   {polls: []reply{says(`"x":1`)}, fault: fault{kind: backup.Retryable, code: "Unreachable", hint: "Lifeboat asks again"}},
		"no language": {polls: []reply{answers(200, "<html>")}, fault: fault{kind: backup.Retryable, code: "Unreachable", hint: "Lifeboat asks again"}},
		"success, but where": {
			polls: []reply{says(`"status":"Succeeded","azureStorageBlobContainerUri":null`)},
			fault: fault{kind: backup.Unobservable, code: "NoFolder", hint: "mhsm-contoso-"},
		},
		"success, and no folder": {
			polls: []reply{says(`"status":"Succeeded","azureStorageBlobContainerUri":"https://contosobackups.blob.core.windows.net/lifeboat"`)},
			fault: fault{kind: backup.Unobservable, code: "NoFolder", hint: "mhsm-contoso-"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := &wire{replies: map[step]reply{}}
			operation := backup.Operation{Token: begin(t, w)}
			var err error
			for _, reply := range test.polls {
				must(t, err)
				w.replies[poll] = reply
				operation, err = w.provider().Poll(t.Context(), attempt(), operation.Token)
			}
			if test.fault.kind != "" {
				test.fault.check(t, err)
				return
			}
			must(t, err)
			if !operation.Done || operation.Artifact != folder || operation.Token != "" {
				t.Errorf("%+v", operation)
			}
			w.expect(t, start, poll, poll)
		})
	}
}

// TestRestoresUnderstandEveryAnswer checks that a warning is no failure, and that a failure has the HSM's words.
func TestRestoresUnderstandEveryAnswer(t *testing.T) {
	full := backup.Restore{Target: target, Storage: attempt().Storage, Artifact: folder, Kind: backup.RestoreFull}
	single := full
	single.Kind, single.Key = backup.RestoreKey, "rsa1"
	const counts = "Number of successful key versions restored: 2, Number of key versions could not overwrite: "
	const none = "Number of successful key versions restored: 0, Number of key versions could not overwrite: 2"
	const grant = "az keyvault role assignment create --hsm-name Contoso --role \"Managed HSM %s\" --scope / " +
		"--assignee-object-id PRINCIPAL --assignee-principal-type ServicePrincipal"
	commands := fmt.Sprintf(grant, "Backup") + "; " + fmt.Sprintf(grant, "Restore") + " (PRINCIPAL is the object ID of the app's identity)"
	roles := "all role assignments are the backup's now. If this app has lost its own, an administrator of the HSM gives them back: " + commands
	for name, test := range map[string]struct {
		restore backup.Restore
		poll    reply
		warning string
		fault   fault
	}{
		"full": {restore: full, poll: says(`"status":"Succeeded"`), warning: roles},
		"not all of a full one": {
			restore: full, poll: says(`"status":"Succeeded","statusDetails":"` + counts + `1"`), warning: counts + "1; " + roles,
		},
		"all of a key":     {restore: single, poll: says(`"status":"Succeeded","statusDetails":"` + counts + `0"`)},
		"a key in the way": {restore: single, poll: says(`"status":"Succeeded","statusDetails":"` + counts + `10"`), warning: counts + "10"},
		"no backup": {
			restore: full, poll: says(`"status":"Failed","statusDetails":"Invalid backup provided","error":{"code":null}`),
			fault: fault{kind: backup.Refused, code: "OperationFailed", message: "from " + folder + ": Invalid backup provided", hint: "security domain"},
		},
		"a key in the way fails": {
			restore: single, poll: says(`"status":"Failed","statusDetails":"` + counts + `1"`),
			fault: fault{kind: backup.Refused, code: "OperationFailed", message: counts + "1", hint: "exists"},
		},
		"a key in the way, nothing restored": {
			restore: single, poll: says(`"status":"Succeeded","statusDetails":"` + none + `"`),
			fault: fault{kind: backup.Refused, code: "NothingRestored", message: none, hint: "purge"},
		},
		"a key in the way, nothing restored, fails": {
			restore: single, poll: says(`"status":"Failed","statusDetails":"` + none + `"`),
			fault: fault{kind: backup.Refused, code: "NothingRestored", message: none, hint: "purge"},
		},
		"ten restored": {
			restore: single, poll: says(`"status":"Succeeded","statusDetails":"` + strings.Replace(none, ": 0", ": 10", 1) + `"`),
			warning: strings.Replace(none, ": 0", ": 10", 1),
		},
		"no such key in the backup": {
			restore: single, poll: says(`"status":"Failed","statusDetails":"ResourceNotFound"`),
			fault: fault{kind: backup.Refused, code: "KeyNotInBackup", message: "ResourceNotFound", hint: "no key rsa1"},
		},
		"no such key in the backup, which the HSM calls a success": {
			restore: single, poll: says(`"status":"Succeeded","statusDetails":"` + strings.Replace(none, ": 2", ": 0", 1) + `"`),
			fault: fault{kind: backup.Refused, code: "NothingRestored", message: ": 0", hint: "Or the backup has no such key"},
		},
		"no such folder": {
			restore: full, poll: says(`"status":"Failed","statusDetails":"ResourceNotFound"`),
			fault: fault{kind: backup.Refused, code: "OperationFailed", message: "ResourceNotFound"},
		},
		"our role is gone": {
			restore: full, poll: refuses(403, "AccessDenied", "Not authorized"),
			fault: fault{kind: backup.Unobservable, code: "AccessDenied", hint: commands},
		},
		"our role is gone, for a key": {
			restore: single, poll: refuses(403, "AccessDenied", "Not authorized"),
			fault: fault{kind: backup.Unobservable, code: "AccessDenied", hint: "role Managed HSM Restore at the scope / of the HSM Contoso (az "},
		},
		"away": {
			restore: full, poll: refuses(503, "ServiceUnavailable", "restoring"),
			fault: fault{kind: backup.Throttled, code: "ServiceUnavailable", hint: "Lifeboat asks again"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			first := restore
			if test.restore.Key != "" {
				first = restoreKey
			}
			w := &wire{replies: map[step]reply{first: accepted("restore"), pollBack: test.poll}}
			operation, err := w.provider().BeginRestore(t.Context(), test.restore)
			must(t, err)
			operation, err = w.provider().PollRestore(t.Context(), test.restore, operation.Token)
			w.expect(t, first, pollBack)
			if test.fault.kind != "" {
				test.fault.check(t, err)
				return
			}
			must(t, err)
			if !operation.Done || operation.Warning != test.warning {
				t.Errorf("%+v", operation)
			}
		})
	}
	for _, change := range []func(*backup.Restore){
		func(r *backup.Restore) { r.Kind = "" }, func(r *backup.Restore) { r.Key = "rsa1" }, func(r *backup.Restore) { r.Artifact = "" },
		func(r *backup.Restore) { r.Kind = backup.RestoreKey }, func(r *backup.Restore) { r.Artifact = run + ".1" },
	} {
		r := full
		change(&r)
		w := &wire{}
		_, err := w.provider().BeginRestore(t.Context(), r)
		fault{kind: backup.Refused, code: "InvalidRestore", hint: "Nothing was done"}.check(t, err)
		w.expect(t)
	}
	// A restore's token continues no backup.
	w := &wire{replies: map[step]reply{restore: accepted("restore")}}
	operation, err := w.provider().BeginRestore(t.Context(), full)
	must(t, err)
	_, err = w.provider().Poll(t.Context(), attempt(), operation.Token)
	fault{kind: backup.Unobservable, code: "UnusableToken", hint: "mhsm-contoso-"}.check(t, err)
	w.expect(t, restore)
}

func TestPreflight(t *testing.T) {
	hsm := func(state, identities string) reply {
		return answers(200, `{"properties":{"provisioningState":"`+state+`","statusMessage":"m"},"identity":{"userAssignedIdentities":`+identities+`}}`)
	}
	domain := func(state, activation string) reply {
		return answers(200, `{"properties":{"provisioningState":"`+state+`","statusMessage":"m","securityDomainProperties":{`+
			`"activationStatus":"`+activation+`","activationStatusMessage":"Your HSM has been provisioned, but cannot be used for `+
			`cryptographic operations until it is activated. To activate the HSM, download the security domain."}},`+
			`"identity":{"userAssignedIdentities":{"/subscriptions/x":{}}}}`)
	}
	const one = `{"/subscriptions/x":{}}`
	storage := func(properties string) reply { return answers(200, `{"properties":{`+properties+`}}`) }
	open, hidden := storage(""), refuses(403, "AuthorizationFailed", "no role")
	for name, test := range map[string]struct {
		hsm, account, container reply
		identity                string
		fault                   fault
		// restorable says that a restore from there is not refused.
		restorable bool
	}{
		"well":                {hsm: hsm("Succeeded", one), account: open},
		"activated":           {hsm: hsm("Activated", one), account: open},
		"nothing to be seen":  {hsm: hidden, account: hidden},
		"no identity, by SAS": {hsm: hsm("Succeeded", "null"), account: open, identity: "sas"},
		"no identity":         {hsm: hsm("Succeeded", "null"), account: open, fault: fault{kind: backup.Refused, code: "NoUserIdentity", hint: "az keyvault update-hsm"}},
		"updating":            {hsm: hsm("Updating", one), account: open, fault: fault{kind: backup.Retryable, code: "HSMNotReady", message: "Updating: m", hint: "Lifeboat asks again"}},
		"not activated":       {hsm: hsm("SecurityDomainRestore", one), account: open, fault: fault{kind: backup.Refused, code: "NotActivated", hint: "security domain"}},
		"not activated, and provisioned": {
			hsm: domain("Succeeded", "NotActivated"), account: open,
			fault: fault{
				kind: backup.Refused, code: "NotActivated", message: "download the security domain.", hint: "security-domain download",
			},
		},
		"not activated, by SAS": {
			hsm: domain("Succeeded", "notactivated"), account: open, identity: "sas",
			fault: fault{kind: backup.Refused, code: "NotActivated", message: "until it is activated", hint: "security-domain upload"},
		},
		"active":                      {hsm: domain("Succeeded", "Active"), account: open},
		"nobody knows, and succeeded": {hsm: domain("Succeeded", "Unknown"), account: open},
		"nobody knows yet": {
			hsm: domain("Provisioning", "Unknown"), account: open,
			fault: fault{kind: backup.Retryable, code: "HSMNotReady", message: "Provisioning", hint: "Lifeboat asks again"},
		},
		"a policy of the account": {
			hsm: hsm("Succeeded", one), restorable: true,
			account: storage(`"immutableStorageWithVersioning":{"enabled":true,"immutabilityPolicy":{"state":"Unlocked",` +
				`"immutabilityPeriodSinceCreationInDays":30}}`),
			fault: fault{kind: backup.Refused, code: "ImmutableStorage", message: "contosobackups has an immutability policy", hint: "plan.yaml"},
		},
		"a policy of the account that is disabled": {
			hsm:     hsm("Succeeded", one),
			account: storage(`"immutableStorageWithVersioning":{"enabled":true,"immutabilityPolicy":{"state":"Disabled"}}`),
		},
		"an account that could have policies": {hsm: hsm("Succeeded", one), account: storage(`"immutableStorageWithVersioning":{"enabled":true}`)},
		"a policy of the container": {
			hsm: hsm("Succeeded", one), account: open, container: storage(`"hasImmutabilityPolicy":true,"hasLegalHold":false`), restorable: true,
			fault: fault{
				kind: backup.Refused, code: "ImmutableStorage", message: "the container lifeboat of the storage account contosobackups has an " +
					"immutability policy, and Managed HSM does not support", hint: "without immutability policies",
			},
		},
		"a legal hold of the container, by SAS": {
			hsm: hsm("Succeeded", one), account: open, container: storage(`"hasLegalHold":true`), identity: "sas", restorable: true,
			fault: fault{kind: backup.Refused, code: "ImmutableStorage", message: "April 2026", hint: "legal holds"},
		},
		"a container that is made later": {
			hsm: hsm("Succeeded", one), account: open, container: refuses(404, "ContainerNotFound", "The specified container does not exist."),
		},
		"a container that is not to be seen": {hsm: hsm("Succeeded", one), account: open, container: hidden},
		"a container that cannot be asked for now": {
			hsm: hsm("Succeeded", one), account: open, container: refuses(429, "TooManyRequests", "x", "Retry-After: 9"), restorable: true,
			fault: fault{kind: backup.Throttled, code: "TooManyRequests", after: 9 * time.Second, hint: "Lifeboat asks again"},
		},
		"gone":       {hsm: refuses(404, "ResourceNotFound", "x"), account: open, fault: fault{kind: backup.Refused, code: "ResourceNotFound", hint: "plan.yaml"}},
		"no account": {hsm: hsm("Succeeded", one), account: refuses(404, "ResourceNotFound", "x"), fault: fault{kind: backup.Refused, code: "ResourceNotFound", hint: "plan.yaml"}},
		"keys switched off": {
			hsm: hsm("Succeeded", one), account: storage(`"allowSharedKeyAccess":false`), identity: "sas",
			fault: fault{kind: backup.Refused, code: "KeyAccessDisabled", hint: "hsm.access: identity"},
		},
		"keys switched off, by identity": {hsm: hsm("Succeeded", one), account: storage(`"allowSharedKeyAccess":false`)},
		"closed, by SAS": {
			hsm: hsm("Succeeded", one), account: storage(`"publicNetworkAccess":"Disabled"`), identity: "sas",
			fault: fault{kind: backup.Refused, code: "FirewallWithSAS", hint: "hsm.access: identity"},
		},
		"closed": {
			hsm: hsm("Succeeded", one), account: storage(`"networkAcls":{"defaultAction":"Deny","bypass":"Logging"}`),
			fault: fault{kind: backup.Refused, code: "FirewallWithoutTrustedServices", hint: "bypass"},
		},
		"closed, trusted": {hsm: hsm("Succeeded", one), account: storage(`"networkAcls":{"defaultAction":"Deny","bypass":"AzureServices"}`)},
	} {
		t.Run(name, func(t *testing.T) {
			if test.container == nil {
				test.container = storage(`"hasImmutabilityPolicy":false,"hasLegalHold":false`)
			}
			w := &wire{replies: map[step]reply{get: test.hsm, inspect: test.account, vessel: test.container}}
			a := attempt()
			a.Blocks = by(test.identity)
			err := w.provider().Preflight(t.Context(), a)
			back := w.provider().PreflightRestore(t.Context(), backup.Restore{
				Target: a.Target, Storage: a.Storage, Artifact: folder, Blocks: a.Blocks, Kind: backup.RestoreFull,
			})
			if test.restorable {
				must(t, back)
			}
			if test.fault.kind != "" {
				test.fault.check(t, err)
				if !test.restorable {
					test.fault.check(t, back)
				}
				return
			}
			must(t, err)
			must(t, back)
			want := []step{get, inspect, vessel, get, inspect}
			if name == "nothing to be seen" {
				want = []step{get, inspect, get, inspect}
			}
			w.expect(t, want...)
		})
	}
	for _, id := range []string{"", "x", account, strings.Replace(target, "managedHSMs", "vaults", 1)} {
		a := attempt()
		a.Target = id
		fault{kind: backup.Refused, code: "InvalidTarget", hint: "plan.yaml"}.check(t, (&wire{}).provider().Preflight(t.Context(), a))
		_, err := (&wire{}).provider().Begin(t.Context(), a)
		fault{kind: backup.Refused, code: "InvalidTarget", hint: "plan.yaml"}.check(t, err)
	}
}

// listing replies with the list of a folder in an account with a hierarchical namespace.
func listing(blobs ...string) reply {
	var items strings.Builder
	for _, name := range blobs {
		size, metadata := "7", ""
		if strings.HasSuffix(name, "/") {
			name, size, metadata = strings.TrimSuffix(name, "/"), "0", "<Metadata><hdi_isfolder>true</hdi_isfolder></Metadata>"
		}
		items.WriteString("<Blob><Name>" + name + "</Name><Properties><Last-Modified>Tue, 03 Nov 2026 02:30:09 GMT</Last-Modified>" +
			"<Etag>0x1</Etag><Content-Length>" + size + "</Content-Length></Properties>" + metadata + "</Blob>")
	}
	return answers(200, `<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="lifeboat"><Blobs>`+
		items.String()+`</Blobs><NextMarker/></EnumerationResults>`, "Content-Type: application/xml", "Date: Tue, 03 Nov 2026 02:40:00 GMT")
}

// TestDeleteOnAHierarchicalAccount checks the order: one blob, the others in a batch, then the directories, the innermost
// first.
func TestDeleteOnAHierarchicalAccount(t *testing.T) {
	const host = "https://contosobackups.blob.core.windows.net/lifeboat"
	gone := answers(202, "")
	batch := func(r *http.Request) (*http.Response, error) {
		return answers(202, "--b\r\nContent-Type: application/http\r\nContent-ID: 0\r\n\r\nHTTP/1.1 202 Accepted\r\n\r\n"+
			"--b\r\nContent-Type: application/http\r\nContent-ID: 1\r\n\r\nHTTP/1.1 404 The specified blob does not exist.\r\n"+
			"x-ms-error-code: BlobNotFound\r\n\r\n--b--\r\n", "Content-Type: multipart/mixed; boundary=b")(r)
	}
	deletes := func(path string) step { return step("DELETE " + host + "/" + path) }
	submit := step("POST " + host + "?comp=batch&restype=container")
	w := &wire{replies: map[step]reply{
		list:   listing(folder+"/a", folder+"/a/", folder+"/a/b/", folder+"/y", folder+"/z"),
		submit: batch, deletes(folder + "/a/b"): gone, deletes(folder + "/a"): gone, deletes(folder): gone,
	}}
	w.replies[deletes(folder+"%2Fa%2Fb")], w.replies[deletes(folder+"%2Fa")] = gone, gone
	a := attempt()
	a.Artifact = folder
	must(t, w.provider().Delete(t.Context(), a, "", false))
	if len(w.sent) != 6 || w.sent[2] != submit || !strings.Contains(string(w.sent[3]), "b") || w.sent[5] != deletes(folder) {
		t.Errorf("sent %q", w.sent)
	}
	if body := w.bodies[2]; strings.Count(body, "DELETE /lifeboat/") != 2 || strings.Count(body, "If-Match: 0x1") != 2 {
		t.Errorf("the batch:\n%s", body)
	}
	w.replies[submit] = func(r *http.Request) (*http.Response, error) {
		return answers(202, "--b\r\nContent-Type: application/http\r\nContent-ID: 0\r\n\r\nHTTP/1.1 409 This operation is not permitted "+
			"as the blob is immutable due to a policy.\r\nx-ms-error-code: BlobImmutableDueToPolicy\r\n\r\n"+
			"--b\r\nContent-Type: application/http\r\nContent-ID: 1\r\n\r\nHTTP/1.1 202 Accepted\r\n\r\n--b--\r\n",
			"Content-Type: multipart/mixed; boundary=b")(r)
	}
	fault{kind: backup.Refused, code: "BlobImmutableDueToPolicy", hint: "A part of it"}.check(t, w.provider().Delete(t.Context(), a, "", false))
}
