package fakeazure

import (
	"net/http"
	"strings"
)

// dataAction returns the requirement of a storage request: the scope below the account's resource ID, and the action there.
func dataAction(host string, r *http.Request) (scope, action string) {
	path := strings.Trim(r.URL.Path, "/")
	switch strings.Split(host, ".")[1] {
	case "blob":
		return blobAction(path, r)
	case "queue":
		return queueAction(path, r)
	default:
		return tableAction(path, r)
	}
}

// verb returns the plain action of an HTTP method.
func verb(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return "/read"
	case http.MethodDelete:
		return "/delete"
	default:
		return "/write"
	}
}

func blobAction(path string, r *http.Request) (scope, action string) {
	const blobs = blobServices + "/containers/blobs"
	query := r.URL.Query()
	container, blob, _ := strings.Cut(path, "/")
	scope = "/blobServices/default"
	switch query.Get("comp") {
	case "userdelegationkey":
		return scope, blobServices + "/generateUserDelegationKey/action"
	case "batch": // its parts are not read; the sender must be able to write
		return scope, blobs + "/write"
	}
	if container == "" {
		if query.Get("comp") == "list" {
			return scope, blobServices + "/containers/read"
		}
		return scope, blobServices + verb(r.Method)
	}
	scope += "/containers/" + container
	if blob == "" {
		if query.Get("comp") == "list" {
			return scope, blobs + "/read"
		}
		return scope, blobServices + "/containers" + verb(r.Method)
	}
	return scope, blobs + verb(r.Method)
}

func queueAction(path string, r *http.Request) (scope, action string) {
	const messages = queueServices + "/queues/messages"
	queue, rest, inMessages := strings.Cut(path, "/messages")
	scope = "/queueServices/default"
	if queue == "" {
		return scope, queueServices + "/queues" + verb(r.Method)
	}
	scope += "/queues/" + queue
	switch {
	case !inMessages:
		return scope, queueServices + "/queues" + verb(r.Method)
	case r.Method == http.MethodGet && r.URL.Query().Get("peekonly") != "true":
		return scope, messages + "/process/action"
	case r.Method == http.MethodPost:
		return scope, messages + "/add/action"
	case r.Method == http.MethodDelete && rest != "":
		return scope, messages + "/process/action"
	default:
		return scope, messages + verb(r.Method)
	}
}

func tableAction(path string, r *http.Request) (scope, action string) {
	const entities = tableServices + "/tables/entities"
	scope = "/tableServices/default"
	table, _, _ := strings.Cut(path, "(")
	switch {
	case path == "" || path == "Tables" || table == "Tables":
		return scope, tableServices + "/tables" + verb(r.Method)
	case path == "$batch": // its parts are not read; the sender must be able to write
		return scope, entities + "/write"
	case r.URL.Query().Get("comp") == "acl":
		return scope + "/tables/" + table, tableServices + "/tables" + verb(r.Method)
	default:
		return scope + "/tables/" + table, entities + verb(r.Method)
	}
}
