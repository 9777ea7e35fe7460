package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/directory"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/fileerror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/service"
	azshare "github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/share"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
	"lifeboat/internal/pattern"
)

// files is the file service of the storage account: for the app with the account's key, since shares take no tokens, and for a person
// with a token, which their files take.
type files struct {
	client  *service.Client
	key     azure.Secret
	storage backup.Storage
	// now is the time at which the key was read, by Azure's clock.
	now time.Time
}

// files reads the account's key. If Azure refuses the key, the fault has the caller's kind: it refuses a start, and says
// nothing about a backup that was made.
func (p *Provider) files(ctx context.Context, s backup.Storage, denied backup.FaultKind) (*files, error) {
	key, now, err := p.azure.AccountKey(ctx, s, "")
	if err == nil && now.IsZero() {
		err = noKey(s, azure.ErrNoDate)
	}
	if err != nil {
		f := backup.AsFault(err)
		if f.Kind == backup.Refused {
			f.Kind = denied
		}
		return nil, f
	}
	credential, err := service.NewSharedKeyCredential(s.AccountName(), key.Reveal())
	if err != nil {
		return nil, key.Strip(noKey(s, err))
	}
	host := p.azure.StorageHost(s, "file")
	client, err := service.NewClientWithSharedKeyCredential("https://"+host, credential, &service.ClientOptions{ClientOptions: p.azure.At(host)})
	if err != nil {
		return nil, key.Strip(noKey(s, err))
	}
	return &files{client, key, s, now}, nil
}

// fault returns the fault of a call to the file service, without the key.
func (f *files) fault(c azure.Call, err error) *backup.Fault { return f.key.Strip(c.Fault(err)) }

// share is a share that may hold a backup.
type share struct {
	name string
	// made is the time of its creation, or of the last change of its settings; changes of its files do not count.
	made time.Time
}

func names(shares []share) string {
	var names []string
	for _, s := range shares {
		names = append(names, s.name)
	}
	return strings.Join(names, ", ")
}

// shares lists the shares that can be backups of the service with the name, made between two times, with some tolerance;
// a zero end is no limit. It leaves out the shares in known.
func (f *files) shares(ctx context.Context, name string, from, to time.Time, known []string) ([]share, error) {
	var found []share
	prefix := strings.ToLower(name) + "-"
	for pages := f.client.NewListSharesPager(&service.ListSharesOptions{Prefix: &prefix}); pages.More(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, item := range page.Shares {
			if item == nil || item.Name == nil || item.Properties == nil || item.Snapshot != nil || azure.Deref(item.Deleted) {
				continue
			}
			s := share{*item.Name, azure.Deref(item.Properties.LastModified)}
			if isShare(name, s.name) && !s.made.Before(from.Add(-clockTolerance)) &&
				(to.IsZero() || !s.made.After(to.Add(clockTolerance))) && !slices.Contains(known, s.name) {
				found = append(found, s)
			}
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i].name < found[j].name })
	return found, nil
}

// date, behindName and digits match parts of the names of shares. The documentation says that a share is named
// <app>-<timestamp>, and not how the timestamp is written. So any text with digits may be a timestamp, unless it is the
// end of a longer name and then a date, or the seconds or milliseconds since 1970: contoso-2-20261103023000 belongs to
// the service contoso-2, and not to contoso.
var (
	date       = pattern.New(`^20[0-9]{2}-?[01][0-9]-?[0-3][0-9]`)
	behindName = pattern.New(`^.*[^-]-(20[0-9]{2}-?[01][0-9]-?[0-3][0-9].*|1[0-9]{9}|1[0-9]{12})$`)
	digits     = pattern.New(`^[a-z0-9-]*[0-9][a-z0-9-]*$`)
)

// isShare reports whether a share's name can be the name of a backup of the service with the name.
func isShare(name, share string) bool {
	stamp, ok := strings.CutPrefix(share, strings.ToLower(name)+"-")
	return ok && digits.MatchString(stamp) && (date.MatchString(stamp) || !behindName.MatchString(stamp))
}

// content is the content of a share.
type content struct{ azure.Listed }

// mostDirectories limits the depth and breadth of a listing: an answer that leads back to itself must not go on for ever.
const mostDirectories = 1000

// content lists all files in the share.
func (f *files) content(ctx context.Context, share string) (content, error) {
	var c content
	root := f.client.NewShareClient(share)
	todo := []string{""}
	for n := 0; n < len(todo); n++ {
		if n == mostDirectories {
			return c, fmt.Errorf("the share %s has more than %d directories", share, mostDirectories)
		}
		in := root.NewRootDirectoryClient()
		if todo[n] != "" {
			in = root.NewDirectoryClient(todo[n])
		}
		pages := in.NewListFilesAndDirectoriesPager(&directory.ListFilesAndDirectoriesOptions{
			Include:             directory.ListFilesInclude{Timestamps: true, ETag: true},
			IncludeExtendedInfo: to.Ptr(true),
		})
		for pages.More() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return c, err
			}
			if c.Now.IsZero() {
				c.Now = azure.Deref(page.Date)
			}
			for _, d := range page.Segment.Directories {
				todo = append(todo, path.Join(todo[n], azure.Deref(d.Name)))
			}
			for _, item := range page.Segment.Files {
				p := azure.Deref(item.Properties)
				c.Add(azure.File{
					Name: path.Join(todo[n], azure.Deref(item.Name)), Size: azure.Deref(p.ContentLength),
					ETag: string(azure.Deref(p.ETag)), Modified: azure.Deref(p.LastModified),
				})
			}
		}
	}
	sort.Slice(c.Files, func(i, j int) bool { return c.Files[i].Name < c.Files[j].Name })
	return c, nil
}

// fingerprint identifies the present content of the share: it is a hash of all paths, sizes, ETags and dates.
func (c content) fingerprint() string {
	sum := sha256.New()
	for _, f := range c.Files {
		fmt.Fprintf(sum, "%s\n%d\n%s\n%d\n", f.Name, f.Size, f.ETag, f.Modified.Unix())
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// delete removes a share with its snapshots. A share that is gone, or is being deleted, is no error.
func (f *files) delete(ctx context.Context, share string) error {
	_, err := f.client.NewShareClient(share).Delete(ctx, &azshare.DeleteOptions{
		DeleteSnapshots: to.Ptr(azshare.DeleteSnapshotsOptionTypeInclude),
	})
	if isGone(err) {
		return nil
	}
	return err
}

// isGone reports whether the error says that the share no longer exists.
func isGone(err error) bool {
	return fileerror.HasCode(err, fileerror.ShareNotFound, fileerror.ShareBeingDeleted)
}
