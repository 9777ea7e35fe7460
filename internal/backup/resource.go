package backup

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// Resource is an Azure resource ID taken apart.
type Resource struct {
	// Subscription is a UUID.
	Subscription, Group, Name string
	// Type is such as "Microsoft.ApiManagement/service", as it was written; compare without regard to case.
	Type string
}

// ParseResource takes a full resource ID apart:
// /subscriptions/{uuid}/resourceGroups/{group}/providers/{namespace}/{type}/{name}.
func ParseResource(id string) (Resource, error) {
	p := strings.Split(id, "/")
	if len(p) != 9 || p[0] != "" || !strings.EqualFold(p[1], "subscriptions") ||
		!strings.EqualFold(p[3], "resourceGroups") || !strings.EqualFold(p[5], "providers") {
		return Resource{}, fmt.Errorf("%q is not a resource ID of the form "+
			"/subscriptions/{uuid}/resourceGroups/{group}/providers/{namespace}/{type}/{name}", id)
	}
	for _, part := range p[1:] {
		if part == "" || strings.ContainsFunc(part, func(c rune) bool { return c <= ' ' || strings.ContainsRune(`\#?%'"`, c) }) {
			return Resource{}, fmt.Errorf("%q is not a resource ID: the part %q is empty or has a character not allowed", id, part)
		}
	}
	if !isUUID(p[2]) {
		return Resource{}, fmt.Errorf("%q is not a resource ID: the subscription %q is not a UUID", id, p[2])
	}
	return Resource{Subscription: p[2], Group: p[4], Type: p[6] + "/" + p[7], Name: p[8]}, nil
}

func isUUID(s string) bool {
	return slices.EqualFunc(strings.Split(strings.ToLower(s), "-"), []int{8, 4, 4, 4, 12}, func(part string, length int) bool {
		return consists(part, length, "0123456789abcdef")
	})
}

// Digest returns the first n hex digits of the SHA-256 of s.
func Digest(s string, n int) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])[:n]
}

// Same says whether the resource IDs are of one resource, by the rule of Partition. [strings.EqualFold] treats more letters as
// equal, such as ſ and s: a plan would allow a resource by one name, and the lock would be under another.
func Same(a, b string) bool {
	a, b = strings.ToLower(a), strings.ToLower(b)
	return a == b
}
