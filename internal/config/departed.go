package config

import (
	"go.yaml.in/yaml/v4"

	"lifeboat/internal/backup"
)

// departed checks restore.from: targets that have left plan.yaml, each with a destination of its type in into.
func (r *reader) departed(restore *yaml.Node, into []string) {
	seen := map[string]bool{}
	for _, item := range list(restore, "from") {
		if item.Kind != yaml.ScalarNode || r.bad[item] {
			continue
		}
		from := id(item)
		resource, err := r.Services.Check(from)
		fits := false
		for _, destination := range into {
			fits = fits || err == nil && ofType(resource.Type)(destination)
		}
		switch {
		case err != nil:
			r.fail(item, "restore.from: %v", err)
		case seen[backup.Partition(from)]:
			r.fail(item, "%s stands here twice", from)
		case !fits:
			r.fail(item, "into names no %s by its resource ID that recovery points of %s could be restored into; itself does not count",
				resource.Type, from)
		}
		seen[backup.Partition(from)] = true
	}
}

// returned warns of a restore.from without an effect: a plan has the target.
func (r *reader) returned(file *yaml.Node, plans []backup.Plan) {
	for _, n := range list(file, "plans") {
		if n.Kind != yaml.MappingNode || field(n, "restore") == nil {
			continue
		}
		for _, item := range list(field(n, "restore"), "from") {
			for _, plan := range plans {
				if plan.Has(id(item)) {
					r.warn(item, "%s has no effect in from while it is a target of the plan %s: that plan says what it may be restored into",
						id(item), plan.Name)
					break
				}
			}
		}
	}
}
