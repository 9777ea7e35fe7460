package managedhsm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/lease"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// folderOf is the folder's name in azureStorageBlobContainerUri, which is the container's URL and the folder; "" if there
// is none.
func folderOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || strings.Count(strings.Trim(u.Path, "/"), "/") == 0 {
		return ""
	}
	return path.Base(u.Path)
}

// isFolder tells whether a name can be that of a folder that an HSM wrote: one level, and nothing that we name.
func isFolder(folder string) bool {
	return strings.HasPrefix(folder, "mhsm-") && !strings.ContainsAny(folder, `/\`)
}

// stamp is when the backup in the folder began, by its name; false if it is not one of this HSM. The documentation writes
// 14 digits, real names have 16, with the hundredths of a second, and the specification's example has 17.
func stamp(target, folder string) (time.Time, bool) {
	m := regexp.MustCompile(`(?i)^mhsm-` + regexp.QuoteMeta(name(target)) + `-(\d{14})(\d{0,3})$`).FindStringSubmatch(folder)
	if m == nil {
		return time.Time{}, false
	}
	t, err := time.Parse("20060102150405", m[1])
	if err != nil {
		return time.Time{}, false
	}
	if fraction, err := strconv.ParseFloat("0."+m[2], 64); err == nil {
		t = t.Add(time.Duration(fraction * float64(time.Second)))
	}
	return t, true
}

// folder is what there is of a backup in the container.
type folder struct {
	// files are the blobs, by name; directories are those of an account with a hierarchical namespace, innermost first.
	files       []file
	directories []string
	// size of all files, in bytes.
	size           int64
	oldest, newest time.Time
	// now is the storage's own clock.
	now time.Time
}

type file struct {
	// name of the blob in the container.
	name     string
	size     int64
	etag     string
	modified time.Time
	// until is when its own immutability policy ends; held and leased say what else keeps it.
	until        time.Time
	held, leased bool
}

// list reads what is in the folder now; only if protection is true, what keeps its files.
func (p *Provider) list(ctx context.Context, s backup.Storage, name string, protection bool) (folder, error) {
	var f folder
	client, err := p.azure.Container(s)
	if err != nil {
		return f, err
	}
	pages := client.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{
		Prefix:  to.Ptr(name + "/"),
		Include: container.ListBlobsInclude{Metadata: true, ImmutabilityPolicy: protection, LegalHold: protection},
	})
	for pages.More() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return f, err
		}
		if f.now.IsZero() {
			f.now = azure.Deref(page.Date)
		}
		for _, item := range page.Segment.BlobItems {
			if item.Name == nil || item.Properties == nil {
				continue
			}
			if isDirectory(item.Metadata) {
				f.directories = append(f.directories, *item.Name)
				continue
			}
			modified, size := azure.Deref(item.Properties.LastModified), azure.Deref(item.Properties.ContentLength)
			f.files = append(f.files, file{
				name: *item.Name, size: size, etag: string(azure.Deref(item.Properties.ETag)), modified: modified,
				until: azure.Deref(item.Properties.ImmutabilityPolicyExpiresOn), held: azure.Deref(item.Properties.LegalHold),
				leased: azure.Deref(item.Properties.LeaseStatus) == lease.StatusTypeLocked,
			})
			f.size += size
			if f.oldest.IsZero() || modified.Before(f.oldest) {
				f.oldest = modified
			}
			if modified.After(f.newest) {
				f.newest = modified
			}
		}
	}
	slices.SortFunc(f.files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	slices.SortFunc(f.directories, func(a, b string) int { return strings.Compare(b, a) })
	return f, nil
}

// isDirectory tells whether a blob stands for a directory of a hierarchical namespace.
func isDirectory(metadata map[string]*string) bool {
	for name, value := range metadata {
		if strings.EqualFold(name, "hdi_isfolder") && azure.Deref(value) == "true" {
			return true
		}
	}
	return false
}

// print identifies the folder as it is: when it was written last, how many files it has, and a hash of all names, sizes
// and ETags.
func (f folder) print() string {
	sum := sha256.New()
	for _, file := range f.files {
		fmt.Fprintf(sum, "%s\n%d\n%s\n", file.name, file.size, file.etag)
	}
	return fmt.Sprintf("%d-%d-%s", f.newest.Unix(), len(f.files), hex.EncodeToString(sum.Sum(nil)))
}

// isRestOf tells whether the folder is the one of the print, or what a deletion that was cut off left of it.
func (f folder) isRestOf(print string) bool {
	if print == "" || f.print() == print {
		return true
	}
	var newest, files int64
	var sum string
	if _, err := fmt.Sscanf(print, "%d-%d-%s", &newest, &files, &sum); err != nil {
		return false
	}
	return int64(len(f.files)) < files && f.newest.Unix() <= newest
}

// Find looks for the folder of a backup whose answer was lost. Its name has when the backup began, so that of this HSM's
// folders exactly one may lie within the times at which the requests were sent. Nobody can see what the HSM is doing: the
// folder counts as complete once nothing in it has changed for a while, by the storage's own clock.
func (p *Provider) Find(ctx context.Context, a backup.Attempt) (string, error) {
	if _, err := parseTarget(a.Target); err != nil {
		return "", err
	}
	if len(a.Lost) == 0 {
		return "", nil
	}
	found, err := p.stamped(ctx, a)
	switch {
	case azure.Is(err, bloberror.ContainerNotFound):
		return "", nil
	case err != nil:
		return "", azure.Listing(a.Storage).Fault(err)
	case len(found) == 0:
		return "", nil
	case len(found) > 1:
		return "", &backup.Fault{
			Kind: backup.Refused, Code: "Ambiguous",
			Message: fmt.Sprintf("%s holds %d backups that were begun while the answer was awaited, and nothing tells which is "+
				"the run's: %s", azure.Place(a.Storage), len(found), strings.Join(found, ", ")),
			Hint: "Somebody else backs this HSM up into the same container. Give Lifeboat a container of its own, and ask for " +
				"the backup again.",
		}
	}
	f, err := p.list(ctx, a.Storage, found[0], false)
	if err != nil {
		return "", azure.Listing(a.Storage).Fault(err)
	}
	if wait := a.Settled - f.now.Sub(f.newest); f.size == 0 || wait > 0 {
		return "", &backup.Fault{
			Kind: backup.Deferred, Code: "StillBeingWritten",
			Message: fmt.Sprintf("%s in %s was still being written at %s", found[0], azure.Place(a.Storage),
				f.newest.UTC().Format(time.RFC3339)),
			Hint: "It is looked at again by itself.",
		}
	}
	return found[0], nil
}

// stamped are the HSM's folders that say that they were begun in one of the attempt's windows, and are no other run's.
func (p *Provider) stamped(ctx context.Context, a backup.Attempt) ([]string, error) {
	client, err := p.azure.Container(a.Storage)
	if err != nil {
		return nil, err
	}
	var found []string
	pages := client.NewListBlobsHierarchyPager("/", &container.ListBlobsHierarchyOptions{Prefix: to.Ptr("mhsm-")})
	for pages.More() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, prefix := range page.Segment.BlobPrefixes {
			folder := strings.TrimSuffix(azure.Deref(prefix.Name), "/")
			begun, ok := stamp(a.Target, folder)
			if ok && !slices.Contains(a.Taken, folder) && slices.ContainsFunc(a.Lost, func(w backup.Window) bool {
				return !begun.Before(w.From.Add(-clockTolerance)) && !begun.After(w.To.Add(clockTolerance))
			}) {
				found = append(found, folder)
			}
		}
	}
	return found, nil
}
