package main

import (
	"github.com/google/uuid"

	"lifeboat/internal/azure"
)

// version is what this program was built from; the Makefile gives it (-ldflags "-X main.version=…").
var version = "dev"

// options are those of all clients of Azure.
var options = azure.Options(version, uuid.NewString)
