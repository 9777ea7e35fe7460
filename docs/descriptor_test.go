package docs_test

import (
	"reflect"
	"strings"
	"testing"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// TestDescriptor: add-a-service.md has each member of a service's descriptor, and no other.
func TestDescriptor(t *testing.T) {
	coded, documented := map[string]bool{}, map[string]bool{}
	for prefix, part := range map[string]reflect.Type{
		"": reflect.TypeFor[backup.Service](), "Block.": reflect.TypeFor[backup.Block](), "Restore.": reflect.TypeFor[backup.RestoreTraits](),
	} {
		for _, member := range reflect.VisibleFields(part) {
			coded[prefix+member.Name] = true
		}
	}
	for _, member := range reflect.VisibleFields(reflect.TypeFor[azure.Service]()) {
		if len(member.Index) == 1 && !member.Anonymous {
			coded[member.Name] = true
		}
	}
	for _, row := range cells(section(t, page(t, "add-a-service.md"), "The descriptor")) {
		documented[strings.Trim(row[0], "`")] = true
	}
	same(t, "the member", documented, coded)
}

// TestPassingCodes: services.md has each code for which a failed backup is tried again beside its reason, and no other.
func TestPassingCodes(t *testing.T) {
	coded, documented := map[string]bool{}, map[string]bool{}
	for _, p := range azure.PassingCodes {
		for _, code := range p.Codes {
			coded[p.Reason+": "+code] = true
		}
	}
	for _, row := range cells(section(t, page(t, "services.md"), "When Azure fails a backup")) {
		for code := range set("`([^`]+)`", row[0]) {
			documented[row[1]+": "+code] = true
		}
	}
	same(t, "the passing code", documented, coded)
}

// TestDenials: services.md has each code of Azure that denies a request for good beside its reason, and no other.
func TestDenials(t *testing.T) {
	coded, documented := map[string]bool{}, map[string]bool{}
	for _, d := range azure.Denials {
		for _, code := range d.Codes {
			coded[d.Reason+": "+code] = true
		}
		if d.Word != "" {
			coded[d.Reason+": "+d.Word] = true
		}
	}
	for _, row := range cells(section(t, page(t, "services.md"), "When Azure says no")) {
		for code := range set("`([^`]+)`", row[0]) {
			documented[row[1]+": "+code] = true
		}
	}
	same(t, "the denial", documented, coded)
}
