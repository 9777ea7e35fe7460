package services_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
	"lifeboat/internal/services"
)

const group = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rg/providers/"

// TestOf: a service is found in any spelling of its type, and nothing else is taken for one.
func TestOf(t *testing.T) {
	known := services.All().Known()
	gateway, ok := known.Of(group + "microsoft.apimanagement/Service/contoso")
	if !ok || gateway.Restorable != 30*24*time.Hour || !slices.Contains(gateway.NotIncluded, "developer portal content") {
		t.Errorf("%+v, %v", gateway, ok)
	}
	for _, id := range []string{group + "Microsoft.Web/sites/contoso", group + "Microsoft.ApiManagement/service", "contoso", ""} {
		if s, ok := known.Of(id); ok || s.Type != "" || len(s.NotIncluded) != 0 {
			t.Errorf("%s is backed up as %+v", id, s)
		}
	}
}

// TestEachIsDescribed: each service has all that people are told about it, and two services that share a block describe it alike.
func TestEachIsDescribed(t *testing.T) {
	schemas := map[string]string{}
	for _, s := range services.All() {
		traits := s.Restore
		switch {
		case strings.Count(s.Type, "/") != 1, s.Title == "", s.Name == nil, s.NameRule == "", s.Usual == 0, len(s.NotIncluded) == 0, s.New == nil:
			t.Errorf("%s lacks something: %+v", s.Type, s)
		case len(traits.Overwrites) == 0, len(traits.Calls) == 0, len(traits.BackupCalls) == 0:
			t.Errorf("%s lacks something of its restores: %+v", s.Type, traits)
		case (s.CopyOnly != nil) != (traits.NotRestorable != ""), traits.Recreates != (traits.Region != nil), traits.Recreates != (traits.Traces == ""):
			t.Errorf("%s contradicts itself: %+v", s.Type, traits)
		}
		if _, shows := s.New(nil, azcore.ClientOptions{}, 1).(backup.Recreator); shows != traits.Recreates {
			t.Errorf("%s recreates its resource: %v, and its provider finds lost restores: %v", s.Type, traits.Recreates, shows)
		}
		if b := s.Block; b != nil {
			if !json.Valid([]byte(b.Schema)) || schemas[b.Field] != "" && schemas[b.Field] != b.Schema {
				t.Errorf("%s: the schema of %s is none, or another service's differs", s.Type, b.Field)
			}
			schemas[b.Field] = b.Schema
		}
	}
	if len(schemas) < 3 {
		t.Errorf("only %d blocks were seen", len(schemas))
	}
}

// TestInACloud: the requests that a restore of a Managed HSM shows go to the hosts of the cloud.
func TestInACloud(t *testing.T) {
	for _, cloud := range []azure.Cloud{azure.Public, azure.Government, azure.China} {
		there, _ := services.All().In(cloud).Known().Of(group + "Microsoft.KeyVault/managedHSMs/fort")
		calls := slices.Concat(there.Restore.Calls, there.Restore.BackupCalls, there.Restore.KeyCalls)
		for _, call := range calls {
			if !strings.Contains(call, " https://{name}."+cloud.HSM+"/") {
				t.Errorf("%s: %s", cloud.Name, call)
			}
		}
		if len(calls) != 6 {
			t.Errorf("%s: %d calls", cloud.Name, len(calls))
		}
	}
}

// TestSettingsKeepTheirBlocks beside the other members, as they are, and with those of a newer version.
func TestSettingsKeepTheirBlocks(t *testing.T) {
	for _, blocks := range []backup.Blocks{"", `{"identity":"accessKey"}`, `{"ccf":{"apiVersion":"2025-06-10-preview"},"hsm":{"access":"sas"},"new":[1]}`} {
		settings := backup.Settings{Storage: backup.Storage{Account: "a", Container: "c"}, KeepWithin: time.Hour, Concurrency: 3, Blocks: blocks}
		text, err := json.Marshal(settings)
		var again backup.Settings
		if err != nil || json.Unmarshal(text, &again) != nil || again != settings {
			t.Errorf("%s: %s, %v; read again %+v", blocks, text, err, again)
		}
	}
}
