package fakeazure

import (
	"fmt"
	"time"
)

// Knobs is how a service behaves. Every zero value is the usual behaviour or, where that is unknown, the reading
// that is worse for the client.
type Knobs struct {
	// Shortest and Longest bound how long a backup or restore takes before the time scale; each draws its own from the seed.
	// Both 0 means 8 min: recordings of empty Developer services took 1.5 to 16 min, mostly 6 to 11, and one of
	// 2023-07 more than 4 h; restores took 7 to 19 min.
	Shortest, Longest time.Duration
	// BlobBytes is the size of what a backup writes, or more if that has no room for the configuration. 0 means 256 KiB.
	BlobBytes int64
	// ProvisioningState, when not empty, is the service's state whatever it does. Any but "Succeeded" makes a backup,
	// a restore and a change of the configuration answer 409.
	ProvisioningState string
	// ConflictCode is the code of that 409. "" means "ServiceUpdating", which is invented.
	ConflictCode string
	// RestorableFor is how long a backup can be restored, before the time scale, by the clock that SkewDate moves. 0 means
	// 30 days, as documented.
	RestorableFor time.Duration
	// Settles is how long the service's provisioningState is still Updating after a restore has ended, before the time
	// scale.
	Settles time.Duration

	StartHeaders     StartHeaders
	Trace            Trace
	MissingContainer MissingContainer
	ExistingBlob     ExistingBlob
	Denied           Denied
	Unrestorable     Unrestorable
	OtherCORS        OtherCORS
	TrustedServices  TrustedServices
	WorkspaceList    WorkspaceList
}

// StartHeaders says by which headers the answer to a start of api-version 2024-05-01 tells where to ask about it. Those of
// versions before have Location alone (recorded 2016 to 2023).
type StartHeaders int

const (
	// StatusAndLocation has Azure-AsyncOperation, the status of which shows no service, and Location: as the answers to
	// changes of a service have since 2022-08-01 (recorded).
	StatusAndLocation StartHeaders = iota
	// LocationAlone has Location, as before.
	LocationAlone
)

// Trace says what a running backup or restore shows to others.
type Trace int

const (
	// TraceHidden shows nothing until the end: the service is Succeeded, there is no blob, and a second operation is
	// accepted and runs beside the first. What is configured during a restore is lost at its end.
	TraceHidden Trace = iota
	// TraceVisible shows provisioningState Updating and answers a second operation, or a change, with 409.
	TraceVisible
)

// MissingContainer says what happens to a backup into a container that does not exist.
type MissingContainer int

const (
	// RefuseMissingContainer answers 400.
	RefuseMissingContainer MissingContainer = iota
	// CreateMissingContainer creates it.
	CreateMissingContainer
)

// ExistingBlob says what happens to a backup under the name of a blob that exists.
type ExistingBlob int

const (
	// OverwriteExistingBlob replaces the blob.
	OverwriteExistingBlob ExistingBlob = iota
	// RefuseExistingBlob answers 400, or fails the operation when the blob came up meanwhile.
	RefuseExistingBlob
)

// Denied says when a backup or restore finds out that the storage account denies it access.
type Denied int

const (
	// DeniedAtEnd accepts it and fails the operation.
	DeniedAtEnd Denied = iota
	// DeniedAtStart answers 400 to the request.
	DeniedAtStart
)

// Unrestorable says when a restore finds out that the backup cannot be restored.
type Unrestorable int

const (
	// UnrestorableAtEnd accepts the restore and fails the operation.
	UnrestorableAtEnd Unrestorable = iota
	// UnrestorableAtStart answers 400 to the request.
	UnrestorableAtStart
)

// OtherCORS says what happens to a backup to an account with CORS rules, but without PATCH in them.
type OtherCORS int

const (
	// RefuseOtherCORS answers 400, as the documentation asks for no CORS at all.
	RefuseOtherCORS OtherCORS = iota
	// TakeOtherCORS makes the backup.
	TakeOtherCORS
)

// TrustedServices says whether a firewall that admits trusted Azure services admits a backup with the service's own
// identity. API Management's trusted connectivity was announced to end on 2026-03-15; whether that concerns backups is
// not known.
type TrustedServices int

const (
	// DenyTrustedServices turns it away.
	DenyTrustedServices TrustedServices = iota
	// AdmitTrustedServices lets it in, as documented before.
	AdmitTrustedServices
)

// WorkspaceList says what a tier without workspaces answers to a request for their list.
type WorkspaceList int

const (
	// RefuseWorkspaceList answers 400.
	RefuseWorkspaceList WorkspaceList = iota
	// EmptyWorkspaceList answers an empty list.
	EmptyWorkspaceList
)

const (
	defaultDuration     = 8 * time.Minute
	defaultBlobBytes    = 256 << 10
	defaultConflictCode = "ServiceUpdating"

	defaultRestorableFor = 30 * 24 * time.Hour
)

// Tune changes the knobs of one service, or with an empty resource ID of all services, later ones included. A backup
// or restore goes by the knobs of its start.
func (s *Sim) Tune(resourceID string, change func(*Knobs)) error {
	m := s.management
	m.mu.Lock()
	defer m.mu.Unlock()
	if resourceID == "" {
		change(&m.knobs)
		for _, svc := range m.services {
			change(&svc.knobs)
		}
		return nil
	}
	svc, err := m.lookup(resourceID)
	if err != nil {
		return fmt.Errorf("tune: %w", err)
	}
	change(&svc.knobs)
	return nil
}

// lookup is called under the lock.
func (m *apiManagement) lookup(text string) (*service, error) {
	id, err := parseResourceID(text)
	if err != nil {
		return nil, err
	}
	svc, ok := m.services[id.key()]
	if !ok {
		return nil, fmt.Errorf("no API Management service %s", text)
	}
	return svc, nil
}
