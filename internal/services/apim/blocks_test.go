package apim_test

import "lifeboat/internal/backup"

// as are the blocks of a plan that says whom the service acts as.
func as(who string) backup.Blocks {
	if who == "" {
		return ""
	}
	return backup.NewBlocks(map[string]any{"identity": who})
}
