package sim

import (
	"fmt"
	"sync"
	"time"
)

// files plays the file service of every storage account.
type files struct {
	storage *storage

	mu sync.Mutex
}

func newFiles(s *storage) *files { return &files{storage: s} }

// AgeShare makes a share of the account, with its files and snapshots, older than it is: every time in it moves back.
func (s *Sim) AgeShare(account, share string, by time.Duration) error {
	return fmt.Errorf("no share %s in %s to make %v older", share, account, by)
}
