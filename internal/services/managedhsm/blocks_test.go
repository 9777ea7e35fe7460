package managedhsm_test

import "lifeboat/internal/backup"

// by are the blocks of a plan that says how the HSM gets at storage.
func by(access string) backup.Blocks {
	if access == "" {
		return ""
	}
	return backup.NewBlocks(map[string]any{"hsm": map[string]string{"access": access}})
}
