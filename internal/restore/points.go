package restore

import (
	"time"

	"lifeboat/internal/backup"
)

// Latest says whether the request can mean the recovery point if it names none.
func (q Request) Latest(p backup.Point) bool {
	return p.Live() && (q.Before.IsZero() || p.Created.Before(q.Before))
}

// Newest returns the newest of the points that a request without the ID of one can mean. The reason says that there is none.
func (q Request) Newest(points []backup.Point) (newest backup.Point, why *backup.Reason) {
	for _, p := range points {
		if q.Latest(p) && p.Created.After(newest.Created) {
			newest = p
		}
	}
	if newest.ID != "" {
		return newest, nil
	}
	before := ""
	if !q.Before.IsZero() {
		before = " from before " + q.Before.Format(time.RFC3339)
	}
	return newest, backup.Refuse("NoRecoveryPoint", "lifeboat points "+q.Target+" lists them; a suspect one, or a safety backup, can be "+
		"restored by its ID.", "%s has no live recovery point%s", q.Target, before)
}

// Expired refuses a request whose time is over.
func Expired(expires, now time.Time) *backup.Reason {
	if now.Before(expires) {
		return nil
	}
	return backup.Refuse("RequestExpired", "Ask again, under another ID.", "the request was good until %s",
		expires.UTC().Format(time.RFC3339))
}

// TooLong refuses a request whose time limit is too far away to be meant: later than a recovery point can be kept.
func TooLong(expires, now time.Time) *backup.Reason {
	if !expires.After(now.Add(backup.LongestKeep)) {
		return nil
	}
	return backup.Refuse("ExpiresTooLate", "Ask again, under another ID.", "the request is good until %s; the limit is %d days from now",
		expires.UTC().Format(time.RFC3339), int(backup.LongestKeep.Hours()/24))
}

// RestoresNothing returns the refusal for a row that cannot be read.
func RestoresNothing(err error) *backup.Reason {
	why := backup.UnreadableRow(err)
	why.Message = "nothing of the target is restored: " + why.Message
	return &why
}

// Unreadable refuses a restore if one of the rows of a target cannot be read; kind is the prefix of rows of points, or of runs.
func Unreadable(kind string, rows []backup.Row) *backup.Reason {
	for _, row := range rows {
		var err error
		if kind == backup.PointPrefix {
			_, err = backup.DecodePoint(row)
		} else {
			_, err = backup.Decode[backup.Run](row)
		}
		if err != nil {
			return RestoresNothing(err)
		}
	}
	return nil
}

// Usable refuses a recovery point that is gone or only a copy, or is too old for its service.
func Usable(p backup.Point, service backup.Service, now time.Time) *backup.Reason {
	const other = "Choose another recovery point."
	switch p.State {
	case backup.Expired:
		return backup.Refuse("RecoveryPointExpired", other, "the recovery point %s expired, and was deleted at %s", p.ID,
			p.Deleted.UTC().Format(time.RFC3339))
	case backup.Deleting:
		// Storage kept it the last time: the restore finds out at once whether it still does.
		if p.KeptByStorage.Again.IsZero() {
			return backup.Refuse("RecoveryPointDeleting", other, "the recovery point %s is being deleted", p.ID)
		}
	case backup.Live, backup.Suspect, backup.Altered:
	default:
		return backup.Refuse("RecoveryPointUnusable", other, "the recovery point %s is %s", p.ID, p.State)
	}
	if p.CopyOnly {
		return backup.Refuse("OneWay", "Nothing was done. Read the files with the service's own tools.", "the recovery point %s is a copy: %s",
			p.ID, service.Restore.NotRestorable)
	}
	return TooOld(service, p.Target, p.Created, now)
}

// TooOld refuses a backup of the target that is too old for the service to restore.
func TooOld(service backup.Service, target string, written, now time.Time) *backup.Reason {
	limit := service.Restorable
	if limit == 0 || now.Before(written.Add(limit)) {
		return nil
	}
	return backup.Refuse("BeyondHorizon", "Choose another recovery point.", "the backup of %s was written at %s, and %s restores none that is "+
		"older than %d days: Cannot restore: backup expired", target, written.UTC().Format(time.RFC3339), service.Type, int(limit.Hours()/24))
}

// Changed refuses an artifact that differs from the verified one.
func Changed(p backup.Point, v backup.Verification) *backup.Reason {
	if v.SHA256 == p.SHA256 && v.Size == p.Size {
		return nil
	}
	return backup.Refuse("ArtifactChanged", "Another program changed it. Choose another recovery point.",
		"%s in the container %s has %d bytes and the SHA-256 %s; verified were %d bytes, %s", p.Artifact, p.Storage.Container,
		v.Size, v.SHA256, p.Size, p.SHA256)
}
