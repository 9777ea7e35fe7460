package azure_test

import (
	"strings"
	"testing"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

const account = "/subscriptions/7a1c5b0e-3f44-4c2e-9d10-5e2b8f6a9c01/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/contosobackups"

// TestOneRegionOfSourceAndBackupsIsTold: however a region is spelled. The words say whether Azure has a copy elsewhere.
func TestOneRegionOfSourceAndBackupsIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		location, account, sku string
		words                  string // "" is no warning
	}{
		"spelled otherwise":        {"West Europe", "westeurope", "Standard_LRS", "nothing outside of that region has a copy (Standard_LRS)"},
		"the account, otherwise":   {"westeurope", "West Europe", "Standard_ZRS", "nothing outside of that region has a copy (Standard_ZRS)"},
		"another region":           {"West Europe", "northeurope", "Standard_LRS", ""},
		"another one of its pair":  {"East US", "eastus2", "Standard_LRS", ""},
		"not shown":                {"", "westeurope", "Standard_LRS", ""},
		"neither is shown":         {"", "", "Standard_LRS", ""},
		"copied":                   {"West Europe", "westeurope", "Standard_GRS", "(Standard_GRS), where only a failover opens the copy"},
		"copied, by zones":         {"West Europe", "westeurope", "Standard_GZRS", "(Standard_GZRS), where only a failover opens the copy"},
		"copied, to be read":       {"West Europe", "westeurope", "Standard_RAGRS", "(Standard_RAGRS), where the copy can be read"},
		"copied by zones, read":    {"West Europe", "westeurope", "Standard_RAGZRS", "(Standard_RAGZRS), where the copy can be read"},
		"redundancy is not shown":  {"West Europe", "westeurope", "", "Azure does not say"},
		"premium":                  {"West Europe", "westeurope", "Premium_LRS", "nothing outside of that region has a copy"},
		"a version of provisioned": {"West Europe", "westeurope", "StandardV2_GRS", "only a failover"},
	} {
		ctx, notes := backup.Watch(t.Context())
		var shown azure.Account
		shown.Location, shown.SKU.Name = c.account, c.sku
		azure.WarnOfRegion(ctx, target, c.location, backup.Storage{Account: account}, shown)
		warnings := notes.Warnings()
		if (len(warnings) == 1) != (c.words != "") || len(warnings) > 1 {
			t.Errorf("%s: %+v", name, warnings)
			continue
		}
		for _, w := range warnings {
			if w.Code != "SameRegion" || !strings.Contains(w.Message, c.words) || w.Hint == "" || !strings.Contains(w.Message, "contosobackups") {
				t.Errorf("%s: %+v", name, w)
			}
		}
	}
}
