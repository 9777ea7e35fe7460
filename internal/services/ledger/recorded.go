package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
	"lifeboat/internal/services/ledger/ccf"
)

// These are the faults of a copy that is not as it was when the backup was verified, or as a person says that it is.
const (
	ServiceIdentityDiffers ccf.Code = "ServiceIdentityDiffers" // it is of another service; the reason of a suspect backup is called so too

	FactDiffers ccf.Code = "FactDiffers" // it has another last transaction, root or service
	FileDiffers ccf.Code = "FileDiffers" // a file has other bytes, is missing, or is new
)

// compared are the facts of a recovery point that its copy must still have, in words.
var compared = []struct{ fact, words string }{
	{factLast, "last transaction"}, {factSigned, "last signed transaction"}, {factRoot, "root"}, {factService, "service, by the SHA-256 of its key,"},
}

// Compare says how the copy differs from the recovery point. A verifier has read it before, with the report; Compare reads the rest, and
// tells progress how many bytes that are.
func (c *Copy) Compare(ctx context.Context, r ccf.Report, progress func(read int64)) (found []ccf.Finding, err error) {
	has := facts(r)
	for _, f := range compared {
		is, was := backup.FactOf(has, f.fact), backup.FactOf(c.Facts, f.fact)
		if was != "" && is != was {
			found = append(found, ccf.Finding{
				Code: FactDiffers, Text: fmt.Sprintf("the %s is %s, and the recovery point has %s", f.words, orNone(is), was),
			})
		}
	}
	if c.SHA256 == "" {
		return found, nil
	}
	is, files, err := c.sum(ctx, progress)
	if err == nil && c.once.sums.long && is != c.SHA256 { // an older version hashed the long list in the order of the names
		c.order(true)
		is, files, err = c.sum(ctx, progress)
	}
	if err != nil || is == c.SHA256 {
		return found, err
	}
	return append(found, c.differing(ctx, is, files)...), nil
}

func orNone(value string) string {
	if value == "" {
		return "(none)"
	}
	return value
}

// sum reads what is not hashed yet. It returns the hash of the list of all files, and the hashes of a list that is not long.
func (c *Copy) sum(ctx context.Context, progress func(read int64)) (string, []backup.File, error) {
	for begun := c.once.sums.read(); ; progress(c.once.sums.read() - begun) {
		if more, err := c.once.hashNext(ctx); err != nil || !more {
			list, files, each := c.once.sums.all()
			return list, azure.Hashed(files, each, ""), err
		}
	}
}

// differing names the files that are not as the manifest of the recovery point has them.
func (c *Copy) differing(ctx context.Context, sum string, is []backup.File) []ccf.Finding {
	was, err := c.manifest(ctx)
	found := changes(was, is)
	if len(found) > 0 {
		return found
	}
	why := "the manifest of the recovery point names no other file"
	fault, _ := errors.AsType[*backup.Fault](err)
	switch {
	case fault != nil && fault.Code == string(bloberror.AuthorizationPermissionMismatch):
		why = "its manifest would name the file: to read that, your sign-in needs the role Storage Blob Data Reader on the storage account"
	case err != nil:
		why = "its manifest, which would name the file, cannot be read: " + err.Error()
	case was == nil:
		why = "its manifest lists no files"
	}
	return []ccf.Finding{{Code: FileDiffers, Text: fmt.Sprintf("the SHA-256 of the list of its files is %s, and the recovery point has %s; %s", sum, c.SHA256, why)}}
}

// changes tells how files differ; nothing if it is not known how they were.
func changes(was, is []backup.File) (found []ccf.Finding) {
	if len(was) == 0 {
		return nil
	}
	before := map[string]backup.File{}
	for _, f := range was {
		before[f.Name] = f
	}
	tell := func(name, text string) { found = append(found, ccf.Finding{Code: FileDiffers, File: name, Text: text}) }
	now := map[string]bool{}
	for _, f := range is {
		now[f.Name] = true
		switch old, known := before[f.Name]; {
		case !known:
			tell(f.Name, "it was not there when the backup was verified")
		case old.Size != f.Size:
			tell(f.Name, fmt.Sprintf("it has %d bytes, and had %d when the backup was verified", f.Size, old.Size))
		case old.SHA256 != f.SHA256:
			tell(f.Name, fmt.Sprintf("its SHA-256 is %s, and was %s when the backup was verified", f.SHA256, old.SHA256))
		}
	}
	for _, f := range was {
		if !now[f.Name] {
			tell(f.Name, "it was there when the backup was verified, and is missing")
		}
	}
	return found
}

// manifest returns the files of the recovery point, as its manifest has them; nil if that lists none.
func (c *Copy) manifest(ctx context.Context) ([]backup.File, error) {
	in := c.Storage
	in.Container = backup.ManifestFolder
	text, err := azure.Manifests{Client: c.reader.azure}.Read(ctx, in, c.ID+".made.json")
	if err != nil {
		return nil, err
	}
	var m struct{ Files []backup.File }
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("it is no manifest: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return m.Files, nil
}
