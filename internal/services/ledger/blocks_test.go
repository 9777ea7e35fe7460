package ledger_test

import "lifeboat/internal/backup"

// block is what a plan can say of ledgers.
type block struct {
	RestoreRegion string `json:"restoreRegion,omitempty"`
	APIVersion    string `json:"apiVersion,omitempty"`
}

// with are the blocks of a plan that says so.
func with(b block) backup.Blocks { return backup.NewBlocks(map[string]any{"ccf": b}) }
