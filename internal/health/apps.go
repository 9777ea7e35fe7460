package health

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"lifeboat/internal/backup"
)

// OtherAppTime is the time for which an app without the catalog counts as there after it was seen.
const OtherAppTime = time.Hour

// Apps says which apps have the catalog's storage account.
type Apps struct {
	// App is this app. Owner is the app that owns the catalog since Since; "" if none does yet.
	App, Owner string
	Since      time.Time
	// Others are the other apps, besides the owner, that were seen lately, in the order of their names.
	Others []OtherApp
}

// OtherApp is an app that was seen, though another one owns the catalog. It may have been there up to NoteEvery later.
type OtherApp struct {
	App      string
	LastSeen time.Time
}

// Sorted returns it with the other apps in the order of their names.
func (a Apps) Sorted() Apps {
	sort.Slice(a.Others, func(i, j int) bool { return a.Others[i].App < a.Others[j].App })
	return a
}

// Owns tells whether this app owns the catalog, or may begin to.
func (a Apps) Owns() bool { return a.Owner == "" || a.Owner == a.App }

// Reason says why the apps need a person, and names them all; it has no code if there is one app alone.
func (a Apps) Reason() backup.Reason {
	if !a.Owns() {
		return backup.NewReason("NotOwner", fmt.Sprintf("the app %s owns the storage account's catalog since %s: this app, %s, does nothing",
			a.Owner, a.Since.UTC().Format(time.RFC3339), a.App),
			fmt.Sprintf("Ask %s instead. If %s is to replace it, stop %s, and run: lifeboat takeover %s, with the URL and key of %s. Otherwise give "+
				"%s a storage account of its own.", a.Owner, a.App, a.Owner, a.Owner, a.App, a.App))
	}
	if len(a.Others) == 0 {
		return backup.Reason{}
	}
	names := make([]string, 0, len(a.Others))
	for _, o := range a.Others {
		names = append(names, fmt.Sprintf("%s (seen %s)", o.App, o.LastSeen.UTC().Format(time.RFC3339)))
	}
	return backup.NewReason("SecondApp", fmt.Sprintf("the app %s owns the storage account's catalog, and another app has the same storage account: %s",
		a.Owner, strings.Join(names, ", ")), "Stop the other app, or give it a storage account of its own. An hour after it was last seen this ends.")
}
