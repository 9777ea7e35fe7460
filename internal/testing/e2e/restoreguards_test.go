package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/google/uuid"

	"lifeboat/internal/backup"
	"lifeboat/internal/restore"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/stack"
)

// TestRestoreIsRefused requests invalid restores, as messages of another system: each gets an answer with its code and in
// words, a dry run reports the same before, and no service receives a request to restore.
func TestRestoreIsRefused(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	services := newServices(t, 5)
	for i, name := range services {
		tune(t, name, func(k *fakeazure.Options) { k.Shortest = time.Minute })
		services[i] = stack.Service(name)
	}
	open, closed, asked, bare, gone := services[0], services[1], services[2], services[3], services[4]
	standard := stack.Service("s" + strings.ReplaceAll(uuid.NewString(), "-", "")[:20])
	if err := world.Sim.AddService(fakeazure.Service{ResourceID: standard, SKU: "Standard", SystemAssigned: true}); err != nil {
		t.Fatal(err)
	}
	world.Sim.Assign(world.Sim.ObjectID(standard), stack.Account(stack.Backups), fakeazure.StorageBlobDataContributor)
	a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "1d", path.Base(open))})
	hsm, foreign, untrusted := newHSM(t, a), newHSM(t, a), newHSM(t, a)
	tuneHSM(t, foreign, func(o *fakeazure.HSMOptions) { o.ForeignBackup = fakeazure.ForeignBackupEarly }) // the disaster's test has both readings
	if err := world.Sim.UnassignHSM(untrusted, a.ObjectID); err != nil {
		t.Fatal(err)
	}
	if err := world.Sim.AssignHSM(untrusted, a.ObjectID, fakeazure.ManagedHSMBackup); err != nil {
		t.Fatal(err)
	}
	ccf, other, homeless := newLedger(t, a, stack.CCF, (*stack.Stack).AddCCF), newLedger(t, a, stack.CCF, (*stack.Stack).AddCCF),
		newLedger(t, a, stack.CCF, (*stack.Stack).AddCCF)
	ledger := newLedger(t, a, stack.Ledger, (*stack.Stack).AddLedger)
	for _, l := range []string{ccf, homeless, ledger} {
		if err := world.Sim.TuneLedger(l, func(k *fakeazure.LedgerOptions) { k.Backup = fakeazure.Range{Shortest: time.Minute} }); err != nil {
			t.Fatal(err)
		}
	}
	further := func(name, more string, targets ...string) string {
		return "  - name: " + name + "\n    schedule: \"" + yearly + "\"\n    keep: {within: 1d}\n    targets: [" +
			strings.Join(targets, ", ") + "]\n" + more
	}
	err := a.edit(planOf(yearly, "1d", open, hsm, untrusted, bare) +
		"    restore: {into: [itself, " + standard + ", " + foreign + "], safetyBackup: true, replyTo: [soar]}\n" +
		further("ledgers", "    ccf: {restoreRegion: westeurope}\n    restore: {into: [itself, "+other+"], replyTo: [soar]}\n", ccf, ledger) +
		further("closed", "", closed) +
		further("asked", "    restore: {into: [itself], approval: required}\n", asked) +
		further("homeless", "    restore: {into: [itself]}\n", homeless))
	if err != nil {
		t.Fatal(err)
	}
	// The backups run in parallel.
	points, runs := map[string]backup.Point{}, map[string]string{}
	for _, target := range []string{open, hsm, untrusted, ccf, ledger, homeless} {
		if runs[target], err = a.backupOf(ctx, target, uuid.NewString()); err != nil {
			t.Fatal(err)
		}
	}
	for target, id := range runs {
		status, err := a.await(ctx, id)
		if err != nil || status.Run.State != backup.Succeeded {
			t.Fatalf("%s, %v: %+v", status.Run.State, err, status.Run.Reason)
		}
		if points[target], err = a.engine.RecoveryPoint(ctx, id); err != nil {
			t.Fatal(err)
		}
	}
	// These recovery points are damaged copies of good ones.
	backups := blobs(t)
	content := download(ctx, t, stack.Backups, points[open].Artifact)
	changed := points[open].Artifact + ".changed"
	if _, err := backups.NewBlockBlobClient(changed).UploadBuffer(ctx, []byte("x"+content[1:]), nil); err != nil {
		t.Fatal(err)
	}
	shorter := points[open].Artifact + ".shorter"
	if _, err := backups.NewBlockBlobClient(shorter).UploadBuffer(ctx, []byte(content[1:]), nil); err != nil {
		t.Fatal(err)
	}
	spoilt := func(target string, change map[string]any) string { return a.copyPoint(ctx, t, points[target], change) }
	month := time.Now().UTC().AddDate(0, 0, -31).Format(time.RFC3339)

	refused := map[string]struct {
		ask         map[string]any
		code, words string
		// late says that a dry run cannot find the reason.
		late bool
	}{
		"no plan has it":        {map[string]any{"target": gone}, "UnknownTarget", gone, false},
		"no plan allows it":     {map[string]any{"target": closed}, "DestinationNotAllowed", "closed", false},
		"no plan allows it to":  {map[string]any{"into": bare}, "DestinationNotAllowed", bare, false},
		"a person must agree":   {map[string]any{"target": asked}, "ApprovalUnavailable", "a person", false},
		"another queue":         {map[string]any{"replyTo": "elsewhere"}, "ReplyToNotAllowed", "elsewhere", false},
		"another type":          {map[string]any{"into": foreign}, "TypeMismatch", "managedHSMs", false},
		"a key of a service":    {map[string]any{"kind": "selective", "key": "rsa1"}, "KindNotSupported", "single keys", false},
		"no such point":         {map[string]any{"recoveryPoint": points[open].ID[:16] + "-0000000000-000000000000"}, "RecoveryPointNotFound", "no recovery point", false},
		"the point of another":  {map[string]any{"recoveryPoint": points[hsm].ID}, "RecoveryPointNotFound", points[hsm].ID, false},
		"no point at all":       {map[string]any{"target": bare}, "NoRecoveryPoint", "no live recovery point", false},
		"no point from before":  {map[string]any{"recoveryPoint": "latest before 2020-01-01T00:00:00Z"}, "NoRecoveryPoint", "from before 2020-01-01", false},
		"the point has expired": {map[string]any{"recoveryPoint": spoilt(open, map[string]any{"State": "expired", "Deleted": month})}, "RecoveryPointExpired", "was deleted at", false},
		"it is being deleted":   {map[string]any{"recoveryPoint": spoilt(open, map[string]any{"State": "deleting"})}, "RecoveryPointDeleting", "being deleted", false},
		"older than 30 days":    {map[string]any{"recoveryPoint": spoilt(open, map[string]any{"Created": month})}, "BeyondHorizon", "30 days: Cannot restore: backup expired", false},
		"no blob":               {map[string]any{"recoveryPoint": spoilt(open, map[string]any{"Artifact": "nothing"})}, "ArtifactMissing", "nothing in", false},
		"another content":       {map[string]any{"recoveryPoint": spoilt(open, map[string]any{"Artifact": changed})}, "ArtifactChanged", points[open].SHA256, false},
		"another size":          {map[string]any{"recoveryPoint": spoilt(open, map[string]any{"Artifact": shorter})}, "ArtifactChanged", "bytes", false},
		"another tier":          {map[string]any{"into": standard}, "TierDiffers", "tier is Standard, and the backup is of the tier Developer", false},
		"no folder": {map[string]any{"target": hsm, "recoveryPoint": spoilt(hsm, map[string]any{
			"Artifact": "mhsm-" + path.Base(hsm) + "-2020010100000000",
		})}, "ArtifactMissing", "does not exist", false},
		"another security domain": {map[string]any{"target": hsm, "into": foreign}, "OperationFailed", "Invalid backup provided", true},
		"no role for it":          {map[string]any{"target": untrusted}, "AccessDenied", "Not authorized", true},
		"the original exists":     {map[string]any{"target": ccf}, "OriginalExists", "still exists", false},
		"another name":            {map[string]any{"target": ccf, "into": other}, "NameDiffers", "under the name", false},
		"no region":               {map[string]any{"target": homeless}, "NoRegion", "region", false},
		"no share": {map[string]any{"target": ccf, "recoveryPoint": spoilt(ccf, map[string]any{
			"Artifact": path.Base(ccf) + "-1",
		})}, "ArtifactMissing", "does not exist", false},
		"an export": {map[string]any{"target": ledger}, "OneWay", "restores none", false},
		"too late":  {map[string]any{"expires": "2020-01-01T00:00:00Z"}, "RequestExpired", "2020-01-01T00:00:00Z", false},
	}
	requests := map[string]map[string]any{}
	for name, c := range refused {
		request := map[string]any{"id": name, "target": open, "recoveryPoint": "latest", "replyTo": "soar"}
		if c.code == "DestinationNotAllowed" && c.ask["target"] == closed || c.ask["target"] == asked || c.ask["target"] == homeless {
			delete(request, "replyTo") // their plans have no queue for answers
		}
		maps.Copy(request, c.ask)
		requests[name] = request
	}
	// Only a restore that is refused late has made a safety backup; the others have made nothing.
	starts := func() (n int) {
		for _, r := range world.Sim.HSMRequests() {
			if r.HSM == hsm && r.Kind == fakeazure.FullBackup {
				n++
			}
		}
		for _, r := range world.Sim.LedgerRequests() {
			if slices.Contains([]string{ccf, other, homeless, ledger}, r.Ledger) {
				n++
			}
		}
		for _, target := range append(services, standard) {
			n += startsSent(target)
		}
		return n
	}
	before := starts()

	// The dry run over HTTP reports the same.
	for name, c := range refused {
		request := maps.Clone(requests[name])
		request["dryRun"] = true
		response, said, err := a.request(ctx, http.MethodPost, "/api/restores", text(request), nil)
		var plan restore.Preview
		if err != nil || response.StatusCode != http.StatusOK || json.Unmarshal(said, &plan) != nil {
			t.Fatalf("%s: %v, %v, %s", name, response, err, said)
		}
		switch why := plan.Refusal(); {
		case c.late && why == nil:
		case why == nil, c.late, why.Code != c.code, !strings.Contains(why.Message, c.words):
			t.Errorf("%s: the dry run says %+v", name, why)
		}
	}

	send := a.sender(ctx, t)
	box, soar := a.mailbox(ctx, t, "lifeboat-events"), a.mailbox(ctx, t, "soar")
	for _, request := range requests {
		send(text(request))
	}
	for name, c := range refused {
		end := box.await(ctx, t, name, "refused", "failed", "succeeded", "unknown")
		if end.word() != "refused" || end.Data.Reason.Code != c.code || !strings.Contains(end.Data.Reason.Message, c.words) {
			t.Errorf("%s: %s: %+v", name, end.word(), end.Data.Reason)
		}
		if requests[name]["replyTo"] == "soar" && c.code != "UnknownTarget" {
			soar.await(ctx, t, name, "refused")
		}
	}
	// A request that can never be understood is also a dead letter.
	reused := maps.Clone(requests["too late"])
	reused["reason"] = "another one"
	for message, code := range map[string]string{
		text(reused): "RequestIdReused",
		`{"id":"no point","target":"` + open + `"}`:                                                      "InvalidRequest",
		`{"id":"unknown field","target":"` + open + `","recoveryPoint":"latest","Target":"` + hsm + `"}`: "InvalidRequest",
		`{"id":"two targets","target":"` + open + `","recoveryPoint":"latest","target":"` + hsm + `"}`:   "InvalidRequest",
		`{"id":"empty","target":"` + open + `","recoveryPoint":"latest","into":""}`:                      "InvalidRequest",
	} {
		send(message)
		var q struct{ ID string }
		_ = json.Unmarshal([]byte(message), &q)
		for {
			box.collect(ctx, t)
			found := false
			for _, told := range box.answers {
				found = found || told.word() == "refused" && told.Data.Reason.Code == code && told.Data.Request == q.ID
			}
			if found {
				break
			}
			if ctx.Err() != nil {
				t.Fatalf("no answer %s to %s", code, message)
			}
			pause(ctx)
		}
		if letter := awaitLetter(t, ctx, a, message); !strings.HasPrefix(letter.Reason, code) || letter.Queue != "restore-requests" {
			t.Errorf("%s: %+v", message, letter)
		}
	}
	a.workedOff(ctx, t)
	for _, target := range append([]string{standard, hsm, foreign, untrusted, ccf, other, homeless, ledger}, services...) {
		if n := restoresSent(target); n != 0 {
			t.Errorf("%s was asked to restore %d times", target, n)
		}
	}
	if n := starts(); n != before {
		t.Errorf("%d backups were made for restores that were refused", n-before)
	}
}

