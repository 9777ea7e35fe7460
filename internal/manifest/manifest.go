// Package manifest writes and deletes the manifests of recovery points, and finds artifacts that the catalog does not know. A
// manifest is a small blob beside an artifact with everything that the catalog knows of it, so that a person can tell what the
// artifact is of if the catalog is lost.
package manifest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"lifeboat/internal/backup"
)

// Version is the version of the form of a manifest. A later version may add members.
const Version = 1

// Manifest is the content of a manifest.
type Manifest struct {
	Version int `json:"manifest"`
	// Change says what made Lifeboat write it, and Written is the time of that. The manifest of a point that was written last counts.
	Change  Change    `json:"change"`
	Written time.Time `json:"written"`
	// Point is the row of the recovery point, with the members that a newer version gave it. Files are the files of its artifact,
	// if that is more than one blob of its name.
	Point json.RawMessage `json:"point"`
	Files []backup.File   `json:"files,omitempty"`
}

// Change is a change of a recovery point that a catalog made of manifests must know. Each but those by a person and the last happens once at most:
// so the name of a manifest, which ends with it, is the same in each repeat.
type Change string

// These are the changes.
const (
	Made      Change = "made"
	Accepted  Change = "accepted"
	Confirmed Change = "confirmed" // it is held no longer
	Altered   Change = "altered"
	Changed   Change = "changed"  // Azure has shown late that its resource was changed during the backup
	Held      Change = "held"     // by a person; like Released it can happen again, and then has another name
	Released  Change = "released" // it is no longer held by that person
	// SoftDeleted: a person deletes it, and it is there until its time for that is over. Recovered: a person has undone that or the decision
	// of the policy, and holds it.
	SoftDeleted Change = "softdeleted"
	Recovered   Change = "recovered"
	Restored    Change = "restored" // by a restore that has succeeded; it can happen again, and then has another name
)

// eventType is the type of a manifest in the outbox.
const eventType = "lifeboat.manifest"

// note is the content of the row in the outbox that stands for a manifest: it is still to be written.
type note struct {
	Point   string         `json:"point"`
	Storage backup.Storage `json:"storage"`
	Change  Change         `json:"change"`
}

// Note returns the event that has the outbox keep a manifest until it is written. The transaction that changes the point puts it
// there.
func Note(p backup.Point, c Change, at time.Time) backup.Event {
	return backup.Event{
		ID: p.ID + "." + string(c), Type: eventType, Subject: p.Target, Time: at, To: backup.ManifestFolder,
		Data: backup.Encode(note{p.ID, p.Storage, c}),
	}
}

// NoteRestored is [Note] for a restore from the point that has succeeded.
func NoteRestored(p backup.Point, run string, at time.Time) backup.Event {
	e := Note(p, Restored, at)
	e.ID += "." + backup.Digest(run, 12)
	return e
}

// NoteHold is [Note] for a hold by a person or its release, and for a deletion by a person or its undo: each has an ID.
func NoteHold(p backup.Point, c Change, hold string, at time.Time) backup.Event {
	e := Note(p, c, at)
	e.ID += "." + hold
	return e
}

// NoteMade is [Note] for a new point, with the content of the manifest: the invocation that makes the point has all of it.
func NoteMade(p backup.Point, files []backup.File, at time.Time) backup.Event {
	n := Note(p, Made, at)
	n.Content = content(p, files, Made, at)
	return n
}

func content(p backup.Point, files []backup.File, c Change, at time.Time) []byte {
	p.Readers = nil // they come and go
	return backup.Encode(Manifest{Version: Version, Change: c, Written: at.UTC(), Point: backup.Encode(p), Files: files})
}

// Is tells whether an event of the outbox stands for a manifest.
func Is(e backup.Event) bool { return e.To == backup.ManifestFolder }

// Destination names the place that an event goes to: its queue, or the container of a manifest.
func Destination(e backup.Event) string {
	var n note
	if !Is(e) || json.Unmarshal(e.Data, &n) != nil {
		return e.Queue()
	}
	return e.To + "\n" + n.Storage.Account + "\n" + n.Storage.Container
}

// Keeper writes and deletes manifests.
type Keeper struct {
	Catalog  backup.Catalog
	Store    backup.Manifests
	Services backup.Services
}

// place returns the container of the manifests of the target's points in the storage, and the beginning of their names.
func (k Keeper) place(target string, in backup.Storage) (backup.Storage, string) {
	if service, _ := k.Services.Of(target); service.Shares {
		in.Container = backup.ManifestFolder
		return in, ""
	}
	return in, backup.ManifestFolder + "/"
}

// Write writes the manifest that the event stands for. It writes none of a point that is gone meanwhile: nothing would delete it.
func (k Keeper) Write(ctx context.Context, e backup.Event) error {
	var n note
	if err := json.Unmarshal(e.Data, &n); err != nil {
		return fmt.Errorf("%w: the manifest %s: %w", backup.ErrUndeliverable, e.ID, err)
	}
	if e.Content == nil {
		row, _, err := k.Catalog.Get(ctx, backup.Point{ID: n.Point}.Key())
		if errors.Is(err, backup.ErrNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("load recovery point %s for its manifest: %w", n.Point, err)
		}
		p, err := backup.DecodePoint(row)
		if err != nil {
			return err
		}
		switch p.State {
		case backup.Expired:
			return nil
		case backup.Deleting: // storage may refuse that, and then the point stays
			return fmt.Errorf("the manifest %s waits: the recovery point is being deleted", e.ID)
		}
		files, err := backup.ReadFiles(ctx, k.Catalog, p)
		if err != nil {
			return fmt.Errorf("load the files of recovery point %s for its manifest: %w", n.Point, err)
		}
		e.Content = content(p, files, n.Change, e.Time)
	}
	in, folder := k.place(e.Subject, n.Storage)
	return k.Store.Write(ctx, in, folder+e.ID+".json", e.Content)
}

// Delete deletes the manifests of a point whose artifact is gone. A repeat deletes the rest.
func (k Keeper) Delete(ctx context.Context, p backup.Point) error {
	in, folder := k.place(p.Target, p.Storage)
	names, err := k.Store.List(ctx, in, folder+p.ID+".")
	for _, name := range names {
		if err = k.Store.Delete(ctx, in, name); err != nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("delete the manifests of recovery point %s: %w", p.ID, err)
	}
	return nil
}

// pointOf returns the ID of the point that a manifest is of.
func pointOf(name string) string {
	id, _, _ := strings.Cut(name[strings.LastIndex(name, "/")+1:], ".")
	return id
}
