package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/fileerror"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// clockTolerance is the largest expected difference between the clocks of the catalog, Resource Manager and the storage
// account.
const clockTolerance = 5 * time.Second

// Provider is the [backup.Provider] of Managed CCF and Confidential Ledger. It keeps nothing
// between two calls, so that any process can continue the work of another. Its methods may be called from any goroutine.
type Provider struct {
	// HashPart is the largest number of bytes that one Verify reads and hashes. New sets it to 1 GiB; a caller may change
	// it only before the first use.
	HashPart int64

	azure azure.Client
}

var (
	_ backup.Provider = (*Provider)(nil)
	_ backup.Lister   = (*Provider)(nil)
)

// New makes a Provider that acts with the identity behind cred. The identity needs
// Microsoft.ConfidentialLedger/managedCCFs/read, backup/action and restore/action on Managed CCFs, /ledgers/read and
// filesExport/action on ledgers, before exportsSince backup/action and restore/action, and
// Microsoft.Storage/storageAccounts/listkeys/action on the storage accounts: shares take no tokens. With
// Microsoft.Storage/storageAccounts/read, the preflight checks more; it also works without that. New overrules the retry
// options of opts: the Provider sends nothing twice.
func New(cred azcore.TokenCredential, opts azcore.ClientOptions) *Provider {
	return &Provider{HashPart: 1 << 30, azure: azure.New(cred, opts)}
}

// These are the api-versions for a plan that names none. Managed CCF was last seen in 2025-06-10-preview. Since
// 2026-02-23 Azure exports a ledger's files; before, it called the same a backup.
const (
	versionCCF    = "2025-06-10-preview"
	versionLedger = "2026-05-22-preview"
	exportsSince  = "2026-02-23"
)

// instance is a service of either kind, with the data for its requests.
type instance struct {
	id      string
	name    string
	version string
	// kind is the last part of the resource's type.
	kind string
	// region is the region into which its backups are to be restored; "" for its own region.
	region string
	// exports says that it is a ledger whose files can be exported, and never come back.
	exports bool
}

// parse finds out the kind of the target, and the data for its requests.
func parse(target string, blocks backup.Blocks) (instance, error) {
	b, unread := read(blocks)
	r, err := backup.ParseResource(target)
	if err != nil {
		return instance{}, azure.Invalid("InvalidTarget", target, "a Managed CCF or Confidential Ledger", err)
	}
	if unread != nil {
		return instance{}, unread
	}
	_, kind, _ := strings.Cut(r.Type, "/")
	i := instance{id: target, name: r.Name, kind: kind, region: b.RestoreRegion}
	switch strings.ToLower(r.Type) {
	case "microsoft.confidentialledger/managedccfs":
		i.version = cmp.Or(b.APIVersion, versionCCF)
	case "microsoft.confidentialledger/ledgers":
		i.version = cmp.Or(b.APIVersion, versionLedger)
		i.exports = i.version >= exportsSince
	default:
		return instance{}, azure.Invalid("InvalidTarget", target, "a Managed CCF or Confidential Ledger", nil)
	}
	return i, nil
}

// action returns the last segment of the path that starts a backup.
func (i instance) action() string {
	if i.exports {
		return "filesExport"
	}
	return "backup"
}

// Begin sends the one request that starts a backup, with a SAS that Begin makes for it and forgets. If Begin fails before
// that request is sent, the backup was certainly not started. If the request gets no answer, it is unknown whether the
// backup was started.
func (p *Provider) Begin(ctx context.Context, a backup.Attempt) (backup.Operation, error) {
	i, err := parse(a.Target, a.Blocks)
	if err != nil {
		return backup.Operation{}, err
	}
	files, err := p.files(ctx, a.Storage, backup.Refused)
	if err != nil {
		return backup.Operation{}, err
	}
	t := token{Since: files.now}
	there, err := files.shares(ctx, i.name, t.Since, time.Time{}, nil)
	if err != nil {
		return backup.Operation{}, files.fault(listing(a.Storage), err)
	}
	for _, s := range there {
		t.There = append(t.There, s.name)
	}
	access, secret, err := files.sas()
	if err != nil {
		return backup.Operation{}, err
	}
	s, err := p.backup(i, request{URI: access.Reveal(), RestoreRegion: i.region}).start(ctx, t, secret)
	if err != nil {
		return backup.Operation{}, azure.MayPass(err)
	}
	return p.finished(ctx, a, i, s)
}

