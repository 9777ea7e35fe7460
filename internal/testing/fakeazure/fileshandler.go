package fakeazure

import (
	"encoding/xml"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// fileCall is a request to the file service of an account.
type fileCall struct {
	files   *files
	request *http.Request
	account StorageAccount
	host    string
	// address is the caller's IP address.
	address string
	query   url.Values
	// version is the x-ms-version; a request with a SAS may leave it out, and then it is the version in the SAS.
	version string
	// share and path are the parts of the URL's path, decoded.
	share string
	path  []string

	operation fileOperation
}

// fileOperation is an operation of the file service, with the rights that an account SAS needs for it: one of the permissions, on
// this type of resource (service, container or object).
type fileOperation struct {
	name        string
	method      string
	restype     string // restype in the query, with comp; "" for a file
	comp        string
	resource    rune
	permissions string
	handle      func(*fileCall) *http.Response
	// parameters are the query's parameters that the operation knows, besides restype, comp and timeout.
	parameters []string
}

const listFilesOperation = "List Directories and Files"

// fileOperations are the known operations, with the names and permissions of Microsoft's tables for the account SAS.
var fileOperations = []fileOperation{
	{
		"List Shares", "GET", "", "list", 's', "l", (*fileCall).listShares,
		[]string{"prefix", "marker", "maxresults", "include"},
	},
	{"Create Share", "PUT", "share", "", 'c', "cw", (*fileCall).createShare, nil},
	{"Snapshot Share", "PUT", "share", "snapshot", 'c', "cw", (*fileCall).snapshotShare, nil},
	{"Get Share Properties", "GET", "share", "", 'c', "r", (*fileCall).getShare, []string{"sharesnapshot"}},
	{"Get Share Stats", "GET", "share", "stats", 'c', "r", (*fileCall).getShareStats, nil},
	{"Delete Share", "DELETE", "share", "", 'c', "d", (*fileCall).deleteShare, []string{"sharesnapshot"}},
	{
		listFilesOperation, "GET", "directory", "list", 'c', "l", (*fileCall).listFiles,
		[]string{"prefix", "marker", "maxresults", "include", "sharesnapshot"},
	},
	{"Create Directory", "PUT", "directory", "", 'o', "cw", (*fileCall).createDirectory, nil},
	{"Get Directory Properties", "GET", "directory", "", 'o', "r", (*fileCall).getDirectory, []string{"sharesnapshot"}},
	{"Delete Directory", "DELETE", "directory", "", 'o', "d", (*fileCall).deleteDirectory, nil},
	{"Create File", "PUT", "", "", 'o', "cw", (*fileCall).createFile, nil},
	{"Put Range", "PUT", "", "range", 'o', "w", (*fileCall).putRange, nil},
	{"Set File Metadata", "PUT", "", "metadata", 'o', "w", (*fileCall).setMetadata, nil},
	{"Get File", "GET", "", "", 'o', "r", (*fileCall).getFile, []string{"sharesnapshot"}},
	{"Get File Properties", "HEAD", "", "", 'o', "r", (*fileCall).getFile, []string{"sharesnapshot"}},
	{"Delete File", "DELETE", "", "", 'o', "d", (*fileCall).deleteFile, nil},
}

// answer handles the requests to all file services.
func (f *files) answer(r *http.Request) (*http.Response, error) {
	host := strings.TrimSuffix(strings.ToLower(r.Host), ":"+httpsPort)
	parts := fileHost.FindStringSubmatch(host)
	if parts == nil {
		return nil, fmt.Errorf("no such host %s", host)
	}
	account, ok := f.storage.account(parts[1])
	if !ok {
		return nil, fmt.Errorf("no such host %s", host)
	}
	c := &fileCall{files: f, request: r, account: account, host: host, version: r.Header.Get("X-Ms-Version")}
	c.address, _, _ = net.SplitHostPort(r.RemoteAddr)
	resp := c.dispatch()
	for name, value := range map[string]string{
		"Server": "Windows-Azure-File/1.0 Microsoft-HTTPAPI/2.0", "X-Ms-Request-Id": uuid.NewString(),
		"X-Ms-Version": c.version, "X-Ms-Client-Request-Id": r.Header.Get("X-Ms-Client-Request-Id"),
	} {
		if value != "" && resp.Header.Get(name) == "" {
			resp.Header.Set(name, value)
		}
	}
	return resp, nil
}

// dispatch checks the request as such, then the caller, and leaves the rest to the operation.
func (c *fileCall) dispatch() *http.Response {
	var err error
	if c.query, err = url.ParseQuery(c.request.URL.RawQuery); err != nil {
		return c.refuse(http.StatusBadRequest, "InvalidUri", "The requested URI does not represent any resource on the server.")
	}
	if c.version == "" {
		c.version = c.query.Get("sv")
	} else if !storageVersion(c.version) {
		return c.badHeader("x-ms-version", c.version)
	}
	if path := strings.Trim(c.request.URL.Path, "/"); path != "" {
		parts := strings.Split(path, "/")
		c.share, c.path = parts[0], parts[1:]
	}
	if refusal := c.find(); refusal != nil {
		return refusal
	}
	if refusal := c.authorize(); refusal != nil {
		return refusal
	}
	if refusal := c.checkForm(); refusal != nil {
		return refusal
	}
	c.files.mu.Lock()
	defer c.files.mu.Unlock()
	return c.operation.handle(c)
}

// find returns the operation.
func (c *fileCall) find() *http.Response {
	restype, comp := c.query.Get("restype"), c.query.Get("comp")
	for _, op := range fileOperations {
		// GET and HEAD of properties are the same operation.
		sameMethod := op.method == c.request.Method || (op.restype != "" && op.comp == "" && op.method == http.MethodGet &&
			c.request.Method == http.MethodHead)
		if !sameMethod || op.restype != restype || op.comp != comp {
			continue
		}
		var fits bool
		switch op.resource {
		case 's':
			fits = c.share == ""
		case 'c':
			fits = c.share != "" && (len(c.path) == 0 || op.name == listFilesOperation)
		default:
			fits = c.share != "" && (len(c.path) > 0 || op.name == "Get Directory Properties")
		}
		if fits {
			c.operation = op
			return nil
		}
	}
	return c.refuse(http.StatusBadRequest, "InvalidQueryParameterValue",
		"Value for one of the query parameters specified in the request URI is invalid.")
}

// checkForm refuses names and parameters that no operation accepts, and conditions. The file service has no conditions.
func (c *fileCall) checkForm() *http.Response {
	for name := range withoutSAS(c.query) {
		known := slices.Contains([]string{"restype", "comp", "timeout"}, name) || slices.Contains(c.operation.parameters, name)
		if !known || len(c.query[name]) > 1 {
			return c.refuse(http.StatusBadRequest, "UnsupportedQueryParameter",
				"One of the query parameters specified in the request URI is not supported.")
		}
	}
	for _, name := range []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		if c.request.Header.Get(name) != "" {
			return c.refuse(http.StatusBadRequest, "ConditionHeadersNotSupported", "Condition headers are not supported.")
		}
	}
	switch {
	case c.share != "" && (len(c.share) < 3 || len(c.share) > 63):
		return c.refuse(http.StatusBadRequest, "OutOfRangeInput",
			"The specified resource name length is not within the permissible limits.")
	case c.share != "" && !validShareName(c.share), !validPath(c.path):
		return c.refuse(http.StatusBadRequest, "InvalidResourceName",
			"The specified resource name contains invalid characters.")
	}
	return nil
}

