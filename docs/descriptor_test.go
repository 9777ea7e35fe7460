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
