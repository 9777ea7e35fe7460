package apim

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/apimanagement/armapimanagement/v3"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// compare warns of all that the restore of another service's backup brings along, and of all that it leaves behind. The destination
// was read before; compare reads the source, if a person is told.
//
// The facts are from Azure's documentation of API Management's backup and restore. The certificates of custom host names and those
// of own authorities, managed identities and network settings are in no backup, and a restore touches no host name.
func (p *Provider) compare(ctx context.Context, t task, r backup.Restore, into armapimanagement.ServiceResource) {
	if !backup.Watched(ctx) || backup.Same(r.Source, r.Target) {
		return
	}
	backup.Warn(ctx, backup.Refuse("BringsAccess", "Afterwards see who may use "+r.Target+", and renew the subscription keys there if the keys "+
		"of the source must not open it.", "the backup brings the users, groups, subscriptions and subscription keys of %s, and they replace "+
		"those of %s: each key of the source opens the destination then", r.Source, r.Target))
	source := t
	source.Target = r.Source
	from, _, err := p.show(ctx, source, inspecting(source))
	if err != nil {
		f := backup.AsFault(err)
		backup.Warn(ctx, backup.Refuse("SourceNotCompared", "If it still exists, give the function app's identity the role Reader there. "+
			"If not, see from your own records which host names, certificates, identities and network it had.", "host names, certificates, "+
			"identities, regions and network of source and destination were not compared: %s", f.Error()))
		return
	}
	pair := pair{ctx: ctx, from: r.Source, into: r.Target}
	pair.warn("HostnamesDiffer", hostnames(from), hostnames(into), "custom host names", "The restore leaves host names as they are, and a "+
		"backup has no certificates of them. Add them to the destination, with their certificates, and then direct their DNS there.")
	pair.warnOfLack("CertificatesMissing", authorities(from), authorities(into), "own CA certificates, by their thumbprints", "They are not in a "+
		"backup. Add them to the destination, or calls that need them fail.")
	pair.warnOfLack("IdentitiesMissing", identities(from), identities(into), "managed identities", "They are not in a backup. Attach them to the "+
		"destination, and give its own system-assigned identity the roles of the source's: named values, backends and policies may need them.")
	pair.warn("RegionsDiffer", regions(from), regions(into), "regions", "The restore leaves them as they are. See that the destination may "+
		"have the data there, and reaches its backends from there.")
	pair.warn("NetworkDiffers", network(from), network(into), "virtual network", "The restore leaves it as it is, and a backup has no "+
		"network settings. See that the destination reaches its backends, and that its callers reach it.")
	if r.SKU == "" { // else the tier of the backup itself was compared
		pair.warn("TiersDiffer", []string{string(skuOf(from))}, []string{string(skuOf(into))}, "tier", hintSameTier)
	}
}

// pair is the source and the destination of a restore, which are different services.
type pair struct {
	ctx        context.Context //nolint:containedctx // it lives as long as the comparison
	from, into string
}

// warn warns if one of the two has a thing that the other one lacks.
func (p pair) warn(code string, from, into []string, things, hint string) {
	if lacks(from, into) || lacks(into, from) {
		p.tell(code, from, into, things, hint)
	}
}

// warnOfLack warns if the destination lacks a thing that the source has.
func (p pair) warnOfLack(code string, from, into []string, things, hint string) {
	if lacks(into, from) {
		p.tell(code, from, into, things, hint)
	}
}

// lacks tells whether one of the wanted things is missing. The case of letters does not count: none of them depends on it.
func lacks(has, wanted []string) bool {
	return slices.ContainsFunc(wanted, func(w string) bool {
		return !slices.ContainsFunc(has, func(h string) bool { return strings.EqualFold(h, w) })
	})
}

func (p pair) tell(code string, from, into []string, things, hint string) {
	backup.Warn(p.ctx, backup.Refuse(code, hint, "%s: %s has %s, and %s has %s", things, p.from, list(from), p.into, list(into)))
}

// mostListed is the number of things that a warning names: a previewed event has to fit into a message.
const mostListed = 10

func list(things []string) string {
	more := ""
	if n := len(things) - mostListed; n > 0 {
		things, more = things[:mostListed], fmt.Sprintf(" and %d more", n)
	}
	if len(things) == 0 {
		return "none"
	}
	return strings.Join(things, ", ") + more
}

// hostnames returns the custom host names of the service, with the endpoint that each is for.
func hostnames(s armapimanagement.ServiceResource) (names []string) {
	p := azure.Deref(s.Properties)
	for _, h := range p.HostnameConfigurations {
		if h == nil {
			continue
		}
		name := azure.Deref(h.HostName)
		own := azure.Deref(h.CertificateSource) == armapimanagement.CertificateSourceBuiltIn ||
			strings.EqualFold("https://"+name, azure.Deref(p.GatewayURL))
		if !own {
			names = append(names, fmt.Sprintf("%s (%s)", azure.Scrub(name), azure.Deref(h.Type)))
		}
	}
	return names
}

// authorities returns the thumbprints of the service's own CA certificates.
func authorities(s armapimanagement.ServiceResource) (thumbprints []string) {
	for _, c := range azure.Deref(s.Properties).Certificates {
		thumbprints = append(thumbprints, azure.Deref(azure.Deref(azure.Deref(c).Certificate).Thumbprint))
	}
	return thumbprints
}

// identities returns the managed identities of the service. The system-assigned one counts as one of the service: no other has it.
func identities(s armapimanagement.ServiceResource) (ids []string) {
	has := azure.Deref(s.Identity)
	if strings.Contains(string(azure.Deref(has.Type)), string(armapimanagement.ApimIdentityTypeSystemAssigned)) {
		ids = append(ids, "the system-assigned identity of "+azure.Deref(s.Name))
	}
	for id := range has.UserAssignedIdentities {
		ids = append(ids, id)
	}
	slices.Sort(ids) // the order of a map is random
	return ids
}

// regions returns the region of the service and those of its further gateways.
func regions(s armapimanagement.ServiceResource) []string {
	all := []string{azure.Region(azure.Deref(s.Location))}
	for _, l := range azure.Deref(s.Properties).AdditionalLocations {
		all = append(all, azure.Region(azure.Deref(azure.Deref(l).Location)))
	}
	return slices.DeleteFunc(all, func(r string) bool { return r == "" })
}

// network returns the type of the service's virtual network, and its subnet.
func network(s armapimanagement.ServiceResource) (all []string) {
	p := azure.Deref(s.Properties)
	if kind := azure.Deref(p.VirtualNetworkType); kind != "" && kind != armapimanagement.VirtualNetworkTypeNone {
		all = append(all, string(kind))
	}
	if subnet := azure.Deref(azure.Deref(p.VirtualNetworkConfiguration).SubnetResourceID); subnet != "" {
		all = append(all, subnet)
	}
	return all
}
