package ledger

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/fileerror"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// clockTolerance is how far the clocks of the catalog, Resource Manager and the storage account may be apart.
const clockTolerance = 5 * time.Second

// Provider is the [backup.Provider] of Managed CCF and Confidential Ledger in Azure's public cloud. It keeps nothing
// between two calls, so that any process can go on where another stopped. Its methods may be called from any goroutine.
type Provider struct {
	// HashPart is the most bytes that one Verify reads and hashes. New sets it to 1 GiB; it is changed, if at all,
	// before the first use.
	HashPart int64

	azure azure.Client
}

var _ backup.Provider = (*Provider)(nil)

// New makes a Provider that acts with the identity behind cred. It needs Microsoft.ConfidentialLedger/managedCCFs/read,
// backup/action and restore/action on Managed CCFs, /ledgers/read and filesExport/action on ledgers, and
// Microsoft.Storage/storageAccounts/listkeys/action on the storage accounts: shares take no tokens. The preflight sees more
// with Microsoft.Storage/storageAccounts/read, and goes without. The retry options of opts are overruled: nothing is sent
// twice.
func New(cred azcore.TokenCredential, opts azcore.ClientOptions) *Provider {
	return &Provider{HashPart: 1 << 30, azure: azure.New(cred, opts)}
}

// The api-versions that are used where the plan names none. Managed CCF was last seen in 2025-06-10-preview. A ledger's
// files are exported since 2026-02-23; before, the same was called its backup.
const (
	versionCCF    = "2025-06-10-preview"
	versionLedger = "2026-05-22-preview"
	exportsSince  = "2026-02-23"
)

// instance is one of the services, of either kind, as it is addressed.
type instance struct {
	id      string
	name    string
	version string
	// region is where its backups are to be restored; "" for its own.
	region string
	// exports: it is a ledger whose files can be exported, and never come back.
	exports bool
}

// parse finds out which service the target is, and how it is spoken to.
func parse(target string, blocks backup.Blocks) (instance, error) {
	b, unread := read(blocks)
	r, err := backup.ParseResource(target)
	if err != nil {
		return instance{}, azure.Invalid("InvalidTarget", target, "a Managed CCF or Confidential Ledger", err)
	}
	if unread != nil {
		return instance{}, unread
	}
	i := instance{id: target, name: r.Name, version: b.APIVersion, region: b.RestoreRegion}
	switch strings.ToLower(r.Type) {
	case "microsoft.confidentialledger/managedccfs":
		if i.version == "" {
			i.version = versionCCF
		}
	case "microsoft.confidentialledger/ledgers":
		if i.version == "" {
			i.version = versionLedger
		}
		i.exports = i.version >= exportsSince
	default:
		return instance{}, azure.Invalid("InvalidTarget", target, "a Managed CCF or Confidential Ledger", nil)
	}
	return i, nil
}

// action is the last segment of the path that starts a backup.
func (i instance) action() string {
	if i.exports {
		return "filesExport"
	}
	return "backup"
}

// Begin sends the one request that starts a backup, with a SAS that it makes for it and forgets. Whatever goes wrong up to
// that request is certainly not a start; without an answer to it, nobody knows.
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
	o := operation[backedUp]{what: "back up " + i.id, starting: starting(i), polling: polling(i), provider: p}
	s, err := o.start(ctx, i, i.action(), request{URI: access.Reveal(), RestoreRegion: i.region}, t, secret)
	if err != nil {
		return backup.Operation{}, err
	}
	return p.finished(ctx, a, i, s)
}

// Poll sends one GET to where the token points. Once Azure says that the backup is done it looks for the share.
func (p *Provider) Poll(ctx context.Context, a backup.Attempt, saved string) (backup.Operation, error) {
	i, err := parse(a.Target, a.Blocks)
	if err != nil {
		return backup.Operation{}, err
	}
	o := operation[backedUp]{what: "back up " + i.id, starting: starting(i), polling: polling(i), provider: p}
	s, err := o.poll(ctx, saved)
	if f := backup.AsFault(err); f != nil && f.Kind == backup.Refused && outdated(f) {
		return backup.Operation{}, p.lapsed(ctx, a, i, s, f)
	}
	if err != nil {
		return backup.Operation{}, err
	}
	return p.finished(ctx, a, i, s)
}

// outdated are the ways in which Azure may speak of a SAS that is no longer good, since its time is over or the key that
// signed it was rotated: the file service's own code and words, and others that are likely. In which the ledger service
// passes them on was never recorded.
func outdated(f *backup.Fault) bool {
	return f.Code == string(fileerror.AuthenticationFailed) || f.Code == "ExpiredSas" || outdatedWords(f.Said)
}

var outdatedWords = azure.Sentences(
	"Server failed to authenticate the request", "Signature did not match", "Signature not valid in the specified time frame",
	"The storage account answered 403 AuthenticationFailed", "The SAS token has expired", "The SAS expired",
)

// lapsed removes what a backup left whose SAS ran out, so that a further attempt leaves the only share. Where it cannot be
// told which share that is, nothing is removed: the further attempt knows its own by the time.
func (p *Provider) lapsed(ctx context.Context, a backup.Attempt, i instance, s status, f *backup.Fault) error {
	files, err := p.files(ctx, a.Storage, backup.Deferred)
	if err != nil {
		return err
	}
	left, err := files.shares(ctx, i.name, s.token.Since, s.ended, s.token.There)
	if err != nil {
		return files.fault(listing(a.Storage), err)
	}
	if len(left) == 1 {
		if err := files.delete(ctx, left[0].name); err != nil {
			fault := files.fault(deleting(a.Storage, left[0].name), err)
			fault.Kind = backup.Deferred
			return fault
		}
	}
	f.Kind = backup.Lapsed
	f.Hint = "It is started again by itself, once, with a new SAS."
	return f
}

// finished finds the share of a backup that has ended well: the one that is there since it was asked for. Without exactly
// one the operation tells no more than one that is gone, and only Find can say what is there.
func (p *Provider) finished(ctx context.Context, a backup.Attempt, i instance, s status) (backup.Operation, error) {
	if !s.done {
		return s.operation(), nil
	}
	files, err := p.files(ctx, a.Storage, backup.Deferred)
	if err != nil {
		return backup.Operation{}, err
	}
	found, err := files.shares(ctx, i.name, s.token.Since, s.ended, s.token.There)
	if err != nil {
		return backup.Operation{}, files.fault(listing(a.Storage), err)
	}
	if len(found) != 1 {
		return backup.Operation{}, &backup.Fault{
			Kind: backup.Denied, Code: "NoShare",
			Message: fmt.Sprintf("back up %s: Azure says that it succeeded, and of the shares of the storage account %s %s "+
				"be its backup", i.id, a.Storage.AccountName(), counted(found)),
			Hint: hintShare(i, a.Storage),
		}
	}
	return backup.Operation{Done: true, Artifact: found[0].name}, nil
}

// counted says how many shares there are that may be the one.
func counted(found []share) string {
	if len(found) == 0 {
		return "none can"
	}
	return fmt.Sprintf("%d can: %s:", len(found), names(found))
}

// absent tells whether an answer is that the resource is not there.
func absent(err error) bool { return hasStatus(err, http.StatusNotFound) }
