package managedhsm_test

import (
	"strings"
	"testing"

	"lifeboat/internal/backup"
)

// settled are replies about an HSM that can be backed up, and an account in that region.
func settled(region string) map[step]reply {
	return map[step]reply{
		get: answers(200, `{"location":"westeurope","properties":{"provisioningState":"Succeeded"},"identity":{"userAssignedIdentities":`+
			`{"/subscriptions/x":{}}}}`),
		inspect: answers(200, `{"location":"`+region+`","sku":{"name":"Standard_GRS"},"properties":{}}`),
		vessel:  answers(404, `{"error":{"code":"ContainerNotFound","message":"none"}}`),
	}
}

// TestPreflightWarnsOfOneRegion: before a backup, and not before a restore.
func TestPreflightWarnsOfOneRegion(t *testing.T) {
	for region, want := range map[string]int{"West Europe": 1, "northeurope": 0} {
		w := &wire{replies: settled(region)}
		ctx, notes := backup.Watch(t.Context())
		must(t, w.provider().Preflight(ctx, attempt()))
		if n := notes.Warnings(); len(n) != want || want == 1 && (n[0].Code != "SameRegion" || !strings.Contains(n[0].Message, "Standard_GRS")) {
			t.Errorf("%s: %+v", region, n)
		}
	}
}

// TestADryRunOfAFullRestoreNamesTheGrants: they are commands with the HSM's name. The restore of a key leaves the roles alone.
func TestADryRunOfAFullRestoreNamesTheGrants(t *testing.T) {
	for _, r := range []backup.Restore{{Kind: backup.RestoreFull}, {Kind: backup.RestoreKey, Key: "rsa1"}} {
		r.Target, r.Source, r.Storage, r.Artifact = target, target, attempt().Storage, folder
		w := &wire{replies: settled("westeurope")}
		ctx, notes := backup.Watch(t.Context())
		must(t, w.provider().PreflightRestore(ctx, r))
		var told []string
		for _, n := range notes.Warnings() {
			told = append(told, n.Code+" "+n.Hint)
		}
		all := strings.Join(told, "\n")
		if full := r.Kind == backup.RestoreFull; len(told) > 1 || full != strings.HasPrefix(all, "RolesReplaced ") ||
			full != strings.Contains(all, `az keyvault role assignment create --hsm-name Contoso --role "Managed HSM Backup" --scope / `) ||
			full != strings.Contains(all, `az keyvault role assignment create --hsm-name Contoso --role "Managed HSM Restore" --scope / `) {
			t.Errorf("%s: %q", r.Kind, told)
		}
	}
}
