package fakeazure

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// rangeLimit is Azure's limit for a Put Range, and for a range with a requested MD5.
	rangeLimit = 4 << 20
	// fileLimit is this simulator's own limit: files are kept in memory.
	fileLimit = 256 << 20
)

// at finds the call's place in the share; found is nil when nothing is there.
func (c *fileCall) at() (s *share, parent, found *node, refusal *http.Response) {
	if s, refusal = c.open(); refusal != nil {
		return nil, nil, nil, refusal
	}
	if len(c.path) == 0 {
		return s, nil, s.root, nil
	}
	parent, found = s.find(c.path)
	if parent == nil || parent.children == nil {
		return nil, nil, nil, c.refuse(http.StatusNotFound, "ParentNotFound", "The specified parent path does not exist.")
	}
	return s, parent, found, nil
}

// existing is at for a node that must exist and be a directory, or a file.
func (c *fileCall) existing(directory bool) (s *share, parent, found *node, refusal *http.Response) {
	s, parent, found, refusal = c.at()
	switch {
	case refusal != nil:
	case found == nil:
		refusal = c.refuse(http.StatusNotFound, "ResourceNotFound", "The specified resource does not exist.")
	case (found.children != nil) != directory:
		refusal = c.refuse(http.StatusConflict, "ResourceTypeMismatch",
			"The specified resource type does not match the type of the existing resource.")
	}
	return s, parent, found, refusal
}

func (c *fileCall) createDirectory() *http.Response {
	_, parent, found, refusal := c.at()
	if refusal != nil {
		return refusal
	}
	if found != nil {
		return c.refuse(http.StatusConflict, "ResourceAlreadyExists", "The specified resource already exists.")
	}
	name := c.path[len(c.path)-1]
	n := c.files.newNode(name, true)
	var ok bool
	if n.metadata, ok = metadata(c.request.Header); !ok {
		return c.refuse(http.StatusBadRequest, "InvalidMetadata", "The specified metadata is invalid.")
	}
	parent.children[strings.ToLower(name)] = n
	return c.written(http.StatusCreated, parent, n)
}

func (c *fileCall) getDirectory() *http.Response {
	_, parent, n, refusal := c.existing(true)
	if refusal != nil {
		return refusal
	}
	return c.shown(parent, n)
}

func (c *fileCall) deleteDirectory() *http.Response {
	_, parent, n, refusal := c.existing(true)
	if refusal != nil {
		return refusal
	}
	if len(n.children) > 0 {
		return c.refuse(http.StatusConflict, "DirectoryNotEmpty", "The specified directory is not empty.")
	}
	delete(parent.children, strings.ToLower(n.name))
	return newResponse(http.StatusAccepted, http.Header{}, nil)
}

func (c *fileCall) createFile() *http.Response {
	h := c.request.Header
	if kind := h.Get("X-Ms-Type"); !strings.EqualFold(kind, "file") {
		return c.badHeader("x-ms-type", kind)
	}
	size, err := strconv.ParseInt(h.Get("X-Ms-Content-Length"), 10, 64)
	if err != nil || size < 0 || size > fileLimit {
		return c.badHeader("x-ms-content-length", h.Get("X-Ms-Content-Length"))
	}
	if c.request.ContentLength != 0 {
		return c.badHeader("Content-Length", fmt.Sprint(c.request.ContentLength))
	}
	_, parent, found, refusal := c.at()
	switch {
	case refusal != nil:
		return refusal
	case found != nil && found.children != nil:
		return c.refuse(http.StatusConflict, "ResourceTypeMismatch",
			"The specified resource type does not match the type of the existing resource.")
	}
	name := c.path[len(c.path)-1]
	n := c.files.newNode(name, false) // it replaces an existing file
	n.content, n.media = make([]byte, size), h.Get("X-Ms-Content-Type")
	var ok bool
	if n.metadata, ok = metadata(h); !ok {
		return c.refuse(http.StatusBadRequest, "InvalidMetadata", "The specified metadata is invalid.")
	}
	parent.children[strings.ToLower(name)] = n
	return c.written(http.StatusCreated, parent, n)
}

func (c *fileCall) setMetadata() *http.Response {
	_, parent, n, refusal := c.existing(false)
	if refusal != nil {
		return refusal
	}
	given, ok := metadata(c.request.Header)
	if !ok {
		return c.refuse(http.StatusBadRequest, "InvalidMetadata", "The specified metadata is invalid.")
	}
	n.metadata = given
	c.files.touch(&n.stamp)
	return c.written(http.StatusOK, parent, n)
}

// putRangeForm matches the range of a write: both ends must be given.
var putRangeForm = regexp.MustCompile(`^bytes=(\d{1,18})-(\d{1,18})$`)

