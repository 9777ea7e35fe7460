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

// ResourceID returns the ID as Lifeboat keeps it: without the one slash that may stand at its end.
func ResourceID(text string) string { return strings.TrimSuffix(text, "/") }

// ParseResource takes a full resource ID apart:
// /subscriptions/{uuid}/resourceGroups/{group}/providers/{namespace}/{type}/{name}. Each part has only the characters that Azure
// lets it have; [Services.Check] knows the rule for the name too. The error is a *ResourceError.
func ParseResource(id string) (Resource, error) {
	if why := whyNoResource(id); why != "" {
		return Resource{}, &ResourceError{ID: id, Why: why}
	}
	p := strings.Split(id, "/")
	return Resource{Subscription: p[2], Group: p[4], Type: p[6] + "/" + p[7], Name: p[8]}, nil
}

// ResourceError says why a text is not a resource ID.
type ResourceError struct {
	// ID is the text as it was written.
	ID string
	// Why stands behind the text: "is not a resource ID: the subscription is not a UUID".
	Why string
}

func (e *ResourceError) Error() string {
	shown := e.ID
	if strings.Contains(shown, "://") {
		shown = withoutQuery(shown)
	}
	return fmt.Sprintf("%q %s", shown, e.Why)
}

// IsUUID says whether the text is a UUID in its usual form.
func IsUUID(s string) bool {
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
