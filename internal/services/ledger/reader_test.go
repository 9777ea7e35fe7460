package ledger_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/google/uuid"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
	"lifeboat/internal/services/ledger"
	"lifeboat/internal/services/ledger/ccf"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/fakeazure/ccfwriter"
)

// put writes files into a new share of the account.
func (w world) put(t *testing.T, name string, files []ccfwriter.File) {
	t.Helper()
	service := w.files(t)
	_, err := service.CreateShare(t.Context(), name, nil)
	must(t, err)
	made := map[string]bool{}
	for _, f := range files {
		if in := path.Dir(f.Name); !made[in] {
			made[in] = true
			_, err := service.NewShareClient(name).NewDirectoryClient(in).Create(t.Context(), nil)
			must(t, err)
		}
		file := service.NewShareClient(name).NewRootDirectoryClient().NewFileClient(f.Name)
		_, err := file.Create(t.Context(), int64(len(f.Content)), nil)
		must(t, err)
		_, err = file.UploadRange(t.Context(), 0, streaming.NopCloser(bytes.NewReader(f.Content)), nil)
		must(t, err)
	}
}

// TestALongListIsCompared: the list of many files is hashed in the order of reading, or of the names by an older version. Both are the same
// copy, and any other hash is not.
func TestALongListIsCompared(t *testing.T) {
	w := newWorld(t)
	w.Assign(w.ObjectID("person"), account, fakeazure.StorageFileDataPrivilegedReader)
	l := ccfwriter.New(ccfwriter.V6, 1)
	for len(l.Files()) < 301 {
		l.Transact(10)
		l.Close()
	}
	files := l.Files()
	w.put(t, share, files)
	digest := func(files []ccfwriter.File) string {
		list := sha256.New()
		for _, f := range files {
			fmt.Fprintf(list, "%x  %s\n", sha256.Sum256(f.Content), f.Name)
		}
		return hex.EncodeToString(list.Sum(nil))
	}
	byName := slices.SortedFunc(slices.Values(files), func(a, b ccfwriter.File) int { return strings.Compare(a.Name, b.Name) })
	for _, c := range []struct {
		name, sum string
		same      bool
	}{{"as it was read", digest(files), true}, {"by an older version", digest(byName), true}, {"another", digest(files[1:]), false}} {
		options := azure.Options("v1", uuid.NewString)
		options.Transport = w.Client()
		reader := ledger.NewReader(w.Credential("person"), options, func(context.Context, time.Duration) bool { t.Error("it waits"); return false })
		copied, err := reader.Open(t.Context(), ledger.Recorded{
			ID: "p", Target: ccfs + "contoso", Storage: backup.Storage{Account: account}, Share: share, SHA256: c.sum,
		})
		must(t, err)
		v, err := ccf.New(copied.Source(), ccf.Options{}, nil)
		must(t, err)
		_, err = v.Run(t.Context(), func() bool { return false })
		must(t, err)
		report := v.Report()
		found, err := copied.Compare(t.Context(), report, func(int64) {})
		if err != nil || !report.Proven() || (len(found) == 0) != c.same {
			t.Errorf("%s: %v %+v %+v", c.name, err, found, report.Errors)
		}
	}
}
