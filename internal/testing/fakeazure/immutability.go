package fakeazure

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"time"
)

// Immutability is a time-based policy or a legal hold on blobs. The zero value is none. It does not refuse overwriting:
// nothing here writes a blob twice.
type Immutability struct {
	// Container is the container with the policy; "" is a policy of the whole account. Each blob shows a policy of the account
	// by itself, like every policy of a version; the properties of blobs do not show a policy of their container (documented).
	Container string
	// Until is the end of the policy; zero means no policy.
	Until time.Time
	// Hold is a legal hold.
	Hold bool
}

// containersPath is Resource Manager's path of the containers of an account, in lower case.
const containersPath = "blobservices/default/containers/"

// active tells whether blobs are kept now.
func (i Immutability) active(now time.Time) bool { return i.Hold || now.Before(i.Until) }

// days returns the remaining days of the policy as Resource Manager writes them.
func (i Immutability) days() int { return int(math.Ceil(time.Until(i.Until).Hours() / 24)) }

// describe adds a policy of the account to its properties.
func (i Immutability) describe(properties map[string]any) {
	if i.Container == "" && i.active(time.Now()) {
		properties["immutableStorageWithVersioning"] = map[string]any{"enabled": true, "immutabilityPolicy": map[string]any{
			"immutabilityPeriodSinceCreationInDays": i.days(), "state": "Unlocked", "allowProtectedAppendWrites": false,
		}}
	}
}

// container returns a container of the account as Resource Manager shows it, whether or not the emulator has it.
func (a StorageAccount) container(name string) map[string]any {
	i := a.Immutability
	here := i.Container == name
	properties := map[string]any{
		"hasImmutabilityPolicy": here && !i.Until.IsZero(), "hasLegalHold": here && i.Hold, "publicAccess": "None",
		"leaseStatus": "Unlocked", "leaseState": "Available",
	}
	if here && !i.Until.IsZero() {
		properties["immutabilityPolicy"] = map[string]any{"properties": map[string]any{
			"immutabilityPeriodSinceCreationInDays": i.days(), "state": "Unlocked",
		}}
	}
	return map[string]any{
		"id": a.ResourceID + "/blobServices/default/containers/" + name, "name": name,
		"type": "Microsoft.Storage/storageAccounts/blobServices/containers", "properties": properties,
	}
}

// refuse returns the answer to the deletion of a kept blob, alone or in a batch; nil for any other request.
func (i Immutability) refuse(host string, r *http.Request, now time.Time) *http.Response {
	container, blob, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if !i.active(now) || !strings.Contains(host, ".blob.") || i.Container != "" && i.Container != container {
		return nil
	}
	message := "This operation is not permitted as the blob is immutable due to a policy."
	if i.Hold {
		message = "This operation is not permitted as the blob is immutable due to one or more legal holds."
	}
	switch {
	case r.Method == http.MethodDelete && blob != "":
		return storageError(host, http.StatusConflict, "BlobImmutableDueToPolicy", message)
	case r.Method == http.MethodPost && r.URL.Query().Get("comp") == "batch":
		asked, _ := io.ReadAll(r.Body) // a truncated body has fewer parts
		var body bytes.Buffer
		for n := range bytes.Count(asked, []byte("Content-ID:")) {
			fmt.Fprintf(&body, "--kept\r\nContent-Type: application/http\r\nContent-ID: %d\r\n\r\nHTTP/1.1 409 %s\r\n"+
				"x-ms-error-code: BlobImmutableDueToPolicy\r\n\r\n", n, message)
		}
		body.WriteString("--kept--\r\n")
		return newResponse(http.StatusAccepted, http.Header{"Content-Type": {"multipart/mixed; boundary=kept"}}, body.Bytes())
	}
	return nil
}

// show adds a policy of the account to the properties of a single blob.
func (i Immutability) show(resp *http.Response) {
	if i.Container != "" || resp.Header.Get("X-Ms-Blob-Type") == "" {
		return
	}
	if !i.Until.IsZero() {
		resp.Header.Set("X-Ms-Immutability-Policy-Until-Date", i.Until.UTC().Format(http.TimeFormat))
		resp.Header.Set("X-Ms-Immutability-Policy-Mode", "unlocked")
	}
	if i.Hold {
		resp.Header.Set("X-Ms-Legal-Hold", "true")
	}
}
