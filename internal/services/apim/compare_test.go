package apim_test

import (
	"net/http"
	"strings"
	"testing"

	"lifeboat/internal/backup"
)

// other is the service that was backed up, and not the destination.
const other = groups + "/elsewhere/providers/Microsoft.ApiManagement/service/contoso-old"

// described returns a service as Resource Manager shows it, with the built-in host name of its own and these parts besides.
func described(name, location, sku, identity, hosts, properties string) string {
	return `{"name":"` + name + `","location":"` + location + `","sku":{"name":"` + sku + `","capacity":1},"identity":` + identity + `,"properties":` +
		`{"provisioningState":"Succeeded","gatewayUrl":"https://` + name + `.azure-api.net","hostnameConfigurations":[{"type":"Proxy","hostName":"` +
		name + `.azure-api.net","certificateSource":"BuiltIn"}` + hosts + `]` + properties + `}}`
}

const (
	hostOfOwn = `,{"type":"Proxy","hostName":"api.contoso.com","certificateSource":"Custom","encodedCertificate":"c2VjcmV0","certificatePassword":"hunter2"}`
	hostOfOld = `,{"type":"DeveloperPortal","hostName":"portal.contoso.com"}`
	authority = `,"certificates":[{"storeName":"Root","encodedCertificate":"c2VjcmV0","certificatePassword":"hunter2","certificate":` +
		`{"expiry":"2030-01-01T00:00:00Z","subject":"CN=Contoso","thumbprint":"9F3A"}}]`
	userOfOwn = `{"type":"UserAssigned","userAssignedIdentities":{"/subscriptions/x/reader":{"clientId":"` + clientID + `"}}}`
	inSubnet  = `,"virtualNetworkType":"Internal","virtualNetworkConfiguration":{"subnetResourceId":"/subscriptions/x/subnets/apim"}`
	noSubnet  = `,"virtualNetworkType":"None","virtualNetworkConfiguration":null`
)

