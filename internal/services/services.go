// Package services lists the services that Lifeboat backs up: one line for each.
package services

import (
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
	"lifeboat/internal/services/apim"
	"lifeboat/internal/services/ledger"
	"lifeboat/internal/services/managedhsm"
)

// List is a list of services.
type List []azure.Service

// All are the services that Lifeboat backs up. The program, its command line, the published schema of plan.yaml and the tests
// go by this list.
func All() List {
	return List{
		apim.Service(),
		managedhsm.Service(),
		ledger.ManagedCCF(),
		ledger.ConfidentialLedger(),
	}
}

// In returns the services as they are in the cloud. Their descriptions name hosts of the public cloud.
func (l List) In(c azure.Cloud) List {
	there := slices.Clone(l)
	for i := range there {
		r := &there[i].Restore
		for _, calls := range []*[]string{&r.Calls, &r.BackupCalls, &r.KeyCalls} {
			*calls = slices.Clone(*calls)
			for j, call := range *calls {
				(*calls)[j] = strings.ReplaceAll(call, azure.Public.HSM, c.HSM)
			}
		}
	}
	return there
}

// Known are the services without their providers.
func (l List) Known() backup.Services {
	known := make(backup.Services, 0, len(l))
	for _, s := range l {
		known = append(known, s.Service)
	}
	return known
}

// Providers are made for each service, by the resource type in lower case.
func (l List) Providers(cred azcore.TokenCredential, opts azcore.ClientOptions, factor float64) map[string]backup.Provider {
	providers := map[string]backup.Provider{}
	for _, s := range l {
		providers[strings.ToLower(s.Type)] = s.New(cred, opts, factor)
	}
	return providers
}

// Markers are made for each service that lifeboat prove can damage, by the resource type in lower case.
func (l List) Markers(cred azcore.TokenCredential, opts azcore.ClientOptions) map[string]backup.Marker {
	markers, client := map[string]backup.Marker{}, azure.New(cred, opts)
	for _, s := range l {
		if s.Marker != nil {
			markers[strings.ToLower(s.Type)] = s.Marker(client)
		}
	}
	return markers
}

// Makers are made for each service that lifeboat prove can make, by the resource type in lower case.
func (l List) Makers(cred azcore.TokenCredential, opts azcore.ClientOptions) map[string]backup.Maker {
	makers, client := map[string]backup.Maker{}, azure.New(cred, opts)
	for _, s := range l {
		if s.Maker != nil {
			makers[strings.ToLower(s.Type)] = s.Maker(client)
		}
	}
	return makers
}
