package fakeazure

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// newestStorageVersion is the newest version of the storage services that an official client requests (2026-11). The oldest is
// the one that introduced the account SAS.
const (
	oldestStorageVersion = "2015-04-05"
	newestStorageVersion = "2026-10-06"
	// versionWithScopes is the first version that signs an encryption scope too.
	versionWithScopes = "2020-12-06"
)

// storageVersion tells whether a version of the storage services may exist.
func storageVersion(text string) bool {
	_, err := time.Parse(time.DateOnly, text)
	return err == nil && text >= oldestStorageVersion && text <= newestStorageVersion
}

// sign returns Azure's signature: HMAC-SHA256 with the account's key.
func sign(a StorageAccount, text string) []byte {
	key, err := base64.StdEncoding.DecodeString(a.Key)
	if err != nil {
		return nil // an invalid key signs nothing
	}
	code := hmac.New(sha256.New, key)
	code.Write([]byte(text))
	return code.Sum(nil)
}

// signedBy tells whether the account's key made the signature.
func signedBy(a StorageAccount, signature, text string) bool {
	got, err := base64.StdEncoding.DecodeString(signature)
	want := sign(a, text)
	return err == nil && want != nil && hmac.Equal(got, want)
}

// checkSAS refuses a request if its SAS does not allow it. It checks the form of the SAS first, then the signature, then the
// purpose.
func (c *fileCall) checkSAS() *http.Response {
	q := c.query
	for _, name := range sortedBy(q, strings.ToLower) {
		if len(q[name]) > 1 && sasFields[name] {
			return c.unauthentic("Signature fields not well formed.")
		}
	}
	if !storageVersion(q.Get("sv")) {
		return c.unauthentic("sv is not a version of the service: '" + q.Get("sv") + "'")
	}
	for _, name := range []string{"sp", "se"} {
		if q.Get(name) == "" {
			return c.unauthentic(name + " is mandatory. Cannot be empty")
		}
	}
	text, detail := c.accountSAS()
	if !q.Has("srt") && !q.Has("ss") {
		text, detail = c.serviceSAS()
	}
	if detail != "" {
		return c.unauthentic(detail)
	}
	if !signedBy(c.account, q.Get("sig"), text) {
		return c.unauthentic("Signature did not match. String to sign used was " + text)
	}
	if refusal := c.checkTime(); refusal != nil {
		return refusal
	}
	if c.account.NoSharedKey {
		return c.keysRefused()
	}
	if !c.fromPermittedAddress() {
		return c.refuse(http.StatusForbidden, "AuthorizationSourceIPMismatch",
			"This request is not authorized to perform this operation using this source IP "+c.address+".")
	}
	return c.checkScope()
}

// sasFields are the parameters of a SAS; they are no part of the request itself.
var sasFields = map[string]bool{
	"sv": true, "ss": true, "srt": true, "sp": true, "se": true, "st": true, "spr": true, "sip": true, "ses": true,
	"sig": true, "sr": true, "si": true, "rscc": true, "rscd": true, "rsce": true, "rscl": true, "rsct": true,
	"skoid": true, "sktid": true, "skt": true, "ske": true, "sks": true, "skv": true, "sduoid": true, "skdutid": true,
}

// accountSAS returns the text that the signature of an account SAS signs.
func (c *fileCall) accountSAS() (text, detail string) {
	q := c.query
	for _, field := range []struct{ name, letters string }{
		{"ss", "bqtf"}, {"srt", "sco"}, {"sp", "rwdlacupitfxy"},
	} {
		if !letters(q.Get(field.name), field.letters) {
			return "", field.name + " is not valid: '" + q.Get(field.name) + "'"
		}
	}
	if p := q.Get("spr"); p != "" && p != "https" && p != "https,http" {
		return "", "spr is not valid: '" + p + "'"
	}
	parts := []string{
		c.account.Name, q.Get("sp"), q.Get("ss"), q.Get("srt"), q.Get("st"), q.Get("se"), q.Get("sip"), q.Get("spr"),
		q.Get("sv"),
	}
	if q.Get("sv") >= versionWithScopes {
		parts = append(parts, q.Get("ses"))
	}
	return strings.Join(parts, "\n") + "\n", ""
}

