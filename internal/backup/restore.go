package backup

// RestoreKind says how much a restore brings back.
type RestoreKind string

const (
	// RestoreFull brings everything back, and wipes what was there, role assignments included.
	RestoreFull RestoreKind = "full"
	// RestoreKey brings one key back, with all its versions.
	RestoreKey RestoreKind = "key"
)

// Restore is what a service is asked to bring back.
type Restore struct {
	// Target is the resource ID of the service that is restored into.
	Target string
	// Storage and Artifact say where the backup is.
	Storage  Storage
	Artifact string
	// Size, SHA256, ETag and SKU are what the recovery point has recorded of it; see [Point]. An SKU of "" is not known.
	Size         int64
	SHA256, ETag string
	SKU          string
	// Identity is whom the service acts as towards the storage account; see [Attempt].
	Identity string
	Kind     RestoreKind
	// Key is the name of the key of a RestoreKey, otherwise "".
	Key string
	// CCF is what holds for Managed CCF and Confidential Ledger; its RestoreRegion is where the service is made anew.
	CCF CCF
}
