package main

import (
	"github.com/google/uuid"

	"lifeboat/internal/azure"
	"lifeboat/internal/config"
	"lifeboat/internal/engine"
	"lifeboat/internal/services"
	"lifeboat/internal/storage"
)

// version is the version of the source of this program; the Makefile sets it (-ldflags "-X main.version=…").
var version = "dev"

// options are the options of all clients of Azure.
var options = azure.Options(version, uuid.NewString)

// known are the services that Lifeboat backs up.
var known = services.All()

// look makes an engine that can only read the services, as the app's identity or as the signed-in user.
func look(getenv func(string) string) (*engine.Engine, error) {
	cloud, err := azure.NamedCloud(getenv(azure.CloudSetting))
	if err != nil {
		return nil, err
	}
	options := options
	options.Cloud = cloud.Configuration
	credential, err := storage.Credential(getenv, options)
	return &engine.Engine{Services: known.Known(), Providers: known.Providers(credential, options, 1)}, err
}

// planBlob opens the plan.yaml at the URL, as the app's identity or as the signed-in user.
func planBlob(getenv func(string) string, location string) (*config.PlanBlob, error) {
	cloud, err := azure.NamedCloud(getenv(azure.CloudSetting))
	if err != nil {
		return nil, err
	}
	options := options
	options.Cloud = cloud.Configuration
	credential, err := storage.Credential(getenv, options)
	if err != nil {
		return nil, err
	}
	return config.NewPlanBlob(location, credential, options)
}
