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

// refusal is a no of Azure Table Storage, in its own words.
type refusal struct {
	status  int
	code    aztables.TableErrorCode
	message string
	// request is the x-ms-client-request-id.
	request string
	// index of the operation that failed, -1 where Azure did not say.
	index int
}

func (r *refusal) Error() string {
	return fmt.Sprintf("answer %d %s of Azure Table Storage: %s", r.status, r.code, azure.Scrub(r.message)) +
		azure.Asked(r.request)
}

// Unwrap makes the codes that tell of a row's state the errors of [backup.Catalog].
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

// codeOf is Azure's error code, "" for an error that is not a refusal.
func codeOf(err error) aztables.TableErrorCode {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.code
	}
	return ""
}

// asRefusal reads what the SDK's error holds. A failed transaction has the status 202, and its code only inside the
// batch that answers (aztables, seen 2026-11). The SDK's own text is left out: it is a page, with URLs in it.
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
	// "0:The specified entity already exists.\nRequestId:…\nTime:…": the index stands in front in a transaction alone.
	r.message, _, _ = strings.Cut(r.message, "\n")
	if index, message, found := strings.Cut(r.message, ":"); found {
		if n, err := strconv.Atoi(index); err == nil {
			r.index, r.message = n, message
		}
	}
	return r
}