func (c *fileCall) putRange() *http.Response {
	h := c.request.Header
	text := h.Get("X-Ms-Range")
	if text == "" {
		text = h.Get("Range")
	}
	parts := putRangeForm.FindStringSubmatch(text)
	if parts == nil {
		return c.badHeader("x-ms-range", text)
	}
	from, _ := strconv.ParseInt(parts[1], 10, 64) // its form was checked
	to, _ := strconv.ParseInt(parts[2], 10, 64)
	_, parent, n, refusal := c.existing(false)
	switch {
	case refusal != nil:
		return refusal
	case to < from || to >= int64(len(n.content)):
		return c.refuse(http.StatusRequestedRangeNotSatisfiable, "InvalidRange",
			"The range specified is invalid for the current size of the resource.")
	}
	switch how := h.Get("X-Ms-Write"); how {
	case "clear":
		if c.request.ContentLength != 0 {
			return c.badHeader("Content-Length", fmt.Sprint(c.request.ContentLength))
		}
		clear(n.content[from : to+1])
	case "update":
		if c.request.ContentLength > rangeLimit {
			return c.refuse(http.StatusRequestEntityTooLarge, "RequestBodyTooLarge",
				"The request body is too large and exceeds the maximum permissible limit.")
		}
		if c.request.ContentLength != to-from+1 {
			return c.badHeader("Content-Length", fmt.Sprint(c.request.ContentLength))
		}
		body, err := io.ReadAll(c.request.Body)
		if err != nil || int64(len(body)) != to-from+1 {
			return c.badHeader("Content-Length", fmt.Sprint(c.request.ContentLength))
		}
		sum := md5.Sum(body)
		if want := h.Get("Content-Md5"); want != "" && want != base64.StdEncoding.EncodeToString(sum[:]) {
			return c.refuse(http.StatusBadRequest, "Md5Mismatch",
				"The MD5 value specified in the request did not match with the MD5 value calculated by the server.")
		}
		copy(n.content[from:], body)
	default:
		return c.badHeader("x-ms-write", how)
	}
	c.files.touch(&n.stamp)
	return c.written(http.StatusCreated, parent, n)
}

// getRangeForm matches the range of a read: the end may be open.
var getRangeForm = regexp.MustCompile(`^bytes=(\d{1,18})-(\d{0,18})$`)

// getFile answers GET, and HEAD, which is Get File Properties.
func (c *fileCall) getFile() *http.Response {
	_, parent, n, refusal := c.existing(false)
	if refusal != nil {
		return refusal
	}
	h := c.shown(parent, n).Header
	h.Set("X-Ms-Type", "File")
	h.Set("Accept-Ranges", "bytes")
	h.Set("Content-Type", "application/octet-stream")
	if n.media != "" {
		h.Set("Content-Type", n.media)
	}
	size := int64(len(n.content))
	if c.request.Method == http.MethodHead {
		h.Set("Content-Length", strconv.FormatInt(size, 10))
		return newResponse(http.StatusOK, h, nil)
	}
	asked := c.request.Header
	text := asked.Get("X-Ms-Range")
	if text == "" {
		text = asked.Get("Range")
	}
	withMD5 := asked.Get("X-Ms-Range-Get-Content-Md5") == "true"
	if text == "" {
		if withMD5 {
			return c.badHeader("x-ms-range-get-content-md5", "true")
		}
		return newResponse(http.StatusOK, h, slices.Clone(n.content))
	}
	parts := getRangeForm.FindStringSubmatch(text)
	if parts == nil {
		return c.badHeader("x-ms-range", text)
	}
	from, _ := strconv.ParseInt(parts[1], 10, 64) // its form was checked
	to := size - 1
	if parts[2] != "" {
		end, _ := strconv.ParseInt(parts[2], 10, 64)
		to = min(to, end)
	}
	if from >= size || to < from {
		return c.refuse(http.StatusRequestedRangeNotSatisfiable, "InvalidRange",
			"The range specified is invalid for the current size of the resource.")
	}
	part := slices.Clone(n.content[from : to+1])
	if withMD5 {
		if len(part) > rangeLimit {
			return c.badHeader("x-ms-range-get-content-md5", "true")
		}
		sum := md5.Sum(part)
		h.Set("Content-Md5", base64.StdEncoding.EncodeToString(sum[:]))
	}
	h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, size))
	return newResponse(http.StatusPartialContent, h, part)
}

func (c *fileCall) deleteFile() *http.Response {
	_, parent, n, refusal := c.existing(false)
	if refusal != nil {
		return refusal
	}
	delete(parent.children, strings.ToLower(n.name))
	return newResponse(http.StatusAccepted, http.Header{}, nil)
}

// written returns the answer to a write; shown returns the answer to a request for properties.
func (c *fileCall) written(status int, parent, n *node) *http.Response {
	h := n.headers(idOf(parent))
	h.Set("X-Ms-Request-Server-Encrypted", "true")
	return newResponse(status, h, nil)
}

func (c *fileCall) shown(parent, n *node) *http.Response {
	h := n.headers(idOf(parent))
	h.Set("X-Ms-Server-Encrypted", "true")
	for key, value := range n.metadata {
		h.Set("X-Ms-Meta-"+key, value)
	}
	return newResponse(http.StatusOK, h, nil)
}

