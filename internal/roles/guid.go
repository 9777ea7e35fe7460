package roles

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"strings"
)

// GUID returns what the function guid of Azure's templates makes of the texts: so a role that a template has made and one that a command
// has made are one. It is a name-based UUID (RFC 9562, version 5) of the texts with dashes between them, in a namespace of Resource
// Manager's own (seen in snapshots of the Bicep compiler 0.49.2).
func GUID(texts ...string) string {
	namespace, _ := hex.DecodeString("11fb06fb712d4ddd98c7e71bbd588830") // cannot fail
	sum := sha1.Sum(append(namespace, strings.Join(texts, "-")...))
	id := sum[:16]
	id[6], id[8] = id[6]&0x0f|0x50, id[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}
