package fakeazure

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// leastSAS is the least time for which a SAS must be valid from the call on, by the API's description.
const leastSAS = 24 * time.Hour

// hsmStorage is the place of a backup in a request's body.
type hsmStorage struct {
	StorageResourceURI string `json:"storageResourceUri"`
	Token              string `json:"token"`
	UseManagedIdentity *bool  `json:"useManagedIdentity"`
	// sas are the fields of the token, once it was parsed.
	sas url.Values
}

// restoreParameters is the body of the three restores; each has its own name for the folder.
type restoreParameters struct {
	SASTokenParameters *hsmStorage `json:"sasTokenParameters"`
	FolderToRestore    string      `json:"folderToRestore"`
	Folder             string      `json:"folder"`
}

// readJSON reads a body that is one object of known members.
func readJSON(r *http.Request, into any) error {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/json" {
		return fmt.Errorf("the content type '%s' is not supported", mediaType)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, bodyLimit+1))
	if err != nil || len(body) > bodyLimit {
		return errors.New("the body is too long")
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("the body is malformed: %w", err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return errors.New("the body is malformed: additional text after the object")
	}
	return nil
}

func badRequest(message string) *http.Response {
	return jobError(http.StatusBadRequest, "BadRequest", message)
}

// parseHSMBackup reads and checks the body of POST backup and prebackup.
func parseHSMBackup(c *hsmCall) (hsmStorage, *http.Response) {
	var p hsmStorage
	if err := readJSON(c.request, &p); err != nil {
		return p, badRequest(err.Error())
	}
	return p, p.check(c.version)
}

// parseRestore reads and checks the body of a restore and returns the folder with it.
func parseRestore(c *hsmCall) (hsmStorage, string, *http.Response) {
	var p restoreParameters
	if err := readJSON(c.request, &p); err != nil {
		return hsmStorage{}, "", badRequest(err.Error())
	}
	folder, wrong, name := p.FolderToRestore, p.Folder, "folderToRestore"
	if c.key != "" {
		folder, wrong, name = p.Folder, p.FolderToRestore, "folder"
	}
	switch {
	case p.SASTokenParameters == nil:
		return hsmStorage{}, "", badRequest("the body lacks sasTokenParameters")
	case folder == "" || wrong != "" || strings.Trim(folder, "/") != folder:
		return hsmStorage{}, "", badRequest("the folder belongs into " + name + ", without slashes around it")
	}
	return *p.SASTokenParameters, folder, p.SASTokenParameters.check(c.version)
}

// check checks each member by itself.
func (p hsmStorage) check(version string) *http.Response {
	identity := p.identity()
	switch {
	case p.StorageResourceURI == "":
		return badRequest("the body lacks storageResourceUri")
	case p.UseManagedIdentity != nil && !since(version, firstWithManagedIdentity):
		return badRequest("useManagedIdentity is unknown to version " + version)
	case !identity && p.Token == "":
		return badRequest("the body lacks a token, and useManagedIdentity")
	case identity && p.Token != "":
		return badRequest("token and useManagedIdentity exclude each other")
	}
	return nil
}

func (p hsmStorage) identity() bool { return p.UseManagedIdentity != nil && *p.UseManagedIdentity }

// containerURI matches the address of a container.
var containerURI = regexp.MustCompile(`^https://([a-z0-9]{3,24})\.blob\.core\.windows\.net/([^/?#]+)/?$`)

// malformedSAS returns the error text for an unreadable SAS: recorded 2020 to 2022 for one without expiry.
func malformedSAS(field string) string {
	return "The customer provided SAS token is malformed. The SAS token does not contain the " + field + " field"
}

// readSAS returns the fields of the SAS, and the error in its form, "" if there is none.
func (p hsmStorage) readSAS(k HSMOptions, now time.Time) (url.Values, string) {
	fields, err := url.ParseQuery(strings.TrimPrefix(p.Token, "?"))
	if err != nil {
		return nil, malformedSAS("expiry")
	}
	expiry, err := sasTime(fields.Get("se"))
	if err != nil {
		return nil, malformedSAS("expiry")
	}
	for _, field := range []struct{ name, member string }{
		{"version", "sv"}, {"permissions", "sp"}, {"signature", "sig"},
	} {
		if fields.Get(field.member) == "" {
			return nil, malformedSAS(field.name)
		}
	}
	if k.ShortSAS == RefuseShortSAS && expiry.Before(now.Add(leastSAS)) {
		return nil, "The customer provided SAS token expires in less than 24 hours"
	}
	return fields, ""
}

// sasTime parses the forms of time in a SAS.
func sasTime(text string) (at time.Time, err error) {
	for _, form := range []string{time.RFC3339, "2006-01-02T15:04Z", "2006-01-02"} {
		if at, err = time.Parse(form, text); err == nil {
			return at, nil
		}
	}
	return at, err
}

// grants tells whether a SAS is for the container as a whole and gives all of the permissions. The storage checks its
// signature and expiry.
func grants(sas url.Values, permissions string) bool {
	wide := sas.Get("sr") == "c"
	if !sas.Has("sr") { // a SAS of an account
		wide = strings.Contains(sas.Get("ss"), "b") && strings.Contains(sas.Get("srt"), "c") &&
			strings.Contains(sas.Get("srt"), "o")
	}
	return wide && !slices.ContainsFunc([]byte(permissions), func(p byte) bool {
		return !strings.ContainsRune(sas.Get("sp"), rune(p))
	})
}
