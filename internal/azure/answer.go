package azure

import (
	"cmp"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
)

// Body is the content of a response, in whichever of Azure's forms it came.
type Body struct {
	// State is the state of the operation, or of the service, if the response has one.
	State string
	// Status is the operation's own word for its state, if the response is about the operation.
	Status string
	// SKU is the tier of the service in the response.
	SKU string
	// Created is the time at which the service in the response was created; zero if it does not say.
	Created time.Time
	// Code and Message describe the error, if the response has one.
	Code, Message string
	// RequestID is the ID of the request, as [RequestID] returns it.
	RequestID string
}

// ReadBody reads a response of Resource Manager (JSON, with or without an outer "error", details inside) or of the storage
// (XML), and makes its words fit to be kept. The body can be read again afterwards.
func ReadBody(answer *http.Response) Body {
	said := readBody(answer)
	said.RequestID = RequestID(answer)
	said.State, said.SKU, said.Code, said.Message = Scrub(said.State), Scrub(said.SKU), Scrub(said.Code), Scrub(said.Message)
	return said
}

func readBody(answer *http.Response) Body {
	raw, err := runtime.Payload(answer)
	text := strings.TrimPrefix(strings.TrimSpace(string(raw)), "\ufeff")
	switch {
	case err != nil || text == "":
		return Body{}
	case strings.HasPrefix(text, "{"):
		return readJSON(text)
	}
	var fault struct {
		XMLName xml.Name `xml:"Error"`
		Code    string
		Message string
	}
	if xml.Unmarshal([]byte(text), &fault) == nil {
		// After its first line, a storage message repeats the request's ID and time.
		message, _, _ := strings.Cut(fault.Message, "\n")
		return Body{Code: fault.Code, Message: strings.TrimSpace(message)}
	}
	if is, named := pageTitle(text); is { // from a proxy, or from Resource Manager itself (503, recorded 2022-02)
		return Body{Message: strings.TrimSuffix(status(answer)+": "+named, ": ")}
	}
	return Body{Message: text}
}

// armError is the error of Resource Manager's common types.
type armError struct {
	Code    string     `json:"code"`
	Message string     `json:"message"`
	Details []armError `json:"details"`
}

func readJSON(text string) Body {
	var said struct {
		armError
		Error  *armError `json:"error"`
		Status any       `json:"status"` // text in an operation's status, elsewhere a number
		SKU    struct {
			Name string `json:"name"`
		} `json:"sku"`
		Properties struct {
			ProvisioningState string `json:"provisioningState"`
			CreatedAtUTC      string `json:"createdAtUtc"`
		} `json:"properties"`
	}
	if json.Unmarshal([]byte(text), &said) != nil {
		return Body{Message: text}
	}
	status, _ := said.Status.(string)
	fault := cmp.Or(said.Error, &said.armError)
	created, _ := time.Parse(time.RFC3339, said.Properties.CreatedAtUTC)
	return Body{
		State: cmp.Or(status, said.Properties.ProvisioningState), Status: status, SKU: said.SKU.Name, Created: created.UTC().Truncate(time.Second),
		Code: fault.Code, Message: fault.words(),
	}
}

// words returns the message and the messages of the details, which often give the reason.
func (e armError) words() string {
	words := e.Message
	for _, d := range e.Details {
		if more := d.words(); more != "" && !strings.Contains(words, more) {
			words = strings.TrimSpace(words + " " + more)
		}
	}
	return words
}

// RetryAfter returns the wait that a response asks for, or 0 if it asks for none. The wait may be in whole seconds, as from
// API Management, in milliseconds, or a date. RetryAfter compares a date with the response's own date, not with the local
// clock.
func RetryAfter(answer *http.Response) time.Duration {
	for _, name := range []string{"Retry-After-Ms", "X-Ms-Retry-After-Ms"} {
		if n, err := strconv.ParseInt(answer.Header.Get(name), 10, 32); err == nil && n > 0 {
			return time.Duration(n) * time.Millisecond
		}
	}
	after := answer.Header.Get("Retry-After")
	if n, err := strconv.ParseInt(after, 10, 32); err == nil && n > 0 {
		return time.Duration(n) * time.Second
	}
	until, err := http.ParseTime(after)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(answer.Header.Get("Date"))
	if err != nil {
		return 0
	}
	return max(0, until.Sub(now))
}

// status returns the response's status as people know it: "403 Forbidden".
func status(answer *http.Response) string {
	return fmt.Sprintf("%d %s", answer.StatusCode, http.StatusText(answer.StatusCode))
}