func idOf(n *node) uint64 {
	if n == nil {
		return 0
	}
	return n.id
}

// These types are the document of List Directories and Files.
type (
	fileList struct {
		XMLName       xml.Name `xml:"EnumerationResults"`
		Endpoint      string   `xml:"ServiceEndpoint,attr"`
		ShareName     string   `xml:"ShareName,attr"`
		ShareSnapshot string   `xml:"ShareSnapshot,attr,omitempty"`
		DirectoryPath string   `xml:"DirectoryPath,attr"`
		Prefix        string   `xml:"Prefix,omitempty"`
		Marker        string   `xml:"Marker,omitempty"`
		MaxResults    string   `xml:"MaxResults,omitempty"`
		DirectoryID   string   `xml:"DirectoryId"`
		// Entries is in the document even when it is empty.
		Entries struct {
			Item []fileItem
		}
		NextMarker string `xml:"NextMarker"`
	}
	fileItem struct {
		XMLName    xml.Name
		Name       string         `xml:"Name"`
		FileID     string         `xml:"FileId"`
		Properties fileProperties `xml:"Properties"`
		Attributes string         `xml:"Attributes,omitempty"`
		Permission string         `xml:"PermissionKey,omitempty"`
	}
	fileProperties struct {
		ContentLength  string `xml:"Content-Length,omitempty"`
		CreationTime   string `xml:"CreationTime,omitempty"`
		LastAccessTime string `xml:"LastAccessTime,omitempty"`
		LastWriteTime  string `xml:"LastWriteTime,omitempty"`
		ChangeTime     string `xml:"ChangeTime,omitempty"`
		LastModified   string `xml:"Last-Modified,omitempty"`
		Etag           string `xml:"Etag,omitempty"`
	}
)

// fileDetails are the valid words of the parameter include.
var fileDetails = []string{"Timestamps", "ETag", "Attributes", "PermissionKey"}

func (c *fileCall) listFiles() *http.Response {
	size, marker, refusal := c.page()
	if refusal != nil {
		return refusal
	}
	include := strings.FieldsFunc(c.query.Get("include"), func(r rune) bool { return r == ',' })
	for i, word := range include {
		known := slices.IndexFunc(fileDetails, func(d string) bool { return strings.EqualFold(d, word) })
		if known < 0 {
			return c.refuse(http.StatusBadRequest, "InvalidQueryParameterValue",
				"Value for one of the query parameters specified in the request URI is invalid.",
				"QueryParameterName", "include", "QueryParameterValue", word)
		}
		include[i] = fileDetails[known]
	}
	s, _, n, refusal := c.existing(true)
	if refusal != nil {
		return refusal
	}
	list := fileList{
		Endpoint: "https://" + c.host + "/", ShareName: s.name, ShareSnapshot: s.snapshot,
		DirectoryPath: strings.Join(c.path, "/"), Prefix: c.query.Get("prefix"), Marker: marker,
		MaxResults: c.query.Get("maxresults"), DirectoryID: strconv.FormatUint(n.id, 10),
	}
	for _, key := range sortedBy(n.children, strings.ToLower) {
		if !strings.HasPrefix(key, strings.ToLower(list.Prefix)) || (marker != "" && encodeMarker(key) < marker) {
			continue
		}
		if len(list.Entries.Item) == size {
			list.NextMarker = encodeMarker(key)
			break
		}
		list.Entries.Item = append(list.Entries.Item, n.children[key].item(include))
	}
	return xmlAnswer(list)
}

// encodeMarker hides a name, and keeps the order of names.
func encodeMarker(name string) string { return fmt.Sprintf("1!%x", name) }

func (n *node) item(include []string) fileItem {
	i := fileItem{XMLName: xml.Name{Local: "File"}, Name: n.name, FileID: strconv.FormatUint(n.id, 10)}
	if n.children == nil {
		i.Properties.ContentLength = strconv.Itoa(len(n.content))
	} else {
		i.XMLName.Local = "Directory"
	}
	for _, detail := range include {
		switch detail {
		case "Timestamps":
			for at, into := range map[*string]time.Time{
				&i.Properties.CreationTime: n.stamp.created, &i.Properties.LastAccessTime: n.stamp.modified,
				&i.Properties.LastWriteTime: n.stamp.modified, &i.Properties.ChangeTime: n.stamp.modified,
			} {
				*at = into.Format(fileTime)
			}
			i.Properties.LastModified = n.stamp.modified.Format(http.TimeFormat)
		case "ETag":
			i.Properties.Etag = n.stamp.etag
		case "Attributes":
			i.Attributes = n.headers(0).Get("X-Ms-File-Attributes")
		case "PermissionKey":
			i.Permission = n.headers(0).Get("X-Ms-File-Permission-Key")
		}
	}
	return i
}
