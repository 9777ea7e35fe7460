package backup

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// ManifestFolder is the folder of the manifests in a plan's container. Where the artifacts are file shares, it is the name of a
// container of their account. It is also the destination of a manifest in the outbox, so no queue for answers may have the name.
const ManifestFolder = "lifeboat-manifests"

// Manifests keeps the manifests of recovery points beside their artifacts: small blobs that say what an artifact is of. Every
// error is a *Fault.
type Manifests interface {
	// Write writes the manifest, and makes the container [ManifestFolder] if there is none, but no other. A manifest that has the name already stays as it is,
	// and is no error.
	Write(ctx context.Context, in Storage, name string, content []byte) error
	// List returns the names that begin with the prefix, at most 5,000; none if there is no container.
	List(ctx context.Context, in Storage, prefix string) ([]string, error)
	// Delete deletes the manifest; one that is gone is no error. Kept: storage protects it.
	Delete(ctx context.Context, in Storage, name string) error
}

// Lister is a [Provider] that can list the artifacts in a plan's storage.
type Lister interface {
	// Artifacts lists the artifacts in the storage that can be the target's, whichever catalog knows them. There may be more of
	// them than it lists. It lists none if there is no container.
	Artifacts(ctx context.Context, target string, in Storage) ([]Artifact, error)
}

// Artifact is an artifact that a [Lister] found.
type Artifact struct {
	Name string
	// Made is the time at which it was written, or at which its backup began.
	Made time.Time
}

// ReadFiles lists the files of the artifact of a recovery point; nothing if the artifact is one blob of its name.
func ReadFiles(ctx context.Context, catalog Catalog, p Point) ([]File, error) {
	prefix := p.FilesPrefix()
	rows, _, err := catalog.List(ctx, p.Key().Partition, prefix, Behind(prefix), 1000)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	list, err := JoinPages(rows)
	if err != nil {
		return nil, err
	}
	var files []File
	if err := json.Unmarshal([]byte(list), &files); err != nil {
		return nil, fmt.Errorf("the list of files of recovery point %s cannot be read: %w", p.ID, err)
	}
	return files, nil
}
