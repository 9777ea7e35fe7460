package table

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// refusal is an error of Azure Table Storage, with Azure's own text.
type refusal struct {
	status  int
	code    aztables.TableErrorCode
	message string
	// request is the x-ms-client-request-id.
	request string
	// index is the number of the operation that failed, or -1 if Azure did not name it.
	index int
}

func (r *refusal) Error() string {
	return r.Answer() + ": " + azure.Scrub(r.message) + azure.Asked(r.request)
}

// Answer returns Azure's answer without its words, for anybody.
func (r *refusal) Answer() string {
	return fmt.Sprintf("answer %d %s of Azure Table Storage", r.status, r.code)
}

// Unwrap translates the codes about a row's state to the errors of [backup.Catalog].
func (r *refusal) Unwrap() error {
	switch r.code {
	case aztables.EntityAlreadyExists:
		return backup.ErrExists
	case aztables.UpdateConditionNotSatisfied:
		return backup.ErrChanged
	case aztables.ResourceNotFound, aztables.EntityNotFound:
		return backup.ErrNotFound
	}
	return nil
}

// codeOf returns Azure's error code, or "" for an error that is not a refusal.
func codeOf(err error) aztables.TableErrorCode {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.code
	}
	return ""
}

// asRefusal reads the SDK's error. A failed transaction has the status 202, and its code only inside the batch response
// (aztables, seen 2026-11). It leaves out the SDK's own text, which is a page with URLs.
func asRefusal(err error) error {
	response, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok {
		return err
	}
	r := &refusal{status: response.StatusCode, code: aztables.TableErrorCode(response.ErrorCode), index: -1}
	if response.RawResponse == nil {
		return r
	}
	r.request = azure.RequestID(response.RawResponse)
	text, err := runtime.Payload(response.RawResponse)
	if err != nil {
		return fmt.Errorf("read a refusal of Azure Table Storage: %w", err)
	}
	if answers, err := parseBatch(text); err == nil && len(answers) > 0 {
		failed := answers[len(answers)-1]
		r.status, text = failed.status, failed.body
	}
	var body struct {
		Error struct {
			Code    aztables.TableErrorCode
			Message struct{ Value string }
		} `json:"odata.error"`
	}
	if json.Unmarshal(text, &body) == nil && body.Error.Code != "" {
		r.code, r.message = body.Error.Code, body.Error.Message.Value
	}
	// The message is "0:The specified entity already exists.\nRequestId:…\nTime:…". Only a transaction's message begins with
	// the index.
	r.message, _, _ = strings.Cut(r.message, "\n")
	if index, message, found := strings.Cut(r.message, ":"); found {
		if n, err := strconv.Atoi(index); err == nil {
			r.index, r.message = n, message
		}
	}
	return r
}