// backup returns the backup as an operation.
func (p *Provider) backup(i instance, body request) operation {
	return operation{azure.Operation{
		Starting: starting(i), Polling: polling(i), Begin: begin[backedUp](p, i, i.action(), body),
	}, "back up " + i.id}
}

// Poll sends one GET to the address in the token. Once Azure says that the backup is done, Poll looks for the share.
func (p *Provider) Poll(ctx context.Context, a backup.Attempt, saved string) (backup.Operation, error) {
	i, err := parse(a.Target, a.Blocks)
	if err != nil {
		return backup.Operation{}, err
	}
	s, err := p.backup(i, request{}).poll(ctx, saved)
	if f := backup.AsFault(err); f != nil && f.Kind == backup.Refused && outdated(f) {
		return backup.Operation{}, p.credentialExpired(ctx, a, i, s, f)
	}
	if err != nil {
		return backup.Operation{}, azure.MayPass(err)
	}
	return p.finished(ctx, a, i, s)
}

// outdated reports whether a fault may speak of a SAS that is no longer valid, because its time is over or its key was
// rotated. It knows the file service's own code and words, and other likely words. The words with which the ledger
// service passes them on were never recorded.
func outdated(f *backup.Fault) bool {
	return f.Code == string(fileerror.AuthenticationFailed) || f.Code == "ExpiredSas" || outdatedWords(f.Said)
}

var outdatedWords = azure.Sentences(
	"Server failed to authenticate the request", "Signature did not match", "Signature not valid in the specified time frame",
	"The storage account answered 403 AuthenticationFailed", "The SAS token has expired", "The SAS expired",
)

// credentialExpired removes the share of a backup whose SAS has expired, so that a further attempt leaves the only share. Unless
// exactly one share can be meant, credentialExpired removes nothing: the further attempt knows its own share by the time.
func (p *Provider) credentialExpired(ctx context.Context, a backup.Attempt, i instance, s status, f *backup.Fault) error {
	files, err := p.files(ctx, a.Storage, backup.Retryable)
	if err != nil {
		return err
	}
	left, err := files.shares(ctx, i.name, s.token.Since, s.ended, s.token.There)
	if err != nil {
		return files.fault(listing(a.Storage), err)
	}
	if len(left) == 1 {
		if a.MayDelete != nil {
			if err := a.MayDelete(ctx); err != nil {
				return err
			}
		}
		if err := files.delete(ctx, left[0].name); err != nil {
			fault := files.fault(deleting(a.Storage, left[0].name), err)
			fault.Kind = backup.Retryable
			return fault
		}
	}
	f.Kind = backup.CredentialExpired
	f.Hint = "Lifeboat starts it again once, with a new SAS."
	return f
}

// finished finds the share of a backup that has ended well: it did not exist before the backup was requested. Without
// exactly one such share, the fault is the same as for an operation that is gone: Unobservable. Then only Find can find the
// share.
func (p *Provider) finished(ctx context.Context, a backup.Attempt, i instance, s status) (backup.Operation, error) {
	if !s.done {
		return s.operation(), nil
	}
	files, err := p.files(ctx, a.Storage, backup.Retryable)
	if err != nil {
		return backup.Operation{}, err
	}
	found, err := files.shares(ctx, i.name, s.token.Since, s.ended, s.token.There)
	if err != nil {
		return backup.Operation{}, files.fault(listing(a.Storage), err)
	}
	if len(found) != 1 {
		return backup.Operation{}, &backup.Fault{
			Kind: backup.Unobservable, Code: "NoShare",
			Message: fmt.Sprintf("back up %s: Azure says that it succeeded, and of the shares of the storage account %s %s "+
				"be its backup", i.id, a.Storage.AccountName(), counted(found)),
			Hint: hintShare(i, a.Storage),
		}
	}
	return backup.Operation{Done: true, Artifact: found[0].name}, nil
}

// counted says how many shares may be the backup's.
func counted(found []share) string {
	if len(found) == 0 {
		return "none can"
	}
	return fmt.Sprintf("%d can: %s:", len(found), names(found))
}

// absent reports whether an error is Azure's answer that the resource does not exist. A 404 about the whole subscription says nothing
// about the resource.
func absent(err error) bool {
	answer, ok := errors.AsType[*azcore.ResponseError](err)
	return ok && answer.StatusCode == http.StatusNotFound && !azure.Denies(answer.ErrorCode)
}
