package fakeazure

import (
	"cmp"
	"encoding/xml"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// open returns the share of the call, or its snapshot that the query names.
func (c *fileCall) open() (*share, *http.Response) {
	s, ok := c.files.account(c.account.Name).shares[c.share]
	if ok && c.query.Has("sharesnapshot") {
		i := slices.IndexFunc(s.snapshots, func(s *share) bool { return s.snapshot == c.query.Get("sharesnapshot") })
		if ok = i >= 0; ok {
			s = s.snapshots[i]
		}
	}
	if !ok {
		return nil, c.refuse(http.StatusNotFound, "ShareNotFound", "The specified share does not exist.")
	}
	return s, nil
}

func (c *fileCall) createShare() *http.Response {
	shares := c.files.account(c.account.Name).shares
	if _, ok := shares[c.share]; ok {
		return c.refuse(http.StatusConflict, "ShareAlreadyExists", "The specified share already exists.")
	}
	s := &share{name: c.share, quota: 5120}
	var ok bool
	if s.metadata, ok = metadata(c.request.Header); !ok {
		return c.refuse(http.StatusBadRequest, "InvalidMetadata", "The specified metadata is invalid. It has characters that "+
			"are not permitted.")
	}
	if text := c.request.Header.Get("X-Ms-Share-Quota"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 102400 {
			return c.badHeader("x-ms-share-quota", text)
		}
		s.quota = n
	}
	s.root = c.files.newNode("", true)
	s.root.id = 0
	c.files.touch(&s.stamp)
	shares[c.share] = s
	return newResponse(http.StatusCreated, s.stamp.headers(), nil)
}

func (c *fileCall) snapshotShare() *http.Response {
	s, refusal := c.open()
	if refusal != nil {
		return refusal
	}
	copied := s.clone()
	at := time.Now().UTC()
	if n := len(s.snapshots); n > 0 {
		if last, err := time.Parse(fileTime, s.snapshots[n-1].snapshot); err == nil && !at.After(last) {
			at = last.Add(100 * time.Nanosecond)
		}
	}
	copied.snapshot = at.Format(fileTime)
	s.snapshots = append(s.snapshots, copied)
	h := copied.stamp.headers()
	h.Set("X-Ms-Snapshot", copied.snapshot)
	return newResponse(http.StatusCreated, h, nil)
}

func (c *fileCall) getShare() *http.Response {
	s, refusal := c.open()
	if refusal != nil {
		return refusal
	}
	h := s.stamp.headers()
	for key, value := range s.metadata {
		h.Set("X-Ms-Meta-"+key, value)
	}
	for name, value := range map[string]string{
		"Share-Quota": strconv.Itoa(s.quota), "Access-Tier": "TransactionOptimized", "Lease-Status": "unlocked",
		"Lease-State": "available", "Has-Immutability-Policy": "false", "Has-Legal-Hold": "false",
		"Access-Tier-Change-Time": s.stamp.created.Format(http.TimeFormat),
	} {
		h.Set("X-Ms-"+name, value)
	}
	return newResponse(http.StatusOK, h, nil)
}

func (c *fileCall) getShareStats() *http.Response {
	s, refusal := c.open()
	if refusal != nil {
		return refusal
	}
	resp := xmlAnswer(struct {
		XMLName xml.Name `xml:"ShareStats"`
		Bytes   int64    `xml:"ShareUsageBytes"`
	}{Bytes: s.usage()})
	for name, values := range s.stamp.headers() {
		resp.Header[name] = values
	}
	return resp
}

func (s *share) usage() int64 { return s.root.usage() + s.filled }

func (c *fileCall) deleteShare() *http.Response {
	s, refusal := c.open()
	if refusal != nil {
		return refusal
	}
	account := c.files.account(c.account.Name)
	switch how := c.request.Header.Get("X-Ms-Delete-Snapshots"); {
	case how != "" && how != "include" && how != "include-leased":
		return c.badHeader("x-ms-delete-snapshots", how)
	case s.snapshot != "" && how != "":
		return c.badHeader("x-ms-delete-snapshots", how)
	case s.snapshot != "":
		live := account.shares[c.share]
		live.snapshots = slices.DeleteFunc(live.snapshots, func(other *share) bool { return other == s })
	case len(s.snapshots) > 0 && how == "":
		return c.refuse(http.StatusConflict, "ShareHasSnapshots",
			"The share has snapshots and the operation requires no snapshots.")
	default:
		delete(account.shares, c.share)
	}
	return newResponse(http.StatusAccepted, http.Header{}, nil)
}

// These types are the document of List Shares.
type (
	shareList struct {
		XMLName    xml.Name `xml:"EnumerationResults"`
		Endpoint   string   `xml:"ServiceEndpoint,attr"`
		Prefix     string   `xml:"Prefix,omitempty"`
		Marker     string   `xml:"Marker,omitempty"`
		MaxResults string   `xml:"MaxResults,omitempty"`
		// Shares is in the document even when it is empty.
		Shares struct {
			Share []shareItem
		}
		NextMarker string `xml:"NextMarker"`
	}
	shareItem struct {
		Name       string `xml:"Name"`
		Snapshot   string `xml:"Snapshot,omitempty"`
		Properties struct {
			LastModified         string `xml:"Last-Modified"`
			Etag                 string
			LeaseStatus          string
			LeaseState           string
			Quota                int
			AccessTier           string
			AccessTierChangeTime string
		}
		Metadata *metadataXML `xml:"Metadata"`
	}
	metadataXML map[string]string
)

// MarshalXML writes an element for each key.
func (m metadataXML) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	if err := e.EncodeToken(start); err != nil {
		return err
	}
	for _, key := range sortedBy(m, strings.ToLower) {
		if err := e.EncodeElement(m[key], xml.StartElement{Name: xml.Name{Local: key}}); err != nil {
			return err
		}
	}
	return e.EncodeToken(start.End())
}

