#!/usr/bin/env bash
# Prometheus' Go library chooses the format of an answer by goautoneg, which does not know the weight "Q" in capitals: it takes the
# element for one of full weight. Names of parameters have no case (RFC 9110, 5.6.6 and 12.4.2). So a program that serves metrics by that
# library answers a scraper that likes OpenMetrics better, and says so with a capital, in the older text format. Seen with
# prometheus/common 0.74.0 and goautoneg of 2019-10-10, its newest version.
set -euo pipefail
export GOTOOLCHAIN=go1.26.8 GOFLAGS=-mod=mod GOWORK=off
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
cd "$here"
go mod init finding >/dev/null 2>&1
cat > main.go <<'GO'
package main

import (
	"fmt"
	"net/http"

	"github.com/munnerz/goautoneg"
	"github.com/prometheus/common/expfmt"
)

func main() {
	for _, accept := range []string{
		"text/plain;q=0.2, application/openmetrics-text;version=1.0.0;q=0.9",
		"text/plain;Q=0.2, application/openmetrics-text;version=1.0.0;Q=0.9",
	} {
		for _, element := range goautoneg.ParseAccept(accept) {
			fmt.Print(element.Type, "/", element.SubType, " ", float32(element.Q), "; ")
		}
		fmt.Println(expfmt.NegotiateIncludingOpenMetrics(http.Header{"Accept": {accept}}).FormatType() == expfmt.TypeOpenMetrics)
	}
}
GO
go get github.com/prometheus/common@v0.74.0 github.com/munnerz/goautoneg@v0.0.0-20191010083416-a7dc8b61c822 >/dev/null 2>&1
got=$(go run .)
want="application/openmetrics-text 0.9; text/plain 0.2; true
text/plain 1; application/openmetrics-text 1; false"
echo "$got"
[ "$got" = "$want" ] || { echo "another behaviour; expected: $want" >&2; exit 1; }
