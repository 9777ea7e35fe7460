#!/usr/bin/env bash
# cyclonedx-gomod makes the SBOM of a program from its binary, and writes the operating system and the processor of the machine that it runs
# on into the package URL of each module, in place of those that the binary was built for. The binary itself says them, as its build
# settings GOOS and GOARCH. So the SBOM of a release for Windows that was made on Linux says Linux in every line, and a scanner that goes by
# the qualifiers looks for advisories about the wrong system. With GOOS and GOARCH in the environment it takes those. Short package URLs
# have no qualifiers. Seen with cyclonedx-gomod 1.10.0.
set -euo pipefail
export GOTOOLCHAIN=go1.26.8 GOFLAGS=-mod=mod GOWORK=off CGO_ENABLED=0
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
cd "$here"
go mod init example.com/finding >/dev/null 2>&1
cat > main.go <<'GO'
package main

import "github.com/google/uuid"

func main() { println(uuid.NewString()) }
GO
go get github.com/google/uuid@v1.6.0 >/dev/null 2>&1
GOOS=windows GOARCH=arm64 go build -o program.exe .
go version -m program.exe | grep -E 'GOOS|GOARCH' | tr -d '\t' | sort
GOBIN="$here" go install github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0 >/dev/null 2>&1
purls() { "$here/cyclonedx-gomod" bin -json -noserial -notimestamp program.exe 2>/dev/null | grep -o 'pkg:golang/github.com/google/uuid[^"]*' | sed 's/\\u0026/\&/g' | grep goarch | sort -u; }
got="$(purls)
$(GOOS=windows GOARCH=arm64 purls)"
echo "$got"
want="pkg:golang/github.com/google/uuid@v1.6.0?goarch=$(go env GOHOSTARCH)&goos=$(go env GOHOSTOS)&type=module
pkg:golang/github.com/google/uuid@v1.6.0?goarch=arm64&goos=windows&type=module"
[ "$got" = "$want" ] || { echo "another behaviour; expected: $want" >&2; exit 1; }
