#!/usr/bin/env bash
# Go's time.Time.ZoneBounds says of an instant on the last day of a leap year that its zone's time ended before it, where
# the zone data leave that year to their rule (the line at the end of a zone's file), as the slim data of PyPI's tzdata do.
# A program that goes from one bound to the next stands still there. Seen with Go 1.26.8 and tzdata 2026.6, in Europe/Zurich:
# the time of 2028-12-31 ends twelve hours before the instant asked about. On the last days of 2027 and 2029 it ends with the
# year, which is no change of the clocks either, but later. The name and offset that Zone says are right on all three days.
set -euo pipefail
export GOTOOLCHAIN=go1.26.8 GOFLAGS=-mod=mod GOWORK=off
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
cd "$here"
python3 -m pip download --quiet --no-deps --only-binary :all: --dest . tzdata==2026.6
python3 -m zipfile -e tzdata-2026.6-*.whl zones
go mod init finding >/dev/null 2>&1
cat > main.go <<'GO'
package main

import (
	"fmt"
	"os"
	"time"
)

func main() {
	data, err := os.ReadFile("zones/tzdata/zoneinfo/Europe/Zurich")
	if err != nil {
		panic(err)
	}
	zone, err := time.LoadLocationFromTZData("Europe/Zurich", data)
	if err != nil {
		panic(err)
	}
	for _, year := range []int{2027, 2028, 2029} {
		at := time.Date(year, 12, 31, 12, 0, 0, 0, time.UTC).In(zone)
		_, end := at.ZoneBounds()
		name, offset := at.Zone()
		fmt.Println(at.Format(time.DateOnly), name, offset, "ends", end.UTC().Format(time.RFC3339), "later:", end.After(at))
	}
}
GO
go version
said=$(go run .)
printf '%s\n' "$said"
[ "$said" = "2027-12-31 CET 3600 ends 2028-01-01T00:00:00Z later: true
2028-12-31 CET 3600 ends 2028-12-31T00:00:00Z later: false
2029-12-31 CET 3600 ends 2030-01-01T00:00:00Z later: true" ] || { echo "the behaviour has changed" >&2; exit 1; }
