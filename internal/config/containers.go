package config

import (
	"strings"

	"go.yaml.in/yaml/v4"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
	"lifeboat/internal/pattern"
)

// containers are the targets of a file, by the containers that a name with [backup.TargetName] gives them.
type containers struct {
	*reader
	of map[string]*yaml.Node
}

// add checks the containers that such a name gives the plan's targets, and the destinations of its restores, whose safety backups need
// one too. Backups in file shares are in no container.
func (c containers) add(plan *yaml.Node, targets []*yaml.Node, storage backup.Storage) {
	if !strings.Contains(storage.Container, backup.TargetName) {
		return
	}
	for _, item := range targets {
		name := c.check(item, storage)
		if name == "" {
			continue
		}
		place := strings.ToLower(storage.AccountName()) + storage.Zone + "/" + name
		if other := c.of[place]; other != nil && !backup.Same(id(other), id(item)) {
			c.warn(item, "the backups of %s and %s (%s) go into one container, %s: who has the identity of one can read and delete those "+
				"of the other", id(item), id(other), c.place(other, item), name)
		}
		c.of[place] = item
	}
	if restore := field(plan, "restore"); restore != nil {
		for _, item := range list(restore, "into") {
			c.check(item, storage) // itself is no service
		}
	}
}

// check returns the container for the service with the ID. It returns "" if there is none, or no such name, which it reports.
func (c containers) check(item *yaml.Node, storage backup.Storage) string {
	service, known := c.Services.Of(id(item))
	if item.Kind != yaml.ScalarNode || c.bad[item] || !known || service.Shares {
		return ""
	}
	switch name := storage.For(id(item)).Container; {
	case name == backup.ManifestFolder:
		c.fail(item, "%s would be the container for the backups of %s (storage.container: %s), and has the manifests of file shares", name,
			id(item), storage.Container)
	case !azure.IsContainerName(name):
		c.fail(item, "%q would be the container for the backups of %s (storage.container: %s), and is no name for one: 3 to 63 lower-case "+
			"letters, digits and single dashes, a letter or digit first and last; give it a plan with another storage.container", name,
			id(item), storage.Container)
	default:
		return name
	}
	return ""
}

var inBraces = pattern.New(`\{[^{}]*\}`)

// unknownIn returns what stands in braces in the name of a container, and for nothing; "" if there is no such thing.
func unknownIn(container string) string {
	for _, found := range inBraces.FindAllString(container, -1) {
		if found != backup.TargetName {
			return found
		}
	}
	return ""
}
