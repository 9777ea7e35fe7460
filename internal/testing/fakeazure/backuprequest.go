package fakeazure

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// These are the access types of ApiManagementServiceBackupRestoreParameters; the first is the default.
const (
	accessKeyType      = "AccessKey"
	systemAssignedType = "SystemAssignedManagedIdentity"
	userAssignedType   = "UserAssignedManagedIdentity"
)

// bodyLimit is Resource Manager's size limit of a request.
const bodyLimit = 4 << 20

var (
	accountName   = regexp.MustCompile(`^[a-z0-9]{3,24}$`)
	containerName = regexp.MustCompile(`^[a-z0-9](-?[a-z0-9])+$`)
)

// backupParameters is the body of POST backup and of POST restore.
type backupParameters struct {
	StorageAccount string `json:"storageAccount"`
	ContainerName  string `json:"containerName"`
	BackupName     string `json:"backupName"`
	AccessType     string `json:"accessType"`
	AccessKey      string `json:"accessKey"`
	ClientID       string `json:"clientId"`
}

// parseBackup reads and checks the body. It returns API Management's refusal if the body itself is wrong.
func parseBackup(r *http.Request) (backupParameters, *http.Response) {
	var p backupParameters
	if refusal := readContent(r, &p); refusal != nil {
		return p, refusal
	}
	if p.AccessType == "" {
		p.AccessType = accessKeyType
	}
	if wrong := p.wrong(); wrong != nil {
		return p, wrong.refusal()
	}
	return p, nil
}

// readContent reads a body that is one JSON object of known fields, or returns API Management's refusal.
func readContent(r *http.Request, into any) *http.Response {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/json" {
		return serviceError(http.StatusUnsupportedMediaType, "UnsupportedMediaType",
			"The content media type '"+mediaType+"' is not supported. Only 'application/json' is supported.")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, bodyLimit+1))
	if err != nil || len(body) > bodyLimit {
		return serviceError(http.StatusRequestEntityTooLarge, "RequestContentTooLarge",
			"The request content size exceeds the maximum size of 4 MB.")
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return invalidContent(err.Error())
	}
	if _, err := decoder.Token(); err != io.EOF {
		return invalidContent("additional text after the object")
	}
	return nil
}

func invalidContent(why string) *http.Response {
	return serviceError(http.StatusBadRequest, "InvalidRequestContent",
		"The request content was invalid and could not be deserialized: '"+why+"'.")
}

// fieldErrors are API Management's errors about fields of a body.
type fieldErrors []map[string]string

func (e *fieldErrors) add(target, message string) {
	*e = append(*e, map[string]string{"code": "ValidationError", "target": target, "message": message})
}

func (e fieldErrors) refusal() *http.Response {
	return armJSON(http.StatusBadRequest, map[string]any{"error": map[string]any{
		"code": "ValidationError", "message": "One or more fields contain incorrect values:",
		"details": e, "innerError": nil,
	}})
}

// wrong returns one detail for each wrong field.
func (p backupParameters) wrong() (e fieldErrors) {
	if !accountName.MatchString(p.StorageAccount) {
		e.add("storageAccount", "Required: the name of a storage account, 3 to 24 lower-case letters and digits.")
	}
	if !containerName.MatchString(p.ContainerName) || len(p.ContainerName) < 3 || len(p.ContainerName) > 63 {
		e.add("containerName", "Required: 3 to 63 lower-case letters, digits and single hyphens.")
	}
	if !validBlobName(p.BackupName) {
		e.add("backupName", "Required: a blob name of 1 to 1024 characters, not ending in a dot or slash.")
	}
	if !slices.Contains([]string{accessKeyType, systemAssignedType, userAssignedType}, p.AccessType) {
		e.add("accessType", fmt.Sprintf("Unknown access type '%s'.", p.AccessType))
	}
	if (p.AccessType == accessKeyType) != (p.AccessKey != "") {
		e.add("accessKey", "Required with access type AccessKey, and only with it.")
	}
	if (p.AccessType == userAssignedType) != (p.ClientID != "") {
		e.add("clientId", "Required with access type UserAssignedManagedIdentity, and only with it.")
	}
	return e
}

// validBlobName applies the rules of the Blob service.
func validBlobName(name string) bool {
	return name != "" && len([]rune(name)) <= 1024 && strings.Count(name, "/") < 254 &&
		!strings.HasSuffix(name, ".") && !strings.HasSuffix(name, "/") && !strings.ContainsFunc(name, func(r rune) bool {
		return r < ' ' || r == 0x7f || r == '\\'
	})
}
