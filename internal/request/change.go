package request

import (
	"strings"
	"time"

	"lifeboat/internal/backup"
)

// Change is an event of Azure's own that tells of a change of a service.
type Change struct {
	// Target is the resource ID of the service; "" if the event tells of no change of a service, such as an expiring token.
	Target string
	// Type is such as "Microsoft.ApiManagement.APIUpdated".
	Type string
	// Time is the time of the change by Azure's clock; zero if the event does not say it.
	Time time.Time
}

// ParseChange reads an event of Azure's own, and returns false for any other message: the types of Azure's events begin with
// "Microsoft." (Azure's documentation of Event Grid's system topics). The event's source or topic names the changed service, or
// its subject does.
func ParseChange(message []byte, services backup.Services) (Change, bool) {
	body, _ := Read(message, "") // a mistake in the data does not matter
	e := body.Event
	if len(e.Type) < len(azures) || !strings.EqualFold(e.Type[:len(azures)], azures) {
		return Change{}, false
	}
	for _, id := range []string{e.Source, e.Subject} {
		if parts := strings.Split(id, "/"); len(parts) > 9 {
			id = strings.Join(parts[:9], "/") // the subject goes on with the changed part of the service
		}
		if service, ok := services.Of(id); ok && service.Changes != nil && service.Changes(e.Type) {
			at, _ := time.Parse(time.RFC3339, e.Time)
			return Change{Target: id, Type: e.Type, Time: at.UTC()}, true
		}
	}
	return Change{Type: e.Type}, true
}

// azures is the beginning of the types of Azure's own events.
const azures = "Microsoft."
