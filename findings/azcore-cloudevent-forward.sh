#!/usr/bin/env bash
# Azure's Go SDK changes the form of a CloudEvent that it forwards. messaging.CloudEvent of azcore reads the member "data" of an event as
# bytes, and writes bytes as "data_base64": so an event with JSON data leaves a program that only read it and sent it on with the data in
# base64. The event is valid all the same (CloudEvents 1.0, JSON format, 3.1), but a reader that knows only "data" finds none, and a
# filter of Event Grid on data.… matches no more. A program must unmarshal Data itself before it sends the event. The SDK's client of
# Event Grid, azeventgrid, sends this type. Seen with azcore 1.24.0.
set -euo pipefail
export GOTOOLCHAIN=go1.26.8 GOFLAGS=-mod=mod GOWORK=off
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
cd "$here"
go mod init finding >/dev/null 2>&1
cat > main.go <<'GO'
package main

import (
	"encoding/json"
	"fmt"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/messaging"
)

func main() {
	const came = `{"specversion":"1.0","id":"1","source":"/orders","type":"order.made","datacontenttype":"application/json","data":{"total":7}}`
	var event messaging.CloudEvent
	if err := json.Unmarshal([]byte(came), &event); err != nil {
		panic(err)
	}
	forwarded, err := json.Marshal(event)
	if err != nil {
		panic(err)
	}
	var members map[string]any
	if err := json.Unmarshal(forwarded, &members); err != nil {
		panic(err)
	}
	fmt.Println("forwarded:", members["data"], members["data_base64"])
	var data any
	if err := json.Unmarshal(event.Data.([]byte), &data); err != nil {
		panic(err)
	}
	event.Data = data
	mended, _ := json.Marshal(event)
	members = nil
	_ = json.Unmarshal(mended, &members)
	fmt.Println("with its data unmarshaled first:", members["data"], members["data_base64"])
}
GO
go get github.com/Azure/azure-sdk-for-go/sdk/azcore@v1.24.0 >/dev/null 2>&1
got=$(go run .)
want="forwarded: <nil> eyJ0b3RhbCI6N30=
with its data unmarshaled first: map[total:7] <nil>"
echo "$got"
[ "$got" = "$want" ] || { echo "another behaviour; expected: $want" >&2; exit 1; }
