package fakeazure

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
)

// mostShares is the number of shares in a page of a list here: a client has to follow the link to the next page. Azure's own pages
// have up to 5,000.
const mostShares = 2

// shares lists the file shares of an account, without their usage, as the specification of Microsoft.Storage describes.
func (s *storage) shares(c armCall) (*http.Response, error) {
	after := c.request.URL.Query().Get("$skipToken")
	return s.serve(c, func(a StorageAccount) map[string]any {
		s.files.mu.Lock()
		defer s.files.mu.Unlock()
		all, value := s.files.account(a.Name).shares, []any{}
		for _, name := range slices.Sorted(maps.Keys(all)) {
			switch {
			case name <= after:
			case len(value) == mostShares:
				return map[string]any{"value": value, "nextLink": fmt.Sprintf("https://%s%s/fileServices/default/shares?api-version=%s&$skipToken=%s",
					managementHost, a.ResourceID, c.apiVersion, value[mostShares-1].(map[string]any)["name"])}
			default:
				value = append(value, all[name].resource(a, false))
			}
		}
		return map[string]any{"value": value}
	}), nil
}

// share shows one file share, with its usage if the client asks for that.
func (s *storage) share(c armCall, name string) (*http.Response, error) {
	s.files.mu.Lock()
	found, ok := s.files.account(c.id.name).shares[name]
	s.files.mu.Unlock()
	if !ok {
		return armError(http.StatusNotFound, "ShareNotFound", "The specified share does not exist."), nil
	}
	return s.serve(c, func(a StorageAccount) map[string]any {
		s.files.mu.Lock()
		defer s.files.mu.Unlock()
		return found.resource(a, c.request.URL.Query().Get("$expand") == "stats")
	}), nil
}

// FillShare makes a file share use that many bytes more than its files have.
func (s *Sim) FillShare(account, name string, bytes int64) error {
	s.files.mu.Lock()
	defer s.files.mu.Unlock()
	share, ok := s.files.account(account).shares[name]
	if !ok {
		return fmt.Errorf("fill the share %s of %s: there is none", name, account)
	}
	share.filled = bytes
	return nil
}

// resource returns the share as Resource Manager shows it.
func (s *share) resource(a StorageAccount, stats bool) map[string]any {
	properties := map[string]any{
		"shareQuota": s.quota, "lastModifiedTime": s.stamp.modified.Format(time.RFC3339Nano), "accessTier": "TransactionOptimized",
		"enabledProtocols": "SMB", "leaseState": "available", "leaseStatus": "unlocked",
	}
	if stats {
		properties["shareUsageBytes"] = s.usage()
	}
	return map[string]any{
		"id": a.ResourceID + "/fileServices/default/shares/" + s.name, "name": s.name,
		"type": "Microsoft.Storage/storageAccounts/fileServices/shares", "etag": s.stamp.etag, "properties": properties,
	}
}