// TestADryRunComparesSourceAndDestination: it reads either service once, and tells all that the restore brings along or leaves behind.
// A run reads the destination alone.
func TestADryRunComparesSourceAndDestination(t *testing.T) {
	standard := described("contoso", "West Europe", "Developer", systemIdentity, "", "")
	for name, c := range map[string]struct {
		source, destination reply
		unknownTier         bool
		// warns are the codes, the first always BringsAccess; words are in the warnings.
		warns, words string
	}{
		"alike, but for their identities": {
			source: answers(200, described("contoso-old", "westeurope", "Developer", systemIdentity, "", noSubnet)),
			warns:  "IdentitiesMissing", words: "the system-assigned identity of contoso-old",
		},
		"alike": {source: answers(200, described("contoso-old", "westeurope", "Developer", "null", "", noSubnet))},
		"host names": {
			source: answers(200, described("contoso-old", "westeurope", "Developer", "null", hostOfOwn+hostOfOld, "")),
			warns:  "HostnamesDiffer", words: "has api.contoso.com (Proxy), portal.contoso.com (DeveloperPortal), and",
		},
		"the same host name, behind a traffic manager": {
			source:      answers(200, described("contoso-old", "westeurope", "Developer", "null", hostOfOwn, "")),
			destination: answers(200, described("contoso", "westeurope", "Developer", systemIdentity, hostOfOwn, "")),
		},
		"a host name of the destination": {
			source:      answers(200, described("contoso-old", "westeurope", "Developer", "null", "", "")),
			destination: answers(200, described("contoso", "westeurope", "Developer", systemIdentity, hostOfOwn, "")),
			warns:       "HostnamesDiffer", words: "has none, and " + target + " has api.contoso.com (Proxy)",
		},
		"certificates": {
			source: answers(200, described("contoso-old", "westeurope", "Developer", "null", "", authority)),
			warns:  "CertificatesMissing", words: "9F3A",
		},
		"a user's identity": {
			source: answers(200, described("contoso-old", "westeurope", "Developer", userOfOwn, "", "")),
			warns:  "IdentitiesMissing", words: "/subscriptions/x/reader",
		},
		"regions": {
			source: answers(200, described("contoso-old", "West Europe", "Developer", "null", "",
				`,"additionalLocations":[{"location":"East US","sku":{"name":"Developer"}}]`)),
			warns: "RegionsDiffer", words: "has westeurope, eastus, and",
		},
		"network": {
			source: answers(200, described("contoso-old", "westeurope", "Developer", "null", "", inSubnet)),
			warns:  "NetworkDiffers", words: "has Internal, /subscriptions/x/subnets/apim, and " + target + " has none",
		},
		"the tier of the backup is known": {source: answers(200, described("contoso-old", "westeurope", "Premium", "null", "", ""))},
		"the tier of the backup is not known": {
			source:      answers(200, described("contoso-old", "westeurope", "Premium", "null", "", "")),
			unknownTier: true, warns: "TiersDiffer", words: "has Premium, and " + target + " has Developer",
		},
		"all of it": {
			source: answers(200, described("contoso-old", "North Europe", "Developer", userOfOwn, hostOfOwn, authority+inSubnet)),
			warns:  "HostnamesDiffer CertificatesMissing IdentitiesMissing RegionsDiffer NetworkDiffers", words: "northeurope",
		},
		"the source is gone":      {source: armSays(404, "ResourceNotFound", "The Resource was not found."), warns: "SourceNotCompared", words: "ResourceNotFound"},
		"the source is not shown": {source: armSays(403, "AuthorizationFailed", "No."), warns: "SourceNotCompared", words: "look at " + other},
		"the source is not heard": {source: cut, warns: "SourceNotCompared", words: "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			w := &wire{}
			w.replies = fit(map[step]reply{
				properties: answers(200, "", "Content-Length: 7", "Etag: "+etag),
				get: func(r *http.Request) (*http.Response, error) {
					switch {
					case strings.HasSuffix(r.URL.Path, "/service/contoso-old"):
						return c.source(r)
					case c.destination != nil:
						return c.destination(r)
					}
					return answers(200, standard)(r)
				},
			})
			r := bringBack()
			r.Source = other
			if c.unknownTier {
				r.SKU = ""
			}
			if err := w.provider().PreflightRestore(t.Context(), r); err != nil || w.count(get) != 1 {
				t.Fatalf("a run asked for services %d times, %v", w.count(get), err)
			}
			ctx, notes := backup.Watch(t.Context())
			if err := w.provider().PreflightRestore(ctx, r); err != nil || w.count(get) != 3 {
				t.Fatalf("a dry run asked for services %d times, %v", w.count(get)-1, err)
			}
			var codes, words []string
			for _, warning := range notes.Warnings() {
				codes, words = append(codes, warning.Code), append(words, warning.Message)
				if warning.Hint == "" {
					t.Errorf("%s says nothing of what to do", warning.Code)
				}
			}
			if want := strings.TrimSpace("BringsAccess " + c.warns); strings.Join(codes, " ") != want {
				t.Errorf("warned of %s, want %s", codes, want)
			}
			all := strings.Join(words, "\n")
			if !strings.Contains(all, c.words) || !strings.Contains(words[0], other) {
				t.Errorf("%q lacks %q", all, c.words)
			}
			for _, secret := range []string{"hunter2", "c2VjcmV0"} {
				if strings.Contains(all, secret) {
					t.Errorf("%q has %q", all, secret)
				}
			}
			r.Source = strings.ToUpper(r.Target)
			ctx, notes = backup.Watch(t.Context())
			if err := w.provider().PreflightRestore(ctx, r); err != nil || w.count(get) != 4 || len(notes.Warnings()) != 0 {
				t.Errorf("into itself: %v, %v", err, notes.Warnings())
			}
		})
	}
}

// TestPreflightWarnsOfOneRegion: before a backup, and not before a restore.
func TestPreflightWarnsOfOneRegion(t *testing.T) {
	w := &wire{replies: fit(map[step]reply{properties: answers(200, "", "Content-Length: 7", "Etag: "+etag)})}
	ctx, notes := backup.Watch(t.Context())
	if err := w.provider().Preflight(ctx, attempt()); err != nil || len(notes.Warnings()) != 1 || notes.Warnings()[0].Code != "SameRegion" {
		t.Errorf("before a backup: %v, %+v", err, notes.Warnings())
	}
	ctx, notes = backup.Watch(t.Context())
	r := bringBack()
	r.Source = r.Target
	if err := w.provider().PreflightRestore(ctx, r); err != nil || len(notes.Warnings()) != 0 {
		t.Errorf("before a restore: %v, %+v", err, notes.Warnings())
	}
	w.replies[inspect] = accountIs("northeurope", "")
	ctx, notes = backup.Watch(t.Context())
	if err := w.provider().Preflight(ctx, attempt()); err != nil || len(notes.Warnings()) != 0 {
		t.Errorf("in another region: %v, %+v", err, notes.Warnings())
	}
}
