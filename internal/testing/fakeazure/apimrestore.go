package fakeazure

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
)

// inspectRestore checks the storage and, depending on the option, the backup, before the restore starts.
func (t *backupTarget) inspectRestore(ctx context.Context, k Options) *http.Response {
	if err := errors.Join(t.admitted(k), t.permitted(readBlobs)); err != nil && k.Denied == DeniedAtStart {
		return t.refuse(err.Error())
	}
	if k.Unrestorable == UnrestorableAtEnd {
		return nil // the operation finds the fault later
	}
	if _, err := t.restorable(ctx, k); err != nil && !errors.Is(err, errAccessDenied) {
		return serviceError(http.StatusBadRequest, restoreFailed, "Cannot restore: "+err.Error())
	}
	return nil
}

// restorable reads the backup, and returns an error if it cannot be restored into the service. The texts about another tier
// (recorded, azure-powershell 25072) and about the age (documented) are Azure's; the others are invented.
func (t *backupTarget) restorable(ctx context.Context, k Options) (serviceBackup, error) {
	if err := errors.Join(t.admitted(k), t.permitted(readBlobs)); err != nil {
		return serviceBackup{}, err
	}
	b, err := t.read(ctx)
	horizon := k.RestorableFor
	if horizon == 0 {
		horizon = defaultRestorableFor
	}
	switch {
	case err != nil:
		return b, err
	case t.service.SKU != b.SKU:
		return b, fmt.Errorf("current SKU is '%s', backup SKU is '%s'", t.service.SKU, b.SKU)
	case t.clock().Sub(b.Created) > t.pace.scale(horizon):
		return b, errors.New("backup expired")
	}
	return b, nil
}

// read reads the backup from the blob.
func (t *backupTarget) read(ctx context.Context) (serviceBackup, error) {
	client, err := t.container()
	if err != nil {
		return serviceBackup{}, err
	}
	answer, err := client.NewBlobClient(t.parameters.BackupName).DownloadStream(ctx, nil)
	switch {
	case bloberror.HasCode(err, bloberror.BlobNotFound):
		return serviceBackup{}, errBlobMissing
	case err != nil:
		return serviceBackup{}, explain(err)
	}
	defer answer.Body.Close()
	return openServiceBackup(answer.Body, *answer.ContentLength)
}