func (c *fileCall) listShares() *http.Response {
	size, marker, refusal := c.page()
	if refusal != nil {
		return refusal
	}
	var withSnapshots, withMetadata bool
	for _, word := range strings.FieldsFunc(c.query.Get("include"), func(r rune) bool { return r == ',' }) {
		switch word {
		case "snapshots":
			withSnapshots = true
		case "metadata":
			withMetadata = true
		case "deleted": // deleted shares are not kept
		default:
			return c.refuse(http.StatusBadRequest, "InvalidQueryParameterValue",
				"Value for one of the query parameters specified in the request URI is invalid.",
				"QueryParameterName", "include", "QueryParameterValue", word)
		}
	}
	list := shareList{
		Endpoint: "https://" + c.host + "/", Prefix: c.query.Get("prefix"), Marker: marker,
		MaxResults: c.query.Get("maxresults"),
	}
	var found []*share
	for name, s := range c.files.account(c.account.Name).shares {
		if strings.HasPrefix(name, list.Prefix) {
			found = append(found, s)
			if withSnapshots {
				found = append(found, s.snapshots...)
			}
		}
	}
	// Azure lists a share's snapshots before the share.
	slices.SortFunc(found, func(a, b *share) int { return strings.Compare(a.position(), b.position()) })
	for _, s := range found {
		if marker != "" && s.marker(c.account.Name) < marker {
			continue
		}
		if len(list.Shares.Share) == size {
			list.NextMarker = s.marker(c.account.Name)
			break
		}
		list.Shares.Share = append(list.Shares.Share, s.item(withMetadata))
	}
	return xmlAnswer(list)
}

// position returns the key by which shares and snapshots are sorted.
func (s *share) position() string {
	return s.name + "/" + cmp.Or(s.snapshot, "9999-12-31T23:59:59.9999999Z")
}

// marker returns the place where a list continues; clients must not interpret it.
func (s *share) marker(account string) string { return "/" + account + "/" + s.position() }

func (s *share) item(withMetadata bool) (i shareItem) {
	i.Name, i.Snapshot = s.name, s.snapshot
	p := &i.Properties
	p.LastModified, p.Etag = s.stamp.modified.Format(http.TimeFormat), s.stamp.etag
	p.LeaseStatus, p.LeaseState, p.Quota, p.AccessTier = "unlocked", "available", s.quota, "TransactionOptimized"
	p.AccessTierChangeTime = s.stamp.created.Format(http.TimeFormat)
	if withMetadata {
		m := metadataXML(s.metadata)
		i.Metadata = &m
	}
	return i
}
