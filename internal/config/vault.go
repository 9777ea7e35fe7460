package config

import (
	"strings"

	"go.yaml.in/yaml/v4"

	"lifeboat/internal/backup"
)

// vault checks that the backups of each target can stand in the storage, if that is a vault, and the safety backups of each destination.
func (r *reader) vault(plan *yaml.Node, items []*yaml.Node, p backup.Plan) {
	if !p.Settings.Storage.Vault {
		return
	}
	var titles []string
	for _, s := range r.Services {
		if s.Vaults("") {
			titles = append(titles, s.Title)
		}
	}
	if restore := field(plan, "restore"); restore != nil {
		items = append(items[:len(items):len(items)], list(restore, "into")...)
	}
	for _, item := range items {
		service, known := r.Services.Of(id(item)) // itself is no service
		switch {
		case item.Kind != yaml.ScalarNode || r.bad[item] || !known || service.Vaults(p.Settings.Blocks):
		case service.Vaults(""):
			r.fail(item, "storage.vault: %s writes its backups with the account's key, and a vault admits none: change %s", id(item),
				service.Block.Field)
		default:
			r.fail(item, "storage.vault: a %s cannot be backed up into a vault, which is for %s alone: give it a plan with another storage",
				service.Title, strings.Join(titles, " and "))
		}
	}
}
