package config

import (
	"slices"

	"go.yaml.in/yaml/v4"

	"lifeboat/internal/backup"
)

// replyTo reads the queues that answers may go to.
func (r *reader) replyTo(n *yaml.Node) (queues []string) {
	for _, item := range list(n, "replyTo") {
		if slices.Contains(backup.OwnQueues, item.Value) {
			r.fail(item, "%s is a queue of Lifeboat's own; answers go to lifeboat-events in any case", item.Value)
		}
		queues = append(queues, item.Value)
	}
	return queues
}
