package azure

import (
	"context"
	"strings"

	"lifeboat/internal/backup"
)

// Region returns the name of a region in the form for programs: some services write "West Europe" for "westeurope".
func Region(name string) string { return strings.ToLower(strings.ReplaceAll(name, " ", "")) }

// SameRegion tells whether the two names mean one region. An empty one is not known, and means none.
func SameRegion(a, b string) bool { return a != "" && Region(a) == Region(b) }

// WarnOfRegion warns if the target is in the region of the account for its backups: the loss of that region would take both.
func WarnOfRegion(ctx context.Context, target, location string, s backup.Storage, account Account) {
	if !SameRegion(location, account.Location) {
		return
	}
	words, hint := "nothing outside of that region has a copy", "Name an account in another region in plan.yaml, or one that Azure copies to "+
		"another region (GRS, RA-GRS, GZRS or RA-GZRS)."
	switch redundancy := account.SKU.Name; {
	case redundancy == "":
		words = "Azure does not say whether another region has a copy"
	case strings.Contains(redundancy, "RAG"):
		words, hint = "Azure copies the account to another region, some minutes late ("+redundancy+"), where the copy can be read", "A restore "+
			"needs the account itself: fail it over first, if its region is lost."
	case strings.Contains(redundancy, "G"):
		words, hint = "Azure copies the account to another region, some minutes late ("+redundancy+"), where only a failover opens the copy",
			"Fail the account over before a restore, if its region is lost."
	default:
		words += " (" + redundancy + ")"
	}
	backup.Warn(ctx, backup.Refuse("SameRegion", hint, "%s and the storage account %s of its backups are both in %s: %s", target,
		s.AccountName(), Region(location), words))
}
