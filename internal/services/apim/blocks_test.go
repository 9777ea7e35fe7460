package apim_test

import "lifeboat/internal/backup"

// as makes the blocks of a plan that names the identity or key of the service. An empty name makes no blocks.
func as(who string) backup.Blocks {
	if who == "" {
		return ""
	}
	return backup.NewBlocks(map[string]any{"identity": who})
}
