package fakeazure

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// blockBytes is the size of the blocks of a backup. In Azure a blob of more than one Put has no Content-MD5. A blob made of
// blocks has none here either.
const blockBytes = 4 << 20

var (
	errAccessDenied     = errors.New("the storage account denies access")
	errContainerMissing = errors.New("the specified container does not exist")
	errBlobMissing      = errors.New("the specified blob does not exist")
	errBlobExists       = errors.New("the specified blob already exists")
)

// backupTarget is the place of a service's backup, with the access that the service has to it.
type backupTarget struct {
	*apiManagement
	parameters backupParameters
	account    StorageAccount
	// identity names the managed identity; "" means the account key of the parameters. system says that it is the service's
	// own.
	identity string
	system   bool
	service  *service
}

// These are the actions on blobs that the identity needs for a backup and a restore.
const (
	writeBlobs = blobServices + "/containers/blobs/write"
	addBlobs   = blobServices + "/containers/blobs/add/action" // enough for a blob that does not exist yet
	readBlobs  = blobServices + "/containers/blobs/read"
)

// container returns a client that connects to the emulator directly, without the proxy: this traffic is Azure's own.
func (t *backupTarget) container() (*container.Client, error) {
	url := "https://" + t.account.Name + ".blob.core.windows.net/" + t.parameters.ContainerName
	options := &container.ClientOptions{ClientOptions: azcore.ClientOptions{
		Transport: &http.Client{Transport: t.storage.own},
		Retry:     policy.RetryOptions{MaxRetries: -1},
	}}
	if t.identity != "" {
		return container.NewClient(url, credential{t.directory, t.identity}, options)
	}
	key, err := container.NewSharedKeyCredential(t.account.Name, t.parameters.AccessKey)
	if err != nil {
		return nil, fmt.Errorf("%w: the account key is not base64", errAccessDenied)
	}
	return container.NewClientWithSharedKeyCredential(url, key, options)
}

// permitted checks the role assignments, which the emulator does not know. Keys need none.
func (t *backupTarget) permitted(action string) error {
	scope := t.account.ResourceID + "/blobServices/default/containers/" + t.parameters.ContainerName
	if t.identity != "" && !t.roles.allow(t.directory.objectID(t.identity), scope, action) {
		return fmt.Errorf("%w: AuthorizationPermissionMismatch", errAccessDenied)
	}
	return nil
}

// mayWrite checks the role assignments for a backup; fresh says that no blob may exist under its name.
func (t *backupTarget) mayWrite() (fresh bool, err error) {
	if err = t.permitted(writeBlobs); err == nil {
		return false, nil
	}
	if !t.account.BlocksByAdd {
		return true, err
	}
	return true, t.permitted(addBlobs)
}

// reach makes sure that the container exists and the blob may be written.
func (t *backupTarget) reach(ctx context.Context, k Options) error {
	if err := t.admitted(k); err != nil {
		return err
	}
	fresh, err := t.mayWrite()
	if err != nil {
		return err
	}
	client, err := t.container()
	if err != nil {
		return err
	}
	_, err = client.GetProperties(ctx, nil)
	if bloberror.HasCode(err, bloberror.ContainerNotFound) {
		if k.MissingContainer == RefuseMissingContainer {
			return errContainerMissing
		}
		_, err = client.Create(ctx, nil)
		if bloberror.HasCode(err, bloberror.ContainerAlreadyExists) {
			err = nil // a parallel backup has created it
		}
	}
	if err != nil {
		return explain(err)
	}
	if fresh || k.ExistingBlob == RefuseExistingBlob {
		_, err = client.NewBlobClient(t.parameters.BackupName).GetProperties(ctx, nil)
		if err == nil && fresh {
			return fmt.Errorf("%w: AuthorizationPermissionMismatch", errAccessDenied)
		}
		if err == nil {
			return errBlobExists
		}
		if !bloberror.HasCode(err, bloberror.BlobNotFound) {
			return explain(err)
		}
	}
	return nil
}

// write stores the content in blocks. They take effect only when all are there.
func (t *backupTarget) write(ctx context.Context, k Options, content io.Reader, size int64) error {
	if err := t.reach(ctx, k); err != nil {
		return err
	}
	client, err := t.container()
	if err != nil {
		return err
	}
	target := client.NewBlockBlobClient(t.parameters.BackupName)
	var blocks []string
	for left := size; left > 0; left -= blockBytes {
		block := make([]byte, min(left, blockBytes))
		if _, err := io.ReadFull(content, block); err != nil {
			return fmt.Errorf("make content: %w", err)
		}
		id := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "block-%08d", len(blocks)))
		if _, err := target.StageBlock(ctx, id, streaming.NopCloser(bytes.NewReader(block)), nil); err != nil {
			return explain(err)
		}
		blocks = append(blocks, id)
	}
	var options blockblob.CommitBlockListOptions
	fresh, err := t.mayWrite()
	if err != nil {
		return err
	}
	if fresh || k.ExistingBlob == RefuseExistingBlob {
		options.AccessConditions = &blob.AccessConditions{
			ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: to.Ptr(azcore.ETagAny)},
		}
	}
	_, err = target.CommitBlockList(ctx, blocks, &options)
	return explain(err)
}

// explain turns the storage's answer into the short text that API Management passes on.
func explain(err error) error {
	var refused *azcore.ResponseError
	switch {
	case err == nil:
		return nil
	case bloberror.HasCode(err, bloberror.ContainerNotFound):
		return errContainerMissing
	case bloberror.HasCode(err, bloberror.BlobAlreadyExists):
		return errBlobExists
	case !errors.As(err, &refused):
		return fmt.Errorf("the storage account cannot be reached: %w", err)
	// The emulator answers 400 InvalidAuthenticationInfo to a signature with another key; Azure answers 403.
	case refused.StatusCode == http.StatusForbidden || refused.ErrorCode == "InvalidAuthenticationInfo":
		return fmt.Errorf("%w: %s", errAccessDenied, refused.ErrorCode)
	}
	return fmt.Errorf("the storage account answered %d %s", refused.StatusCode, refused.ErrorCode)
}

// salt returns the bytes that make one backup differ from others: seed, service and the operation's number determine them.
func salt(seed uint64, service string, number int) []byte {
	return drawn(seed, service, number, saltBytes)
}

// drawn returns n bytes for one operation.
func drawn(seed uint64, service string, number, n int) []byte {
	var key [32]byte
	binary.BigEndian.PutUint64(key[:], seed)
	binary.BigEndian.PutUint64(key[8:], uint64(number))
	for i, b := range []byte(strings.ToLower(service)) {
		key[16+i%16] = key[16+i%16]*31 + b
	}
	bytes := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(bytes) // never fails
	return bytes
}
