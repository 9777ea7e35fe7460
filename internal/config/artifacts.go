package config

import (
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"lifeboat/internal/backup"
	"lifeboat/internal/pattern"
)

// artifacts are the targets of a file, by the names that Azure gives their backups. If two services could write under one
// name, Lifeboat could not tell their backups apart: it might restore or delete the backup of the other service.
type artifacts struct {
	*reader
	of map[string]*yaml.Node
}

// add records the plan's targets, and refuses a target if another target's artifacts have the same name.
func (a artifacts) add(targets []*yaml.Node, storage backup.Storage) {
	if storage.AccountName() == "" || storage.Container == "" { // that is reported already
		return
	}
	for _, item := range targets {
		target := id(item)
		names := ""
		if service, _ := a.Services.Of(target); service.ArtifactNames != nil {
			resource, _ := backup.ParseResource(target) // the service has checked it
			names = service.ArtifactNames(storage.For(target), resource)
		}
		other, taken := a.of[names]
		switch {
		case names == "" || a.bad[item] || taken && backup.Same(id(other), target): // another plan may have it too
		case taken:
			a.refuse(item, other)
		default:
			a.of[names] = item
		}
	}
}

// dated matches a name whose end can be taken for the time that Azure adds to a name.
var dated = pattern.New(`-20[0-9]{2}-?[01][0-9]-?[0-3][0-9]`)

// check refuses a ledger if its name is another ledger's name with a date behind it. The format of the time in a share's name
// is not documented, so contoso-20260131-1795279656396 could be a share of contoso.
func (a artifacts) check() {
	for _, names := range slices.Sorted(maps.Keys(a.of)) {
		for _, at := range dated.FindAllStringIndex(names, -1) {
			if other, taken := a.of[names[:at[0]]]; taken && strings.HasPrefix(names, "share ") {
				a.refuse(a.of[names], other)
			}
		}
	}
}

func (a artifacts) refuse(at, other *yaml.Node) {
	a.fail(at, "the backups of %s and %s (%s) could get the same name, and Lifeboat could confuse them: give one of them a "+
		"storage account of its own", id(at), id(other), a.place(other, at))
}
