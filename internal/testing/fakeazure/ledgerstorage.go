package fakeazure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	filedirectory "github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/directory"
	fileservice "github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/service"
	fileshare "github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/share"
)

// ledgerStorage is the body of a backup, an export or a restore.
type ledgerStorage struct {
	// URI is the file service's address with a SAS of the account behind it.
	URI           string `json:"uri"`
	RestoreRegion string `json:"restoreRegion"`
	FileShareName string `json:"fileShareName"`

	account string
}

// check checks each member by itself, and returns the error, "" if there is none. The words are guesses; none contains the
// SAS.
func (p *ledgerStorage) check(kind LedgerOperationKind) string {
	u, err := url.Parse(p.URI)
	if err != nil {
		return "The uri is malformed."
	}
	parts := fileHost.FindStringSubmatch(u.Host)
	switch {
	case p.URI == "":
		return "The uri is required."
	case u.Scheme != "https" || parts == nil || strings.Trim(u.Path, "/") != "" || u.Fragment != "":
		return "The uri must be the address of a file service, https://{account}.file.core.windows.net/, with a SAS."
	case u.Query().Get("sig") == "":
		return "The uri lacks a shared access signature."
	case p.RestoreRegion != "" && !regionForm.MatchString(region(p.RestoreRegion)):
		return "The restoreRegion is no region."
	case kind == LedgerRestore && p.RestoreRegion == "":
		return "The restoreRegion is required."
	case kind == LedgerRestore && !validShareName(p.FileShareName):
		return "The fileShareName is required, and must be the name of a share."
	case kind != LedgerRestore && p.FileShareName != "":
		return "The fileShareName is not a member of the body."
	}
	p.account = parts[1]
	return ""
}

// ledgerShares is the file service with a ledger's access to it: the SAS, and no other right.
type ledgerShares struct{ *fileservice.Client }

// open returns the file service of an operation.
func (m *ledgers) open(o *ledgerOperation) ledgerShares {
	client, err := fileservice.NewClientWithNoCredential(o.storage.URI, &fileservice.ClientOptions{ClientOptions: azcore.ClientOptions{
		Transport: &http.Client{Transport: fromAzure{m.files}}, Retry: policy.RetryOptions{MaxRetries: -1},
	}})
	if err != nil {
		panic(fmt.Sprintf("fakeazure: %s: %v", o.storage.account, err)) // it cannot fail without a credential
	}
	return ledgerShares{client}
}

// fromAzure sends requests to the file service as a service in Azure does: from an address of the region's, without the proxy.
// The firewall applies, since no documentation has an exception for such a service.
type fromAzure struct{ files *files }

func (t fromAzure) RoundTrip(r *http.Request) (*http.Response, error) {
	if !t.files.knows(r.URL.Host) {
		return nil, &net.DNSError{Err: "no such host", Name: r.URL.Host, IsNotFound: true}
	}
	in := r.Clone(r.Context())
	in.Header = make(http.Header)
	for name, values := range r.Header { // clients may write names in any case, servers read them in one form
		in.Header[http.CanonicalHeaderKey(name)] = values
	}
	in.Host, in.RemoteAddr = r.URL.Host, "20.31.4.9:443"
	if in.Body == nil {
		in.Body = http.NoBody
	}
	account, _ := t.files.storage.account(fileHost.FindStringSubmatch(r.URL.Host)[1])
	var resp *http.Response
	var err error
	if account.Firewall.Deny {
		c := &fileCall{files: t.files, request: in}
		resp = c.refuse(http.StatusForbidden, "AuthorizationFailure", "This request is not authorized to perform this operation.")
	} else {
		resp, err = t.files.answer(in)
	}
	if resp != nil {
		resp.Request, resp.Proto, resp.ProtoMajor, resp.ProtoMinor = r, "HTTP/1.1", 1, 1
		resp.Status = fmt.Sprintf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	return resp, err
}

// storageFailure turns the storage's answer into the error of an operation. The code is a guess; it keeps only the code of the
// storage's answer.
func storageFailure(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	what := "could not be reached"
	var refused *azcore.ResponseError
	if errors.As(err, &refused) {
		what = fmt.Sprintf("answered %d %s", refused.StatusCode, refused.ErrorCode)
	}
	return ledgerFailure{"StorageAccessFailed", "The storage account " + what + "."}
}

// look makes sure that the SAS is sufficient for a start: shares can be listed, and the share of a restore exists.
func (s ledgerShares) look(ctx context.Context, o *ledgerOperation) error {
	if o.Kind == LedgerRestore {
		_, err := s.NewShareClient(o.Share).GetProperties(ctx, nil)
		return storageFailure(err)
	}
	prefix := strings.ToLower(o.ledger.id.name) + "-"
	_, err := s.NewListSharesPager(&fileservice.ListSharesOptions{Prefix: &prefix}).NextPage(ctx)
	return storageFailure(err)
}

// put writes one file, and checks that it exists.
func (s ledgerShares) put(ctx context.Context, name, where string, content []byte) error {
	in := s.NewShareClient(name).NewRootDirectoryClient()
	if d := path.Dir(where); d != "." {
		in = s.NewShareClient(name).NewDirectoryClient(d)
	}
	file := in.NewFileClient(path.Base(where))
	if _, err := file.Create(ctx, int64(len(content)), nil); err != nil {
		return storageFailure(err)
	}
	if err := file.UploadBuffer(ctx, content, nil); err != nil {
		return storageFailure(err)
	}
	_, err := file.GetProperties(ctx, nil)
	return storageFailure(err)
}

// storedFile is a file of a share; its name has no directories.
type storedFile struct {
	name     string
	modified time.Time
	content  []byte
}

// read returns all files of a share, and the region for which the backup was made.
func (s ledgerShares) read(ctx context.Context, name string) (files []storedFile, region string, err error) {
	from := s.NewShareClient(name)
	properties, err := from.GetProperties(ctx, nil)
	if err != nil {
		return nil, "", storageFailure(err)
	}
	if found := properties.Metadata[madeFor]; found != nil {
		region = *found
	}
	files, err = readDirectory(ctx, from, from.NewRootDirectoryClient(), "")
	return files, region, err
}

func readDirectory(ctx context.Context, in *fileshare.Client, at *filedirectory.Client, where string) ([]storedFile, error) {
	var all []storedFile
	pager := at.NewListFilesAndDirectoriesPager(&filedirectory.ListFilesAndDirectoriesOptions{MaxResults: to.Ptr(int32(100))})
	for pager.More() {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return nil, storageFailure(err)
		}
		for _, d := range page.Segment.Directories {
			below := path.Join(where, *d.Name)
			found, err := readDirectory(ctx, in, in.NewDirectoryClient(below), below)
			if err != nil {
				return nil, err
			}
			all = append(all, found...)
		}
		for _, f := range page.Segment.Files {
			got, err := at.NewFileClient(*f.Name).DownloadStream(ctx, nil)
			if err != nil {
				return nil, storageFailure(err)
			}
			content, err := io.ReadAll(got.Body)
			if err := errors.Join(err, got.Body.Close()); err != nil {
				return nil, storageFailure(err)
			}
			all = append(all, storedFile{*f.Name, *got.LastModified, content})
		}
	}
	return all, nil
}
