package managedhsm_test

import "lifeboat/internal/backup"

// by makes the blocks of a plan that gives the HSM this access to storage. An empty access makes no blocks.
func by(access string) backup.Blocks {
	if access == "" {
		return ""
	}
	return backup.NewBlocks(map[string]any{"hsm": map[string]string{"access": access}})
}
