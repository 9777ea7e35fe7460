package sim

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

// The access types of ApiManagementServiceBackupRestoreParameters; the first is the default.
const (
	accessKeyType      = "AccessKey"
	systemAssignedType = "SystemAssignedManagedIdentity"
	userAssignedType   = "UserAssignedManagedIdentity"
)

// bodyLimit is Resource Manager's limit of a request.
const bodyLimit = 4 << 20

var (
	accountName   = regexp.MustCompile(`^[a-z0-9]{3,24}$`)
	containerName = regexp.MustCompile(`^[a-z0-9](-?[a-z0-9])+$`)
)

// backupParameters is the body of POST backup.
type backupParameters struct {
	StorageAccount string `json:"storageAccount"`
	ContainerName  string `json:"containerName"`
	BackupName     string `json:"backupName"`
	AccessType     string `json:"accessType"`
	AccessKey      string `json:"accessKey"`
	ClientID       string `json:"clientId"`
}

// parseBackup reads and checks the body; a refusal is API Management's answer to a body that is wrong in itself.
func parseBackup(r *http.Request) (backupParameters, *http.Response) {
	var p backupParameters
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/json" {
		return p, serviceError(http.StatusUnsupportedMediaType, "UnsupportedMediaType",
			"The content media type '"+mediaType+"' is not supported. Only 'application/json' is supported.")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, bodyLimit+1))
	if err != nil || len(body) > bodyLimit {
		return p, serviceError(http.StatusRequestEntityTooLarge, "RequestContentTooLarge",
			"The request content size exceeds the maximum size of 4 MB.")
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil {
		return p, serviceError(http.StatusBadRequest, "InvalidRequestContent",
			"The request content was invalid and could not be deserialized: '"+err.Error()+"'.")
	}
	if _, err := decoder.Token(); err != io.EOF {
		return p, serviceError(http.StatusBadRequest, "InvalidRequestContent",
			"The request content was invalid and could not be deserialized: 'additional text after the object'.")
	}
	if p.AccessType == "" {
		p.AccessType = accessKeyType
	}
	if details := p.check(); details != nil {
		return p, armJSON(http.StatusBadRequest, map[string]any{"error": map[string]any{
			"code": "ValidationError", "message": "One or more fields contain incorrect values:",
			"details": details, "innerError": nil,
		}})
	}
	return p, nil
}

// check returns one detail per wrong field.
func (p backupParameters) check() []map[string]string {
	var details []map[string]string
	wrong := func(target, message string) {
		details = append(details, map[string]string{"code": "ValidationError", "target": target, "message": message})
	}
	if !accountName.MatchString(p.StorageAccount) {
		wrong("storageAccount", "Required: the name of a storage account, 3 to 24 lower-case letters and digits.")
	}
	if !containerName.MatchString(p.ContainerName) || len(p.ContainerName) < 3 || len(p.ContainerName) > 63 {
		wrong("containerName", "Required: 3 to 63 lower-case letters, digits and single hyphens.")
	}
	if !validBlobName(p.BackupName) {
		wrong("backupName", "Required: a blob name of 1 to 1024 characters, not ending in a dot or slash.")
	}
	if !slices.Contains([]string{accessKeyType, systemAssignedType, userAssignedType}, p.AccessType) {
		wrong("accessType", fmt.Sprintf("Unknown access type '%s'.", p.AccessType))
	}
	if (p.AccessType == accessKeyType) != (p.AccessKey != "") {
		wrong("accessKey", "Required with access type AccessKey, and only with it.")
	}
	if (p.AccessType == userAssignedType) != (p.ClientID != "") {
		wrong("clientId", "Required with access type UserAssignedManagedIdentity, and only with it.")
	}
	return details
}

// validBlobName applies the rules of the Blob service.
func validBlobName(name string) bool {
	return name != "" && len([]rune(name)) <= 1024 && strings.Count(name, "/") < 254 &&
		!strings.HasSuffix(name, ".") && !strings.HasSuffix(name, "/") && !strings.ContainsFunc(name, func(r rune) bool {
		return r < ' ' || r == 0x7f || r == '\\'
	})
}
