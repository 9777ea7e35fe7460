package handler

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"lifeboat/internal/backup"
)

// cut is the part of a target's list that a caller wants, newest first: ?target=resource ID, &top=1 to 100 (20), &after=ID
// of the last one seen.
type cut struct {
	target, after string
	top           int
}

// page is a part of a list. NextLink is the address of the next part, "" at the end.
type page[T any] struct {
	Value    []T    `json:"value"`
	NextLink string `json:"nextLink,omitempty"`
}

func readCut(r *http.Request) (cut, error) {
	query := r.URL.Query()
	c := cut{target: strings.TrimSuffix(query.Get("target"), "/"), after: query.Get("after"), top: 20}
	if _, err := backup.ParseResource(c.target); err != nil {
		return c, refuse(http.StatusBadRequest, "InvalidTarget", "target", "%v", err)
	}
	if text := query.Get("top"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 100 {
			return c, refuse(http.StatusBadRequest, "InvalidTop", "top", "%q is not a number from 1 to 100", text)
		}
		c.top = n
	}
	return c, nil
}

// nextLink returns the address of the same list, after the entry with the ID.
func (h *handler) nextLink(r *http.Request, c cut, after string) string {
	if after == "" {
		return ""
	}
	return h.origin(r) + r.URL.Path + "?" + url.Values{
		"target": {c.target}, "top": {strconv.Itoa(c.top)}, "after": {after},
	}.Encode()
}
