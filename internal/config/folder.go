package config

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// A folder of plans is read as one text: the files one behind the other, in the order of their names, each behind a line with its name and
// length. So the whole of it is active, or refused, as one plan.yaml is.

// fileMark begins the line before a file. It is a comment of YAML.
const fileMark = "# Lifeboat's file "

// oneFile is a file of plans with its name in errors.
type oneFile struct {
	name string
	text []byte
}

// join makes the text of a folder.
func join(location string, files []oneFile) ([]byte, error) {
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: the folder has no file whose name ends in .yaml or .yml", location)
	}
	sort.Slice(files, func(i, j int) bool { return files[i].name < files[j].name })
	var b bytes.Buffer
	for _, f := range files {
		text := bytes.TrimRight(f.text, "\r\n")
		fmt.Fprintf(&b, "%s%d %q\n%s\n", fileMark, len(text), f.name, text)
	}
	if b.Len() > longestPlan {
		return nil, tooLong(location)
	}
	return b.Bytes(), nil
}

func tooLong(location string) error {
	return fmt.Errorf("%s: the files are too long: they may have at most %d bytes together, 1 MiB; put some of the plans into the folder of "+
		"another app", location, longestPlan)
}

// split takes the text of a folder apart. Any other text is one file of that name.
func split(location string, text []byte) (files []oneFile, err error) {
	if !bytes.HasPrefix(text, []byte(fileMark)) {
		return []oneFile{{location, text}}, nil
	}
	for len(text) > 0 {
		line, rest, _ := bytes.Cut(text, []byte("\n"))
		f, n := oneFile{}, 0
		if _, err := fmt.Sscanf(string(line), fileMark+"%d %q", &n, &f.name); err != nil || n < 0 || n > len(rest) {
			return nil, fmt.Errorf("%s: the first line of a file begins with %q, which is Lifeboat's own: take it out", location, strings.TrimSpace(fileMark))
		}
		f.name, f.text = strings.TrimSuffix(location, "/")+"/"+f.name, rest[:n]
		files, text = append(files, f), bytes.TrimLeft(rest[n:], "\r\n")
	}
	return files, nil
}

// isPlanFile tells whether a name in a folder is of a file of plans.
func isPlanFile(name string) bool {
	return !strings.HasPrefix(name, ".") && slices.Contains([]string{".yaml", ".yml"}, strings.ToLower(path.Ext(name)))
}

// readFolder reads the files of a folder of this machine.
func readFolder(location string) ([]byte, error) {
	entries, err := os.ReadDir(location)
	if err != nil {
		return nil, err
	}
	var files []oneFile
	for _, e := range entries {
		if e.IsDir() || !isPlanFile(e.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(location, e.Name()))
		if err != nil {
			return nil, err
		}
		files = append(files, oneFile{e.Name(), text})
	}
	return join(location, files)
}

// readPath reads a file, or all files of a folder.
func readPath(location string) ([]byte, error) {
	if info, err := os.Stat(location); err == nil && info.IsDir() {
		return readFolder(location)
	}
	return os.ReadFile(location)
}

// blobFolder is a folder of a container.
type blobFolder struct {
	client *container.Client
	prefix string

	mu sync.Mutex
	// known are the files that were read last, by their names.
	known map[string]knownFile
}

type knownFile struct {
	etag azcore.ETag
	text []byte
}

// openFolder returns the folder at the URL, which ends with a slash.
func openFolder(location string, credential azcore.TokenCredential, options azcore.ClientOptions) (*blobFolder, error) {
	u, err := url.Parse(location)
	if err != nil {
		return nil, err
	}
	name, prefix, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	client, err := container.NewClient("https://"+u.Host+"/"+name, credential, &container.ClientOptions{ClientOptions: options})
	return &blobFolder{client: client, prefix: prefix, known: map[string]knownFile{}}, err
}

// read returns the text of the folder. It costs one list, and one request for each file that has changed. If a file is
// changed between the list and its request, the error is a *[backup.Fault] of the kind Retryable.
func (b *blobFolder) read(ctx context.Context, location string) ([]byte, error) {
	b.mu.Lock()
	known := b.known
	b.mu.Unlock()
	there, files, size := map[string]knownFile{}, []oneFile{}, 0
	for pages := b.client.NewListBlobsHierarchyPager("/", &container.ListBlobsHierarchyOptions{Prefix: &b.prefix}); pages.More(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, item := range page.Segment.BlobItems {
			name := strings.TrimPrefix(*item.Name, b.prefix)
			if !isPlanFile(name) || item.Properties == nil || item.Properties.ETag == nil {
				continue
			}
			one, read := known[name]
			if !read || one.etag != *item.Properties.ETag {
				if one, err = b.get(ctx, *item.Name, *item.Properties.ETag); err != nil {
					return nil, err
				}
			}
			there[name], files = one, append(files, oneFile{name, one.text})
			if size += len(one.text); size > longestPlan {
				return nil, tooLong(location)
			}
		}
	}
	b.mu.Lock()
	b.known = there
	b.mu.Unlock()
	return join(location, files)
}

func (b *blobFolder) get(ctx context.Context, name string, etag azcore.ETag) (knownFile, error) {
	answer, err := b.client.NewBlobClient(name).DownloadStream(ctx, &blob.DownloadStreamOptions{AccessConditions: &blob.AccessConditions{
		ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfMatch: &etag},
	}})
	if azure.HasStatus(err, http.StatusPreconditionFailed, http.StatusNotFound) {
		return knownFile{}, &backup.Fault{Kind: backup.Retryable, Code: "PlanUnreachable", Message: "the plan's file " + name + " was changed while the folder was read"}
	}
	if err != nil {
		return knownFile{}, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, longestPlan+1))
	return knownFile{etag, text}, err
}
