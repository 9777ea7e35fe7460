package health

import (
	"fmt"
	"strings"
	"time"

	"lifeboat/internal/backup"
)

// Incomplete says that the storage of a plan holds artifacts or manifests of a target that no recovery point of the catalog names:
// the catalog was lost, or replaced by a new one. It is a row of the catalog, and stands until they are gone, or a person deletes it.
type Incomplete struct {
	Target  string         `json:"Target"`
	Plan    string         `json:"Of"` // older versions take a row with a member Plan for its checkpoint
	Storage backup.Storage `json:"Storage"`
	// Artifacts and Manifests count them, as far as they were listed. First is the name of one of them.
	Artifacts int    `json:"Artifacts"`
	Manifests int    `json:"Manifests"`
	First     string `json:"First"`
	// Alarm is the end of the ID of the event about it.
	Alarm string `json:"Alarm"`
	// Found is the time at which Lifeboat found them, and Checked the time at which it looked for them last.
	Found   time.Time `json:"Found"`
	Checked time.Time `json:"Checked"`

	backup.Carried
	// RowETag is the ETag of the row, as it was read.
	RowETag string `json:"-"`
}

// recheck is the time after which the storage is searched again.
const recheck = 24 * time.Hour

// Due tells whether it is time to look again.
func (i Incomplete) Due(now time.Time) bool { return now.Sub(i.Checked) >= recheck }

// None tells whether nothing was found.
func (i Incomplete) None() bool { return i.Artifacts == 0 && i.Manifests == 0 }

// Key is the key of the row.
func (i Incomplete) Key() backup.Key { return backup.IncompleteKey(i.Target, i.Storage) }

// CatalogIncomplete is the code of the reason of such a target.
const CatalogIncomplete = "CatalogIncomplete"

// Reason says it in words.
func (i Incomplete) Reason() backup.Reason {
	return backup.NewReason(CatalogIncomplete, fmt.Sprintf("the container %s of the storage account %s has %d artifacts and %d manifests of the "+
		"target that the catalog does not know, such as %s: the table was lost, or the app has another storage account. They are not deleted, "+
		"and cannot be restored by Lifeboat", i.Storage.Container, i.Storage.AccountName(), i.Artifacts, i.Manifests, i.First),
		"Bring the former table back: see that AzureWebJobsStorage names the right account. Otherwise docs/runbooks/catalog-incomplete.md says "+
			"how to restore by hand, and how to end this alarm: by its row "+i.Key().Row+".")
}

// Searched has the outcomes of searches by the key of target and storage: true if the storage was searched, false if it is still to be
// searched. Once a searched target has a recovery point it needs no entry.
type Searched map[string]bool

// mostSearched is the greatest number of entries, which are a column of 32 Ki characters.
const mostSearched = 1200

// SearchKey is the key of a target and a storage in [Searched].
func SearchKey(target string, in backup.Storage) string {
	return strings.TrimPrefix(backup.IncompleteKey(target, in).Row, backup.IncompletePrefix)
}

// Wants tells whether the storage of the target is to be searched: at the first evaluation of a plan, and where the target has no
// recovery point at all, but once only.
func (s Searched) Wants(key string, first, none bool) bool {
	done, known := s[key]
	return known && !done || !known && (first || none)
}

// With returns the outcomes with one more, as long as there is room.
func (s Searched) With(key string, done bool) Searched {
	if s == nil {
		s = Searched{}
	}
	if len(s) < mostSearched {
		s[key] = done
	}
	return s
}
