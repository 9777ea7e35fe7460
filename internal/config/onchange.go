package config

import (
	"slices"
	"time"

	"go.yaml.in/yaml/v4"

	"lifeboat/internal/backup"
)

// quiet reads the field onChange: the time without changes of a target after which it is backed up.
func (r *reader) quiet(n *yaml.Node, targets []string) time.Duration {
	onChange := field(n, "onChange")
	if onChange == nil {
		return 0
	}
	quiet, at := r.duration(onChange, "quiet", backup.LongestWindow, "a backup comes an hour after the first change at the latest")
	if quiet > backup.LongestQuiet {
		r.fail(at, "quiet %s is longer than an hour: a backup comes an hour after the first change at the latest", at.Value)
	}
	if len(targets) > 0 && !slices.ContainsFunc(targets, func(target string) bool {
		service, _ := r.Services.Of(target)
		return service.Changes != nil
	}) {
		r.fail(onChange, "onChange is for API Management, of which the plan has no target")
	}
	return quiet
}
