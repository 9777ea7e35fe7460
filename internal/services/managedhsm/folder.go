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
	"sort"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/lease"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// folderOf returns the folder's name from azureStorageBlobContainerUri, which is the container's URL and the folder; ""
// if there is no folder.
func folderOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || strings.Count(strings.Trim(u.Path, "/"), "/") == 0 {
		return ""
	}
	return path.Base(u.Path)
}

// isFolder reports whether a name can be the name of a folder that an HSM wrote: it has one level, and Lifeboat gives no
// such name.
func isFolder(folder string) bool {
	return strings.HasPrefix(folder, "mhsm-") && !strings.ContainsAny(folder, `/\`)
}

// stamp returns the time at which the backup in the folder began, by the folder's name; false if the name is not a name
// of this HSM. The documentation writes 14 digits, real names have 16, with the hundredths of a second, and the
// specification's example has 17.
func stamp(target, folder string) (time.Time, bool) {
	m := regexp.MustCompile(`(?i)^mhsm-` + regexp.QuoteMeta(name(target)) + `-(\d{14})(\d{0,3})$`).FindStringSubmatch(folder)
	if m == nil {
		return time.Time{}, false
	}
	// Go reads a fraction behind the seconds although the layout has none.
	t, err := time.Parse("20060102150405", strings.TrimSuffix(m[1]+"."+m[2], "."))
	return t, err == nil
}

// folder holds the blobs of a backup in the container.
type folder struct {
	azure.Listed
	// directories holds the directories of an account with a hierarchical namespace, innermost first.
	directories []string
	// others are the names of blobs that are no files of the backup.
	others []string
}

// holdsOthers reports whether a blob that is no file of the backup lies in the directory.
func (f folder) holdsOthers(directory string) bool {
	return slices.ContainsFunc(f.others, func(name string) bool { return strings.HasPrefix(name, directory+"/") })
}

// list reads the present files of the backup in the folder: all, unless the attempt knows which files it was verified with. If
// protection is true, list also reads their immutability policies and legal holds.
func (p *Provider) list(ctx context.Context, a backup.Attempt, protection bool) (folder, error) {
	var f folder
	client, err := p.azure.Container(a.Storage)
	if err != nil {
		return f, err
	}
	name, own := a.Artifact, map[string]bool{}
	for _, file := range a.Files {
		own[name+"/"+file.Name] = true
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
		if f.Now.IsZero() {
			f.Now = azure.Deref(page.Date)
		}
		for _, item := range page.Segment.BlobItems {
			if item.Name == nil || item.Properties == nil {
				continue
			}
			if isDirectory(item.Metadata) {
				f.directories = append(f.directories, *item.Name)
				continue
			}
			if len(own) > 0 && !own[*item.Name] {
				f.others = append(f.others, *item.Name)
				continue
			}
			f.Add(azure.File{
				Name: *item.Name, Size: azure.Deref(item.Properties.ContentLength), ETag: string(azure.Deref(item.Properties.ETag)),
				Modified: azure.Deref(item.Properties.LastModified),
				Until:    azure.Deref(item.Properties.ImmutabilityPolicyExpiresOn), Held: azure.Deref(item.Properties.LegalHold),
				Leased: azure.Deref(item.Properties.LeaseStatus) == lease.StatusTypeLocked,
			})
		}
	}
	sort.Slice(f.Files, func(i, j int) bool { return f.Files[i].Name < f.Files[j].Name })
	slices.SortFunc(f.directories, func(a, b string) int { return strings.Compare(b, a) })
	return f, nil
}

// isDirectory reports whether a blob stands for a directory of a hierarchical namespace.
func isDirectory(metadata map[string]*string) bool {
	for name, value := range metadata {
		if strings.EqualFold(name, "hdi_isfolder") && azure.Deref(value) == "true" {
			return true
		}
	}
	return false
}

// fingerprint identifies the present state of the folder: the time of its last write, the number of its files, and a hash of
// all names, sizes and ETags.
func (f folder) fingerprint() string {
	sum := sha256.New()
	for _, file := range f.Files {
		fmt.Fprintf(sum, "%s\n%d\n%s\n", file.Name, file.Size, file.ETag)
	}
	return fmt.Sprintf("%d-%d-%s", f.Newest.Unix(), len(f.Files), hex.EncodeToString(sum.Sum(nil)))
}

// isRestOf reports whether the folder is the folder of the print, or the rest of that folder after an interrupted
// deletion.
func (f folder) isRestOf(print string) bool {
	if print == "" || f.fingerprint() == print {
		return true
	}
	var newest, files int64
	var sum string
	if _, err := fmt.Sscanf(print, "%d-%d-%s", &newest, &files, &sum); err != nil {
		return false
	}
	return int64(len(f.Files)) < files && f.Newest.Unix() <= newest
}

// Find looks for the folder of a backup whose answer was lost. A folder's name has the time at which the backup began, so
// exactly one folder of this HSM may lie within the times at which the requests were sent. The HSM does not show its work
// to others: the folder counts as complete once nothing in it has changed for a while, by the storage's own clock.
func (p *Provider) Find(ctx context.Context, a backup.Attempt) (string, error) {
	if _, err := parseTarget(a.Target); err != nil {
		return "", err
	}
	if len(a.Lost) == 0 {
		return "", nil
	}
	found, err := p.stamped(ctx, a)
	switch {
	case bloberror.HasCode(err, bloberror.ContainerNotFound):
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
			Hint: "Another program backs up this HSM into the same container. Give Lifeboat a container of its own, and ask for " +
				"the backup again.",
		}
	}
	a.Artifact = found[0]
	f, err := p.list(ctx, a, false)
	if err != nil {
		return "", azure.Listing(a.Storage).Fault(err)
	}
	if wait := a.QuietPeriod - f.Now.Sub(f.Newest); f.Size == 0 || wait > 0 {
		return "", azure.StillWritten(found[0]+" in "+azure.Place(a.Storage), f.Newest)
	}
	return found[0], nil
}

// stamped lists the HSM's folders whose names lie in one of the attempt's windows, without the folders of other runs.
func (p *Provider) stamped(ctx context.Context, a backup.Attempt) (found []string, err error) {
	all, err := p.folders(ctx, a.Target, a.Storage)
	for _, folder := range all {
		if !slices.Contains(a.Taken, folder.Name) && slices.ContainsFunc(a.Lost, func(w backup.Window) bool {
			return !folder.Made.Before(w.From.Add(-clockTolerance)) && !folder.Made.After(w.To.Add(clockTolerance))
		}) {
			found = append(found, folder.Name)
		}
	}
	return found, err
}

// Artifacts implements [backup.Lister].
func (p *Provider) Artifacts(ctx context.Context, target string, in backup.Storage) ([]backup.Artifact, error) {
	found, err := p.folders(ctx, target, in)
	switch {
	case bloberror.HasCode(err, bloberror.ContainerNotFound):
		return nil, nil
	case err != nil:
		return nil, azure.Listing(in).Fault(err)
	}
	return found, nil
}

// folders lists the HSM's folders, with the times of their stamps.
func (p *Provider) folders(ctx context.Context, target string, in backup.Storage) (found []backup.Artifact, err error) {
	client, err := p.azure.Container(in)
	if err != nil {
		return nil, err
	}
	pages := client.NewListBlobsHierarchyPager("/", &container.ListBlobsHierarchyOptions{Prefix: to.Ptr("mhsm-")})
	for pages.More() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, prefix := range page.Segment.BlobPrefixes {
			folder := strings.TrimSuffix(azure.Deref(prefix.Name), "/")
			if begun, ok := stamp(target, folder); ok {
				found = append(found, backup.Artifact{Name: folder, Made: begun})
			}
		}
	}
	return found, nil
}
