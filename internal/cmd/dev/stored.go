package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/directory"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/service"

	"lifeboat/internal/testing/stack"
)

// artifact is the result of a backup: a blob, a folder or a share. The hash of a folder or share is the hash of the list of
// its files.
type artifact struct {
	size   int64
	sha256 string
}

// stored returns the artifacts in the account of the backups. Their names begin with the name of the container.
func (s *scene) stored(ctx context.Context) (map[string]artifact, error) {
	found := map[string]artifact{}
	if err := s.storedBlobs(ctx, found); err != nil {
		return nil, err
	}
	return found, s.storedShares(ctx, found)
}

// storedBlobs reads all blobs with the identity reader.
func (s *scene) storedBlobs(ctx context.Context, found map[string]artifact) error {
	client, err := azblob.NewClient("https://"+stack.Backups+".blob.core.windows.net", s.Sim.Credential(reader),
		&azblob.ClientOptions{ClientOptions: s.options()})
	if err != nil {
		return err
	}
	lists := map[string]string{} // a folder's list has a line for each blob; they come in the order of their names
	for pages := client.NewListBlobsFlatPager(stack.Container, nil); pages.More(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, b := range page.Segment.BlobItems {
			answer, err := client.DownloadStream(ctx, stack.Container, *b.Name, nil)
			if err != nil {
				return err
			}
			size, sum, err := read(answer.Body)
			if err != nil {
				return err
			}
			top, file, isFolder := strings.Cut(*b.Name, "/")
			name := stack.Container + "/" + top
			if isFolder {
				lists[name] += fmt.Sprintf("%s  %s\n", sum, file)
				sum = hashOf(lists[name])
			}
			found[name] = artifact{found[name].size + size, sum}
		}
	}
	return nil
}

// storedShares reads all file shares with the account's key: shares take no tokens.
func (s *scene) storedShares(ctx context.Context, found map[string]artifact) error {
	keys := s.Keys()
	credential, err := service.NewSharedKeyCredential(stack.Backups, keys[len(keys)-1])
	if err != nil {
		return err
	}
	client, err := service.NewClientWithSharedKeyCredential("https://"+stack.Backups+".file.core.windows.net/", credential,
		&service.ClientOptions{ClientOptions: s.options()})
	if err != nil {
		return err
	}
	for pages := client.NewListSharesPager(nil); pages.More(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, share := range page.Shares {
			lines, size, err := listed(ctx, client.NewShareClient(*share.Name).NewRootDirectoryClient(), "")
			if err != nil {
				return err
			}
			slices.SortFunc(lines, func(a, b line) int { return strings.Compare(a.path, b.path) })
			list := ""
			for _, l := range lines {
				list += fmt.Sprintf("%s  %s\n", l.sum, l.path)
			}
			found[stack.Container+"/"+*share.Name] = artifact{size, hashOf(list)}
		}
	}
	return nil
}

// line is a line of the list of a share's files.
type line struct{ sum, path string }

// listed reads the files of a directory and of its subdirectories.
func listed(ctx context.Context, d *directory.Client, at string) (lines []line, size int64, err error) {
	for pages := d.NewListFilesAndDirectoriesPager(nil); pages.More(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, 0, err
		}
		for _, f := range page.Segment.Files {
			answer, err := d.NewFileClient(*f.Name).DownloadStream(ctx, nil)
			if err != nil {
				return nil, 0, err
			}
			n, sum, err := read(answer.Body)
			if err != nil {
				return nil, 0, err
			}
			lines, size = append(lines, line{sum, path.Join(at, *f.Name)}), size+n
		}
		for _, below := range page.Segment.Directories {
			more, n, err := listed(ctx, d.NewSubdirectoryClient(*below.Name), path.Join(at, *below.Name))
			if err != nil {
				return nil, 0, err
			}
			lines, size = append(lines, more...), size+n
		}
	}
	return lines, size, nil
}

// read reads the whole body, closes it, and returns its size in bytes and its SHA-256.
func read(body io.ReadCloser) (size int64, sum string, err error) {
	defer body.Close()
	hash := sha256.New()
	size, err = io.Copy(hash, body)
	return size, fmt.Sprintf("%x", hash.Sum(nil)), err
}

func hashOf(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }
