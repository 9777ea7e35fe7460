package azure

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"lifeboat/internal/backup"
)

// Share is a file share as Resource Manager shows it (Azure's documentation "File Shares - Get"): a role to read is enough for that, and
// no key. Stats, the one value of $expand, adds its usage.
type Share struct {
	Name       string `json:"name"`
	Properties struct {
		// Quota is in GiB. Usage, in bytes, is missing in lists, and may not include the last writes.
		Quota    int64     `json:"shareQuota"`
		Usage    int64     `json:"shareUsageBytes"`
		Modified time.Time `json:"lastModifiedTime"`
	} `json:"properties"`
}

const sharesPath = "/fileServices/default/shares"

// Shares lists the file shares of the account.
func (c Client) Shares(ctx context.Context, s backup.Storage) (shares []Share, err error) {
	for query := ""; ; {
		var page struct {
			Value []Share `json:"value"`
			Next  string  `json:"nextLink"`
		}
		if err := c.ask(ctx, http.MethodGet, s, sharesPath+query, &page); err != nil {
			return nil, err
		}
		shares = append(shares, page.Value...)
		next, err := url.Parse(page.Next)
		if err != nil || page.Next == "" {
			return shares, err
		}
		query = "?" + next.RawQuery
	}
}

// Share reads a file share, with its usage.
func (c Client) Share(ctx context.Context, s backup.Storage, name string) (share Share, err error) {
	err = c.ask(ctx, http.MethodGet, s, sharesPath+"/"+url.PathEscape(name)+"?$expand=stats", &share)
	return share, err
}