// letters tells whether a field consists of some of the letters, each once.
func letters(field, of string) bool {
	for i, r := range field {
		if !strings.ContainsRune(of, r) || strings.ContainsRune(field[:i], r) {
			return false
		}
	}
	return field != ""
}

// serviceSAS returns the text that the signature of a SAS for one share or file signs, with the account's key.
func (c *fileCall) serviceSAS() (text, detail string) {
	q := c.query
	resource := "/file/" + c.account.Name + "/" + c.share
	switch q.Get("sr") {
	case "s":
	case "f":
		resource += "/" + strings.Join(c.path, "/")
	default:
		return "", "sr is mandatory. Cannot be empty"
	}
	if q.Has("skoid") || q.Has("si") {
		return "", "Signatures of user delegation keys and of stored policies are not known here."
	}
	parts := []string{
		q.Get("sp"), q.Get("st"), q.Get("se"), resource, "", q.Get("sip"), q.Get("spr"), q.Get("sv"),
		q.Get("rscc"), q.Get("rscd"), q.Get("rsce"), q.Get("rscl"), q.Get("rsct"),
	}
	return strings.Join(parts, "\n"), ""
}

// checkTime refuses a SAS before its start and from its end on.
func (c *fileCall) checkTime() *http.Response {
	now := time.Now().UTC()
	end, err := sasTime(c.query.Get("se"))
	if err != nil {
		return c.unauthentic("se is not a time: '" + c.query.Get("se") + "'")
	}
	var start time.Time
	if text := c.query.Get("st"); text != "" {
		if start, err = sasTime(text); err != nil {
			return c.unauthentic("st is not a time: '" + text + "'")
		}
	}
	if now.Before(start) || !now.Before(end) {
		return c.unauthentic(fmt.Sprintf("Signature not valid in the specified time frame: Start [%s] - Expiry [%s] - "+
			"Current [%s]", start.Format(http.TimeFormat), end.UTC().Format(http.TimeFormat), now.Format(http.TimeFormat)))
	}
	return nil
}

// fromPermittedAddress compares the caller's address with the range of the SAS, if it has one.
func (c *fileCall) fromPermittedAddress() bool {
	text := c.query.Get("sip")
	if text == "" {
		return true
	}
	from, to, both := strings.Cut(text, "-")
	if !both {
		to = from
	}
	first, err1 := netip.ParseAddr(from)
	last, err2 := netip.ParseAddr(to)
	caller, err3 := netip.ParseAddr(c.address)
	return err1 == nil && err2 == nil && err3 == nil && caller.Compare(first) >= 0 && caller.Compare(last) <= 0
}

// checkScope tells whether the SAS is for this service, this type of resource and this operation.
func (c *fileCall) checkScope() *http.Response {
	q, op := c.query, c.operation
	switch {
	case q.Has("sr"):
		if op.resource != 'o' && op.name != listFilesOperation {
			return c.refuse(http.StatusForbidden, "AuthorizationFailure",
				"This request is not authorized to perform this operation.")
		}
	case !strings.Contains(q.Get("ss"), "f"):
		return c.refuse(http.StatusForbidden, "AuthorizationServiceMismatch",
			"This request is not authorized to perform this operation using this service.")
	case !strings.ContainsRune(q.Get("srt"), op.resource):
		return c.refuse(http.StatusForbidden, "AuthorizationResourceTypeMismatch",
			"This request is not authorized to perform this operation using this resource type.")
	}
	if !strings.ContainsAny(q.Get("sp"), op.permissions) {
		return c.refuse(http.StatusForbidden, "AuthorizationPermissionMismatch",
			"This request is not authorized to perform this operation using this permission.")
	}
	return nil
}

// withoutSAS returns a query without the parameters of a SAS.
func withoutSAS(q url.Values) url.Values {
	rest := url.Values{}
	for name, values := range q {
		if !sasFields[name] {
			rest[name] = values
		}
	}
	return rest
}