// copyPoint puts a copy of a recovery point into the table, with other values in its row, and returns its ID.
func (a *app) copyPoint(ctx context.Context, t *testing.T, p backup.Point, change map[string]any) (id string) {
	t.Helper()
	row, _, err := a.catalog.Get(ctx, backup.Key{Partition: p.ID[:16], Row: "point-" + p.ID[17:]})
	if err != nil {
		t.Fatal(err)
	}
	var body map[string]any
	if err := json.Unmarshal(row.Body, &body); err != nil {
		t.Fatal(err)
	}
	id = p.ID[:len(p.ID)-12] + strings.ReplaceAll(uuid.NewString(), "-", "")[:12]
	body["ID"] = id
	body["Created"] = p.Created.Add(-time.Hour) // so that it is not the newest
	for name, value := range change {
		if _, known := body[name]; !known && name != "Deleted" {
			t.Fatalf("a recovery point has no %s: %s", name, row.Body)
		}
		body[name] = value
	}
	_, err = a.catalog.Apply(ctx, backup.Write{
		Op: backup.Insert, Key: backup.Key{Partition: id[:16], Row: "point-" + id[17:]}, Body: []byte(text(body)),
	})
	if err != nil {
		t.Fatal(fmt.Errorf("copy %s: %w", row.Body, err))
	}
	return id
}

// blobs returns the container of all backups.
func blobs(t testing.TB) *container.Client {
	t.Helper()
	world.Sim.Assign(world.Sim.ObjectID(probe), stack.Account(stack.Backups), fakeazure.StorageBlobDataContributor)
	client, err := container.NewClient("https://"+stack.Backups+".blob.core.windows.net/"+stack.Container,
		world.Sim.Credential(probe), &container.ClientOptions{ClientOptions: options()})
	if err != nil {
		t.Fatal(err)
	}
	return client
}
