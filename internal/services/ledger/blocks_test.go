package ledger_test

import "lifeboat/internal/backup"

// block holds the settings of a plan for ledgers.
type block struct {
	RestoreRegion      string `json:"restoreRegion,omitempty"`
	APIVersion         string `json:"apiVersion,omitempty"`
	ServiceCertificate string `json:"serviceCertificate,omitempty"`
}

// with makes the blocks of a plan with these settings.
func with(b block) backup.Blocks { return backup.NewBlocks(map[string]any{"ccf": b}) }
