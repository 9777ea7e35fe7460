package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/fileerror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/service"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
	"lifeboat/internal/services/ledger/ccf"
)

// Reader reads the shares of backups with the sign-in of a person, who needs the role [ReaderRole] on the storage account.
type Reader struct {
	// PartTime is the longest time for a part of a file, which is then asked for again. NewReader sets it to two minutes.
	PartTime time.Duration

	azure azure.Client
	cloud azure.Cloud
	wait  func(ctx context.Context, d time.Duration) bool
}

// ReaderRole is the role that lets a person read all files of a share.
const ReaderRole = "Storage File Data Privileged Reader"

// NewReader makes a Reader that acts with the identity behind cred. It waits with wait, which returns false if the context ends before.
func NewReader(cred azcore.TokenCredential, opts azcore.ClientOptions, wait func(ctx context.Context, d time.Duration) bool) Reader {
	return Reader{2 * time.Minute, azure.New(cred, opts), azure.CloudOf(opts.Cloud), wait}
}

// Copy is a backup in its share. It is for one goroutine.
type Copy struct {
	Recorded

	reader  Reader
	files   *files
	content content
	once    *once
	source  ccf.Source
}

// Recorded is a recovery point as the app knows it.
type Recorded struct {
	ID, Target string
	Storage    backup.Storage
	Share      string
	// SHA256 and Facts are of the files when the backup was verified.
	SHA256 string
	Facts  []backup.Fact
}

// Open lists the files of a recovery point. A token of storage is good for each account, so it goes to no host but one of an account.
func (r Reader) Open(ctx context.Context, p Recorded) (*Copy, error) {
	host := r.azure.StorageHost(p.Storage, "file")
	if err := r.cloud.CheckStorageHost(host, "file"); err != nil {
		return nil, err
	}
	i, err := parse(p.Target, "")
	if err != nil || !isShare(i.name, p.Share) {
		return nil, fmt.Errorf("%q is not the name of a share with a backup of %s", p.Share, p.Target)
	}
	client, err := service.NewClient("https://"+host, r.azure.Credential, &service.ClientOptions{
		ClientOptions: r.azure.At(host), FileRequestIntent: to.Ptr(service.ShareTokenIntentBackup),
	})
	if err != nil {
		return nil, err
	}
	c := &Copy{Recorded: p, reader: r, files: &files{client: client, storage: p.Storage}}
	err = c.again(ctx, func() (err error) {
		c.content, err = c.files.content(ctx, p.Share)
		return err
	})
	c.order(false)
	return c, err
}

// order makes the files ready to be read from their beginnings.
func (c *Copy) order(byName bool) { c.once, c.source = ordered(c.content, saved{}, byName, c.part) }

// Source gives the files to a verifier, which must read them before [Copy.Compare].
func (c *Copy) Source() ccf.Source { return c.source }

// Place names the share in words.
func (c *Copy) Place() string { return place(c.Storage, c.Share) }

func (c *Copy) part(ctx context.Context, of azure.File, offset, count int64) (content []byte, err error) {
	err = c.again(ctx, func() (err error) {
		limited, cancel := context.WithTimeout(ctx, c.reader.PartTime)
		defer cancel()
		content, err = c.files.part(limited, c.Share, of, offset, count)
		return err
	})
	return content, err
}

// mostTries is the number of times that a request is made whose failure may pass.
const mostTries = 5

// again makes a request, and makes it again after 1, 2, 4 and 8 seconds, or when Azure says so, while its failure may pass.
func (c *Copy) again(ctx context.Context, request func() error) error {
	pause := time.Second
	for try := 1; ; try++ {
		err := request()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		f := c.fault(ctx, err)
		passes := f.Kind == backup.Throttled || f.Kind == backup.Retryable
		if !passes || try == mostTries || !c.reader.wait(ctx, min(cmp.Or(f.RetryAfter, pause), time.Minute)) {
			return fmt.Errorf("%w\n  %s", f, f.Hint)
		}
		pause *= 2
	}
}

// fault says why the share could not be read, and what the person can do.
func (c *Copy) fault(ctx context.Context, err error) *backup.Fault {
	refused := func(code, what, hint string) *backup.Fault {
		return &backup.Fault{Kind: backup.Refused, Code: code, Message: c.Place() + " " + what, Hint: hint}
	}
	switch {
	case errors.Is(err, errChanged) || fileerror.HasCode(err, fileerror.ResourceNotFound, fileerror.ParentNotFound, fileerror.InvalidRange):
		return refused("ShareChanged", "was changed while it was read", "A backup must not change: find out who writes there, and run the command again.")
	case isGone(err):
		return refused("ShareGone", "does not exist any more", "The backup is gone. If the account keeps deleted shares, restore this one: "+
			"in the Azure portal under File shares, show deleted shares.")
	}
	f := c.looking(ctx, "read "+c.Place()).Fault(err)
	switch {
	case f.Code == "NoIdentityToken":
		f.Kind, f.Hint = backup.Refused, "Sign in with az login, or set AZURE_CLIENT_ID and the variables that belong to it."
	case f.Code == "ForeignAddress":
		f.Kind = backup.Refused
	case f.Code == "Unreachable":
		f.Hint = fmt.Sprintf("See whether the account %s exists, and this machine reaches it: a private account answers in its own network only.",
			c.Storage.AccountName())
	case f.Kind != backup.Refused:
		f.Hint = "The cause is in Azure: run the command again later."
	}
	return f
}

// looking describes a request of the person.
func (c *Copy) looking(ctx context.Context, what string) azure.Call {
	account := c.Storage.AccountName()
	return azure.Call{What: what, Means: func(int, string) backup.FaultKind { return backup.Refused }, Hint: func(status int, code, _ string) string {
		switch {
		case code == string(fileerror.AuthorizationFailure):
			return fmt.Sprintf("The account %s is private, or its firewall does not admit this machine. Do it from inside its network, or "+
				"admit this address:\n  az storage account network-rule add --account-name %[1]s --ip-address ADDRESS", account)
		case status == http.StatusForbidden:
			return fmt.Sprintf("You need the role %[1]s on the account; a new assignment takes some minutes:\n  az role assignment create --assignee %[2]s "+
				"--role %[1]q \\\n    --scope \"$(az storage account show -n %[3]s --query id -o tsv)\"", ReaderRole, c.reader.caller(ctx), account)
		case status == http.StatusUnauthorized:
			return "The account belongs to another tenant than your sign-in: az login --tenant TENANT"
		}
		return fmt.Sprintf("Look at the storage account %s in the Azure portal.", account)
	}}
}

// caller is the object ID of the sign-in, which its token names, or a word in its place.
func (r Reader) caller(ctx context.Context) string {
	token, err := r.azure.Credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{"https://storage.azure.com/.default"}})
	if id := azure.ObjectID(token.Token); err == nil && id != "" {
		return id
	}
	return "OBJECT-ID"
}
