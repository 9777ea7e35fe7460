package fakeazure

import (
	"fmt"
	"time"
)

// Options are options of a service. Every zero value is the usual behaviour or, if that is unknown, the reading that is worse for
// the client.
type Options struct {
	// Shortest and Longest bound the duration of a backup or restore before the time scale; each draws its own from the seed.
	// Both 0 means 8 min: recordings of empty Developer services took 1.5 to 16 min, mostly 6 to 11, and one of 2023-07 more than
	// 4 h; restores took 7 to 19 min.
	Shortest, Longest time.Duration
	// BlobBytes is the size of a backup's blob, or more if that has no room for the configuration. 0 means 256 KiB.
	BlobBytes int64
	// ProvisioningState, when not empty, is the service's state during all of its work. Any but "Succeeded" makes a backup, a
	// restore and a change of the configuration answer 409.
	ProvisioningState string
	// ConflictCode is the code of that 409. "" means "ServiceUpdating", which is invented.
	ConflictCode string
	// RestorableFor is the time for which a backup can be restored, before the time scale, by the clock that SkewDate moves. 0
	// means 30 days, as documented.
	RestorableFor time.Duration
	// Settles is the time for which the service's provisioningState is still Updating after a restore has ended, before the time
	// scale.
	Settles time.Duration
	// Making, Removing and Purging are the times, before the time scale, that a service takes until it is there, until it is gone, and until
	// nothing is left of it. 0 means 40, 10 and 2 minutes. A new service has the options for all.
	Making, Removing, Purging time.Duration
	// Stillborn lets new services fail at the end of that: provisioningState Failed.
	Stillborn bool

	StartHeaders     StartHeaders
	Trace            Trace
	MissingContainer MissingContainer
	ExistingBlob     ExistingBlob
	Denied           Denied
	Unrestorable     Unrestorable
	OtherCORS        OtherCORS
	TrustedServices  TrustedServices
	WorkspaceList    WorkspaceList
	Deletion         Deletion
}

// StartHeaders says which headers in the answer to a start of api-version 2024-05-01 have the address of the operation. The
// answers of earlier versions have Location alone (recorded 2016 to 2023).
type StartHeaders int

const (
	// StatusAndLocation has Azure-AsyncOperation, the status of which shows no service, and Location: like the answers to changes
	// of a service since 2022-08-01 (recorded).
	StatusAndLocation StartHeaders = iota
	// LocationAlone has Location, as before.
	LocationAlone
)

// Trace says which traces of a running backup or restore others can see.
type Trace int

const (
	// TraceHidden shows nothing until the end: the service is Succeeded, there is no blob, and a second operation is accepted and
	// runs in parallel to the first. Changes of the configuration during a restore are lost at its end.
	TraceHidden Trace = iota
	// TraceVisible shows provisioningState Updating and answers a second operation, or a change, with 409.
	TraceVisible
)

// MissingContainer says how a backup into a container that does not exist ends.
type MissingContainer int

const (
	// RefuseMissingContainer answers 400.
	RefuseMissingContainer MissingContainer = iota
	// CreateMissingContainer creates it.
	CreateMissingContainer
)

// ExistingBlob says how a backup under the name of an existing blob ends.
type ExistingBlob int

const (
	// OverwriteExistingBlob replaces the blob.
	OverwriteExistingBlob ExistingBlob = iota
	// RefuseExistingBlob answers 400, or fails the operation if the blob was created meanwhile.
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

// OtherCORS says how a backup ends to an account with CORS rules, but without PATCH in them.
type OtherCORS int

const (
	// RefuseOtherCORS answers 400, as the documentation requires no CORS at all.
	RefuseOtherCORS OtherCORS = iota
	// TakeOtherCORS makes the backup.
	TakeOtherCORS
)

// TrustedServices says whether a firewall that admits trusted Azure services admits a backup with the service's own identity. API
// Management's trusted connectivity was announced to end on 2026-03-15; whether that concerns backups is not known.
type TrustedServices int

const (
	// DenyTrustedServices rejects it.
	DenyTrustedServices TrustedServices = iota
	// AdmitTrustedServices admits it, as documented before.
	AdmitTrustedServices
)

// WorkspaceList says how a tier without workspaces answers a request for their list.
type WorkspaceList int

const (
	// RefuseWorkspaceList answers 400.
	RefuseWorkspaceList WorkspaceList = iota
	// EmptyWorkspaceList answers an empty list.
	EmptyWorkspaceList
)

// Deletion says how a service is shown while it is being deleted.
type Deletion int

const (
	// DeletionHidden answers 404 at once, before the deleted service appears in the list of those.
	DeletionHidden Deletion = iota
	// DeletionShown shows provisioningState Deleting.
	DeletionShown
)

const (
	defaultDuration     = 8 * time.Minute
	defaultBlobBytes    = 256 << 10
	defaultConflictCode = "ServiceUpdating"

	defaultRestorableFor = 30 * 24 * time.Hour
)

// Tune changes the options of one service, or with an empty resource ID of all services, later ones included. A backup or restore
// uses the options at its start.
func (s *Sim) Tune(resourceID string, change func(*Options)) error {
	m := s.management
	m.mu.Lock()
	defer m.mu.Unlock()
	if resourceID == "" {
		change(&m.options)
		for _, svc := range m.services {
			change(&svc.options)
		}
		return nil
	}
	svc, err := m.lookup(resourceID)
	if err != nil {
		return fmt.Errorf("tune: %w", err)
	}
	change(&svc.options)
	return nil
}

// lookup returns a service. It is called under the lock.
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
