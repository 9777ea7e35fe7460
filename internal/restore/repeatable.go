package restore

import (
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/request"
)

// Repeatable tells whether a repeat of a request that the host gave up is of any use, and until when; the zero time is no limit. It is of
// none if the request cannot be read, or is for a dry run.
func Repeatable(queue string, p request.Postponed, services backup.Services, now time.Time) (until time.Time, ok bool) {
	if queue == backup.RestoreQueue {
		q, malformed := ParseRequest(p.Message, "")
		q.Sent = p.Sent
		return q.Until(now), malformed == nil && !q.DryRun
	}
	if _, malformed := request.ParseBackup(p.Message, ""); malformed != nil {
		_, ok = request.ParseChange(p.Message, services)
		return until, ok
	}
	return until, true
}
