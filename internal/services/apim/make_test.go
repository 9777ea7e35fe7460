package apim_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/google/uuid"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
	"lifeboat/internal/services/apim"
	"lifeboat/internal/testing/fakeazure"
)

// TestMaker: a service comes, with its tags, and goes for good. A person without the right to purge is told so.
func TestMaker(t *testing.T) {
	t.Parallel()
	s, err := fakeazure.Start(fakeazure.Config{Dir: filepath.Join(t.TempDir(), "sim"), TimeScale: pace, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.AddService(fakeazure.Service{ResourceID: standbys + "other"}); err != nil {
		t.Fatal(err)
	}
	group, subscription := groups+"/gateway", strings.TrimSuffix(groups, "/resourceGroups")
	s.Assign(s.ObjectID("owner"), subscription, fakeazure.Contributor)
	s.Assign(s.ObjectID("person"), group, fakeazure.APIManagementServiceContributor)
	as := func(who string) apim.Maker {
		options := azure.Options("v1", uuid.NewString)
		options.Transport = s.Client()
		return apim.NewMaker(azure.New(s.Credential(who), options))
	}
	ctx, id := t.Context(), standbys+"lifeboat-prove-x"
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	refused := func(err error, kind backup.FaultKind, words string) {
		t.Helper()
		fault, is := errors.AsType[*backup.Fault](err)
		if !is || fault.Kind != kind || !strings.Contains(fault.Code+fault.Message+fault.Hint, words) {
			t.Errorf("%v; want %q", err, words)
		}
	}
	until := func(what string, done func() bool) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("never " + what)
			}
		}
	}
	state := func() string {
		t.Helper()
		found, err := as("person").Look(ctx, id)
		ok(err)
		return found.State
	}
	region, err := as("person").Region(ctx, group)
	if err != nil || region != "westeurope" || state() != "" {
		t.Fatal(region, err)
	}
	tags := map[string]string{"lifeboat-prove": "x"}
	refused(as("nobody").Make(ctx, id, region, tags), backup.Refused, "the role Contributor on its resource group")
	ok(as("person").Make(ctx, id, region, tags))
	refused(as("person").Make(ctx, id, region, tags), backup.Retryable, "ServiceLocked")
	refused(as("person").Delete(ctx, id), backup.Retryable, "ServiceLocked")
	if got := state(); got != "Activating" {
		t.Error(got)
	}
	until("made", func() bool { return state() == "Succeeded" })
	all, err := as("person").Others(ctx, group)
	ok(err)
	tagged := 0
	for _, one := range all {
		if one.Tags["lifeboat-prove"] == "x" && backup.Same(one.ID, id) {
			tagged++
		}
	}
	if len(all) != 2 || tagged != 1 {
		t.Errorf("%+v", all)
	}
	if kept, err := as("owner").Deleted(ctx, id); err != nil || kept != (backup.Deleted{}) {
		t.Errorf("%+v, %v", kept, err)
	}
	refused(as("nobody").Delete(ctx, id), backup.Refused, "the role Contributor on its resource group")
	ok(as("person").Delete(ctx, id))
	var kept backup.Deleted
	until("deleted", func() bool {
		kept, err = as("owner").Deleted(ctx, id)
		ok(err)
		return kept.Address != ""
	})
	if got := state(); got != "" || kept.Until.IsZero() {
		t.Errorf("%s, %+v", got, kept)
	}
	ok(as("person").Delete(ctx, id)) // there is none
	refused(as("person").Make(ctx, id, region, tags), backup.Retryable, "ServiceAlreadyExistsInSoftDeletedState")
	_, err = as("person").Deleted(ctx, id)
	refused(err, backup.Refused, "the role Contributor on the subscription")
	refused(as("person").Purge(ctx, kept), backup.Refused, "the role Contributor on the subscription")
	ok(as("owner").Purge(ctx, kept))
	until("purged", func() bool {
		now, err := as("owner").Deleted(ctx, id)
		ok(err)
		return now.Address == ""
	})
	ok(as("owner").Purge(ctx, kept)) // there is none
	if !s.HasService(standbys + "other") {
		t.Error("another is gone")
	}
}

// TestNothingIsGoneForWantOfARight: Azure answers 404 in a subscription that the person's sign-in does not see, and so tells of no service
// there.
func TestNothingIsGoneForWantOfARight(t *testing.T) {
	t.Parallel()
	at := func(method, address string) step {
		return step(method + " https://management.azure.com" + address + "?api-version=2024-05-01")
	}
	kept := backup.Deleted{Address: strings.TrimSuffix(groups, "/resourceGroups") + "/providers/Microsoft.ApiManagement/locations/westeurope/deletedservices/contoso"}
	for code, gone := range map[string]bool{"SubscriptionNotFound": false, "ResourceNotFound": true} {
		no := armSays(404, code, "It is not there.")
		w := &wire{replies: map[step]reply{
			get: no, at("DELETE", target): no, at("DELETE", kept.Address): no, at("DELETE", target+"/apis/lifeboat-prove-x"): no,
		}}
		client := azure.New(identity{}, azcore.ClientOptions{Transport: w})
		maker := apim.NewMaker(client)
		_, err := maker.Look(t.Context(), target)
		for what, err := range map[string]error{
			"look": err, "delete": maker.Delete(t.Context(), target), "purge": maker.Purge(t.Context(), kept),
			"unmark": apim.NewMarker(client).Unmark(t.Context(), target, "lifeboat-prove-x"),
		} {
			if gone {
				if err != nil {
					t.Errorf("%s after %s: %v", what, code, err)
				}
				continue
			}
			fault{kind: backup.Refused, code: code, message: "It is not there.", hint: "tenant"}.check(t, err)
		}
	}
}