// refuse answers with an error; details are names and values of further elements.
func (c *fileCall) refuse(status int, code, message string, details ...string) *http.Response {
	header := http.Header{}
	id := uuid.NewString()
	header.Set("X-Ms-Request-Id", id)
	header.Set("X-Ms-Error-Code", code)
	header.Set("Content-Type", "application/xml")
	if c.request.Method == http.MethodHead {
		return newResponse(status, header, nil)
	}
	var body strings.Builder
	element := func(name, text string) {
		body.WriteString("<" + name + ">")
		_ = xml.EscapeText(&body, []byte(text)) // a strings.Builder accepts everything
		body.WriteString("</" + name + ">")
	}
	body.WriteString(`<?xml version="1.0" encoding="utf-8"?><Error>`)
	element("Code", code)
	element("Message", message+"\nRequestId:"+id+"\nTime:"+time.Now().UTC().Format(time.RFC3339Nano))
	for i := 0; i+1 < len(details); i += 2 {
		element(details[i], details[i+1])
	}
	body.WriteString("</Error>")
	return newResponse(status, header, []byte(body.String()))
}

func (c *fileCall) badHeader(name, value string) *http.Response {
	return c.refuse(http.StatusBadRequest, "InvalidHeaderValue",
		"The value for one of the HTTP headers is not in the correct format.", "HeaderName", name, "HeaderValue", value)
}

// page reads maxresults and marker; a marker is the name of the entry to continue with.
func (c *fileCall) page() (size int, marker string, refusal *http.Response) {
	size = 5000
	if text := c.query.Get("maxresults"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return 0, "", c.refuse(http.StatusBadRequest, "OutOfRangeQueryParameterValue",
				"One of the query parameters specified in the request URI is outside the permissible range.",
				"QueryParameterName", "maxresults", "QueryParameterValue", text)
		}
		size = min(size, n)
	}
	if c.account.PageSize > 0 {
		size = min(size, c.account.PageSize)
	}
	return size, c.query.Get("marker"), nil
}

// sortedBy returns the keys of a map, sorted by the results of the function.
func sortedBy[V any](m map[string]V, by func(string) string) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b string) int { return strings.Compare(by(a), by(b)) })
	return keys
}

// xmlAnswer returns a 200 with a document.
func xmlAnswer(document any) *http.Response {
	body, err := xml.Marshal(document)
	if err != nil {
		panic(fmt.Sprintf("fakeazure: encode answer: %v", err)) // the document consists of plain values
	}
	header := http.Header{}
	header.Set("Content-Type", "application/xml")
	return newResponse(http.StatusOK, header, append([]byte(`<?xml version="1.0" encoding="utf-8"?>`), body...))
}
