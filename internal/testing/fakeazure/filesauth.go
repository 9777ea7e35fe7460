package fakeazure

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// signatureTimeout is the greatest distance of a signed request's date from now.
const signatureTimeout = 15 * time.Minute

const fileServices = "Microsoft.Storage/storageAccounts/fileServices"

// authorize refuses a caller that the account does not admit to the operation: by key, by SAS or by token.
func (c *fileCall) authorize() *http.Response {
	scheme, rest, _ := strings.Cut(c.request.Header.Get("Authorization"), " ")
	switch {
	case scheme != "" && c.query.Has("sig"):
		return c.unauthentic("Both an Authorization header and a SAS were given.")
	case scheme == "SharedKey":
		return c.checkSharedKey(rest)
	case strings.EqualFold(scheme, "Bearer"):
		return c.checkBearer()
	case scheme != "":
		return c.unauthentic("The authorization scheme " + scheme + " is not known here.")
	case c.query.Has("sig"):
		return c.checkSAS()
	}
	return c.challenge("NoAuthenticationInformation")
}

// checkSharedKey compares the signature of the request.
func (c *fileCall) checkSharedKey(credential string) *http.Response {
	h := c.request.Header
	account, signature, ok := strings.Cut(credential, ":")
	if !ok || account != c.account.Name {
		return c.unauthentic("The credential names another account, or is malformed.")
	}
	date := h.Get("X-Ms-Date")
	if date == "" {
		date = h.Get("Date")
	}
	at, err := http.ParseTime(date)
	if err != nil {
		return c.unauthentic("The Date header in the request is incorrect.")
	}
	if off := time.Since(at); off > signatureTimeout || off < -signatureTimeout {
		return c.unauthentic("Request date header too old: '" + date + "'")
	}
	if c.version == "" {
		return c.refuse(http.StatusBadRequest, "MissingRequiredHeader",
			"An HTTP header that's mandatory for this request is not specified.", "HeaderName", "x-ms-version")
	}
	text := c.stringToSign()
	if !signedBy(c.account, signature, text) {
		return c.unauthentic("The MAC signature found in the HTTP request '" + signature +
			"' is not the same as any computed signature. Server used following string to sign: '" + text + "'.")
	}
	if c.account.NoSharedKey {
		return c.keysRefused()
	}
	return nil
}

// stringToSign returns the text that a request with Shared Key signs.
func (c *fileCall) stringToSign() string {
	r := c.request
	length := ""
	if r.ContentLength > 0 {
		length = fmt.Sprint(r.ContentLength)
	}
	date := r.Header.Get("Date")
	if r.Header.Get("X-Ms-Date") != "" {
		date = ""
	}
	lines := []string{r.Method, r.Header.Get("Content-Encoding"), r.Header.Get("Content-Language"), length}
	for _, name := range []string{"Content-Md5", "Content-Type"} {
		lines = append(lines, r.Header.Get(name))
	}
	lines = append(lines, date)
	for _, name := range []string{"If-Modified-Since", "If-Match", "If-None-Match", "If-Unmodified-Since", "Range"} {
		lines = append(lines, r.Header.Get(name))
	}
	// Azure sorts by the rules of a language. They differ from this order only in names that no client sends.
	for _, name := range sortedBy(r.Header, strings.ToLower) {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-ms-") {
			lines = append(lines, lower+":"+strings.TrimSpace(strings.Join(r.Header[name], ",")))
		}
	}
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	lines = append(lines, "/"+c.account.Name+path)
	for _, name := range sortedBy(c.query, strings.ToLower) {
		values := slices.Sorted(slices.Values(c.query[name]))
		lines = append(lines, strings.ToLower(name)+":"+strings.Join(values, ","))
	}
	return strings.Join(lines, "\n")
}

// checkBearer refuses tokens as the rest of the storage does. The service and shares accept none at all (recorded 2023-03).
// Directories and files accept one only from a caller that declares to make a backup.
func (c *fileCall) checkBearer() *http.Response {
	token, _ := bearer(c.request)
	who, err := c.files.storage.directory.verify(token)
	if err != nil || !storageAudience(who.Audience, c.host) {
		return c.challenge("InvalidAuthenticationInfo")
	}
	if c.operation.resource != 'o' && c.operation.name != listFilesOperation {
		return c.refuse(http.StatusConflict, "FileOAuthManagementApiRestrictedToSrp", "This API does not support bearer "+
			"tokens. For OAuth, use the Storage Resource Provider APIs instead. "+
			"Learn more: https://aka.ms/azurefiles/restapi.")
	}
	if c.request.Header.Get("X-Ms-File-Request-Intent") != "backup" {
		return c.refuse(http.StatusBadRequest, "MissingRequiredHeader",
			"An HTTP header that's mandatory for this request is not specified.", "HeaderName", "x-ms-file-request-intent")
	}
	actions := []string{"/fileshares/files/read", "/readFileBackupSemantics/action"}
	if c.request.Method != http.MethodGet && c.request.Method != http.MethodHead {
		actions = []string{"/fileshares/files/write", "/writeFileBackupSemantics/action"}
		if c.request.Method == http.MethodDelete {
			actions[0] = "/fileshares/files/delete"
		}
	}
	scope := c.account.ResourceID + "/fileServices/default/fileshares/" + c.share
	for _, action := range actions {
		if !c.files.storage.roles.allow(who.ObjectID, scope, fileServices+action) {
			return c.refuse(http.StatusForbidden, "AuthorizationPermissionMismatch",
				"This request is not authorized to perform this operation using this permission.")
		}
	}
	return nil
}

// unauthentic returns Azure's answer to a wrong signature, with the expected one.
func (c *fileCall) unauthentic(detail string) *http.Response {
	return c.refuse(http.StatusForbidden, "AuthenticationFailed", "Server failed to authenticate the request. Make sure "+
		"the value of Authorization header is formed correctly including the signature.",
		"AuthenticationErrorDetail", detail)
}

func (c *fileCall) keysRefused() *http.Response {
	return c.refuse(http.StatusForbidden, "KeyBasedAuthenticationNotPermitted",
		"Key based authentication is not permitted on this storage account.")
}

func (c *fileCall) challenge(code string) *http.Response {
	resp := c.refuse(http.StatusUnauthorized, code, "Server failed to authenticate the request. Please refer to the "+
		"information in the www-authenticate header.")
	resp.Header.Set("Www-Authenticate", fmt.Sprintf("Bearer authorization_uri=https://login.microsoftonline.com/%s/oauth2/"+
		"authorize resource_id=https://storage.azure.com", c.files.storage.directory.tenant()))
	return resp
}
