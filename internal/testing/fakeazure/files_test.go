package fakeazure_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/directory"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/file"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/sas"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/service"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/share"

	"lifeboat/internal/testing/fakeazure"
)

const filesURL = "https://" + accountName + ".file.core.windows.net/"

// startWithFiles runs a Sim whose account has a file service; it needs no emulator.
func startWithFiles(t *testing.T, change ...func(*fakeazure.StorageAccount)) *fakeazure.Sim {
	t.Helper()
	s := start(t)
	account := fakeazure.StorageAccount{Name: accountName, ResourceID: accountID, Key: accountKey}
	for _, f := range change {
		f(&account)
	}
	must(t, s.Storage(account))
	return s
}

func newFileService(t *testing.T, s *fakeazure.Sim) *service.Client {
	t.Helper()
	key, err := service.NewSharedKeyCredential(accountName, accountKey)
	must(t, err)
	client, err := service.NewClientWithSharedKeyCredential(filesURL, key,
		&service.ClientOptions{ClientOptions: clientOptions(s)})
	must(t, err)
	return client
}

// accountSAS signs an account SAS with the SDK.
func accountSAS(t *testing.T, change func(*sas.AccountSignatureValues)) string {
	t.Helper()
	key, err := service.NewSharedKeyCredential(accountName, accountKey)
	must(t, err)
	v := sas.AccountSignatureValues{
		Permissions: "rwdlc", ResourceTypes: "sco", Protocol: sas.ProtocolHTTPS, ExpiryTime: time.Now().UTC().Add(time.Hour),
	}
	if change != nil {
		change(&v)
	}
	q, err := v.SignWithSharedKey(key)
	must(t, err)
	return q.Encode()
}

func withSAS(t *testing.T, s *fakeazure.Sim, token string) *service.Client {
	t.Helper()
	client, err := service.NewClientWithNoCredential(filesURL+"?"+token,
		&service.ClientOptions{ClientOptions: clientOptions(s)})
	must(t, err)
	return client
}

func wantCode(t *testing.T, what string, err error, status int, code string) {
	t.Helper()
	var refused *azcore.ResponseError
	if !errors.As(err, &refused) || refused.StatusCode != status || refused.ErrorCode != code {
		t.Errorf("%s: %v, want %d %s", what, err, status, code)
	}
}

func listShares(t *testing.T, c *service.Client, o *service.ListSharesOptions) (names []string, pages int) {
	t.Helper()
	for pager := c.NewListSharesPager(o); pager.More(); pages++ {
		page, err := pager.NextPage(t.Context())
		must(t, err)
		for _, s := range page.Shares {
			name := *s.Name
			if s.Snapshot != nil {
				name += "@"
			}
			if s.Metadata != nil {
				for key, value := range s.Metadata {
					name += " " + key + "=" + *value
				}
			}
			names = append(names, name)
		}
	}
	return names, pages
}

func TestFileShares(t *testing.T) {
	t.Parallel()
	s := startWithFiles(t)
	c := newFileService(t, s)
	for _, name := range []string{"app-1", "app-2", "other"} {
		_, err := c.CreateShare(t.Context(), name, &service.CreateShareOptions{
			Metadata: map[string]*string{"made": to.Ptr("by " + name)}, Quota: to.Ptr(int32(7)),
		})
		must(t, err)
	}
	_, err := c.CreateShare(t.Context(), "app-1", nil)
	wantCode(t, "twice", err, 409, "ShareAlreadyExists")
	one := c.NewShareClient("app-1")
	properties, err := one.GetProperties(t.Context(), nil)
	must(t, err)
	if *properties.Quota != 7 || *properties.Metadata["Made"] != "by app-1" || properties.LastModified.IsZero() {
		t.Errorf("properties %+v", properties)
	}
	if names, pages := listShares(t, c, nil); !slices.Equal(names, []string{"app-1", "app-2", "other"}) || pages != 1 {
		t.Errorf("shares %v in %d pages", names, pages)
	}
	names, pages := listShares(t, c, &service.ListSharesOptions{Prefix: to.Ptr("app-"), MaxResults: to.Ptr(int32(1))})
	if !slices.Equal(names, []string{"app-1", "app-2"}) || pages != 2 {
		t.Errorf("shares %v in %d pages", names, pages)
	}
	if names, _ := listShares(t, c, &service.ListSharesOptions{Prefix: to.Ptr("nothing")}); len(names) != 0 {
		t.Errorf("shares %v", names)
	}

	_, err = one.NewRootDirectoryClient().NewFileClient("f").Create(t.Context(), 3, nil)
	must(t, err)
	statistics, err := one.GetStatistics(t.Context(), nil)
	must(t, err)
	if *statistics.ShareUsageBytes != 3 {
		t.Errorf("usage %d", *statistics.ShareUsageBytes)
	}
	snapshot, err := one.CreateSnapshot(t.Context(), nil)
	must(t, err)
	again, err := one.CreateSnapshot(t.Context(), nil)
	must(t, err)
	if *snapshot.Snapshot >= *again.Snapshot {
		t.Errorf("snapshots %s, %s", *snapshot.Snapshot, *again.Snapshot)
	}
	names, pages = listShares(t, c, &service.ListSharesOptions{
		Prefix: to.Ptr("app-1"), Include: service.ListSharesInclude{Metadata: true, Snapshots: true}, MaxResults: to.Ptr(int32(2)),
	})
	if want := []string{"app-1@ made=by app-1", "app-1@ made=by app-1", "app-1 made=by app-1"}; pages != 2 ||
		!slices.Equal(names, want) {
		t.Errorf("shares %q in %d pages", names, pages)
	}
	_, err = one.NewRootDirectoryClient().NewFileClient("f").Delete(t.Context(), nil)
	must(t, err)
	old, err := one.WithSnapshot(*snapshot.Snapshot)
	must(t, err)
	_, err = old.NewRootDirectoryClient().NewFileClient("f").GetProperties(t.Context(), nil)
	must(t, err)
	_, err = one.NewRootDirectoryClient().NewFileClient("f").GetProperties(t.Context(), nil)
	wantCode(t, "deleted in the live share", err, 404, "ResourceNotFound")
	page, err := old.NewRootDirectoryClient().NewListFilesAndDirectoriesPager(
		&directory.ListFilesAndDirectoriesOptions{ShareSnapshot: snapshot.Snapshot}).NextPage(t.Context())
	must(t, err)
	if len(page.Segment.Files) != 1 || *page.Segment.Files[0].Name != "f" {
		t.Errorf("snapshot holds %+v", page.Segment)
	}

	_, err = one.Delete(t.Context(), nil)
	wantCode(t, "with snapshots", err, 409, "ShareHasSnapshots")
	_, err = one.Delete(t.Context(), &share.DeleteOptions{ShareSnapshot: snapshot.Snapshot})
	must(t, err)
	_, err = one.Delete(t.Context(), &share.DeleteOptions{ShareSnapshot: snapshot.Snapshot})
	wantCode(t, "a snapshot twice", err, 404, "ShareNotFound")
	_, err = one.Delete(t.Context(), &share.DeleteOptions{DeleteSnapshots: to.Ptr(share.DeleteSnapshotsOptionTypeInclude)})
	must(t, err)
	_, err = one.Delete(t.Context(), nil)
	wantCode(t, "deleted twice", err, 404, "ShareNotFound")
	_, err = one.GetProperties(t.Context(), nil)
	wantCode(t, "deleted", err, 404, "ShareNotFound")
}

func TestFiles(t *testing.T) {
	t.Parallel()
	s := startWithFiles(t)
	c := newFileService(t, s)
	_, err := c.CreateShare(t.Context(), "files", nil)
	must(t, err)
	root := c.NewShareClient("files").NewRootDirectoryClient()
	ledger := c.NewShareClient("files").NewDirectoryClient("Ledger")
	_, err = ledger.NewFileClient("a").Create(t.Context(), 1, nil)
	wantCode(t, "no parent", err, 404, "ParentNotFound")
	_, err = ledger.Create(t.Context(), nil)
	must(t, err)
	_, err = c.NewShareClient("files").NewDirectoryClient("ledger").Create(t.Context(), nil)
	wantCode(t, "another case", err, 409, "ResourceAlreadyExists")
	_, err = ledger.GetProperties(t.Context(), nil)
	must(t, err)
	_, err = root.NewFileClient("ledger").Create(t.Context(), 1, nil)
	wantCode(t, "a file in the place of a directory", err, 409, "ResourceTypeMismatch")

	content := bytes.Repeat([]byte("0123456789"), 700_000) // more than one range
	f := ledger.NewFileClient("ledger_1-5.committed")
	_, err = f.Create(t.Context(), int64(len(content)), nil)
	must(t, err)
	must(t, f.UploadBuffer(t.Context(), content, nil))
	properties, err := f.GetProperties(t.Context(), nil)
	must(t, err)
	if *properties.ContentLength != int64(len(content)) || time.Since(*properties.LastModified) > time.Minute ||
		properties.FileLastWriteTime.IsZero() {
		t.Errorf("properties %+v", properties)
	}
	var got bytes.Buffer
	stream, err := f.DownloadStream(t.Context(), nil)
	must(t, err)
	_, err = got.ReadFrom(stream.Body)
	must(t, errors.Join(err, stream.Body.Close()))
	if !bytes.Equal(got.Bytes(), content) || *stream.ETag != *properties.ETag {
		t.Error("read something else than what was written")
	}
	part, err := f.DownloadStream(t.Context(), &file.DownloadStreamOptions{
		Range: file.HTTPRange{Offset: 5, Count: 10}, RangeGetContentMD5: to.Ptr(true),
	})
	must(t, err)
	got.Reset()
	_, err = got.ReadFrom(part.Body)
	must(t, errors.Join(err, part.Body.Close()))
	if sum := md5.Sum(got.Bytes()); got.String() != "5678901234" || *part.ContentRange != "bytes 5-14/7000000" ||
		!bytes.Equal(part.ContentMD5, sum[:]) {
		t.Errorf("range %q, %v", got.String(), *part.ContentRange)
	}
	_, err = f.DownloadStream(t.Context(), &file.DownloadStreamOptions{Range: file.HTTPRange{Offset: 7_000_000}})
	wantCode(t, "behind the end", err, 416, "InvalidRange")
	_, err = f.UploadRange(t.Context(), 6_999_999, streaming.NopCloser(strings.NewReader("too long")), nil)
	wantCode(t, "beyond the end", err, 416, "InvalidRange")
	_, err = f.ClearRange(t.Context(), file.HTTPRange{Offset: 0, Count: 3}, nil)
	must(t, err)
	if changed, err := f.GetProperties(t.Context(), nil); err != nil || *changed.ETag == *properties.ETag {
		t.Errorf("the ETag stays: %v", err)
	}

	for _, name := range []string{"b", "A", "c"} {
		_, err = root.NewFileClient(name).Create(t.Context(), 1, nil)
		must(t, err)
	}
	var found []string
	pages := 0
	for pager := root.NewListFilesAndDirectoriesPager(&directory.ListFilesAndDirectoriesOptions{
		MaxResults: to.Ptr(int32(3)), Include: directory.ListFilesInclude{Timestamps: true, ETag: true, Attributes: true},
	}); pager.More(); pages++ {
		page, err := pager.NextPage(t.Context())
		must(t, err)
		for _, d := range page.Segment.Directories {
			found = append(found, *d.Name+"/")
		}
		for _, f := range page.Segment.Files {
			found = append(found, *f.Name)
			if *f.Properties.ContentLength != 1 || f.Properties.LastModified.IsZero() || *f.Properties.ETag == "" {
				t.Errorf("%s: %+v", *f.Name, f.Properties)
			}
		}
	}
	if !slices.Equal(found, []string{"A", "b", "c", "Ledger/"}) || pages != 2 {
		t.Errorf("found %q in %d pages", found, pages)
	}
	_, err = ledger.Delete(t.Context(), nil)
	wantCode(t, "a full directory", err, 409, "DirectoryNotEmpty")
	_, err = f.Delete(t.Context(), nil)
	must(t, err)
	_, err = f.GetProperties(t.Context(), nil)
	wantCode(t, "deleted", err, 404, "ResourceNotFound")
	_, err = ledger.Delete(t.Context(), nil)
	must(t, err)
}

func TestFilesPageAndAge(t *testing.T) {
	t.Parallel()
	s := startWithFiles(t, func(a *fakeazure.StorageAccount) { a.PageSize = 2 })
	c := newFileService(t, s)
	for _, name := range []string{"one", "two", "three"} {
		_, err := c.CreateShare(t.Context(), name, nil)
		must(t, err)
		_, err = c.NewShareClient(name).NewRootDirectoryClient().NewFileClient("f").Create(t.Context(), 1, nil)
		must(t, err)
	}
	if names, pages := listShares(t, c, nil); len(names) != 3 || pages != 2 {
		t.Errorf("%v in %d pages", names, pages)
	}
	must(t, s.AgeShare(accountName, "two", 100*24*time.Hour))
	properties, err := c.NewShareClient("two").NewRootDirectoryClient().NewFileClient("f").GetProperties(t.Context(), nil)
	must(t, err)
	if age := time.Since(*properties.LastModified); age < 99*24*time.Hour {
		t.Errorf("%v old", age)
	}
	if err := s.AgeShare(accountName, "none", time.Hour); err == nil {
		t.Error("no share grew older")
	}
}

func TestAccountSASIsChecked(t *testing.T) {
	t.Parallel()
	s := startWithFiles(t)
	own := newFileService(t, s)
	_, err := own.CreateShare(t.Context(), "share", nil)
	must(t, err)
	_, err = own.NewShareClient("share").NewRootDirectoryClient().NewFileClient("f").Create(t.Context(), 1, nil)
	must(t, err)
	type client = *service.Client
	operations := map[string]struct {
		types, permissions string
		do                 func(context.Context, client) error
	}{
		"list shares": {"s", "l", func(ctx context.Context, c client) error {
			_, err := c.NewListSharesPager(nil).NextPage(ctx)
			return err
		}},
		"create share": {"c", "cw", func(ctx context.Context, c client) error {
			_, err := c.CreateShare(ctx, unique("made"), nil)
			return err
		}},
		"snapshot": {"c", "cw", func(ctx context.Context, c client) error {
			_, err := c.NewShareClient("share").CreateSnapshot(ctx, nil)
			return err
		}},
		"share properties": {"c", "r", func(ctx context.Context, c client) error {
			_, err := c.NewShareClient("share").GetProperties(ctx, nil)
			return err
		}},
		"statistics": {"c", "r", func(ctx context.Context, c client) error {
			_, err := c.NewShareClient("share").GetStatistics(ctx, nil)
			return err
		}},
		"list files": {"c", "l", func(ctx context.Context, c client) error {
			_, err := c.NewShareClient("share").NewRootDirectoryClient().NewListFilesAndDirectoriesPager(nil).NextPage(ctx)
			return err
		}},
		"create directory": {"o", "cw", func(ctx context.Context, c client) error {
			_, err := c.NewShareClient("share").NewDirectoryClient(unique("d")).Create(ctx, nil)
			return err
		}},
		"directory properties": {"o", "r", func(ctx context.Context, c client) error {
			_, err := c.NewShareClient("share").NewRootDirectoryClient().GetProperties(ctx, nil)
			return err
		}},
		"create file": {"o", "cw", func(ctx context.Context, c client) error {
			_, err := c.NewShareClient("share").NewRootDirectoryClient().NewFileClient(unique("f")).Create(ctx, 1, nil)
			return err
		}},
		"write": {"o", "w", func(ctx context.Context, c client) error {
			_, err := c.NewShareClient("share").NewRootDirectoryClient().NewFileClient("f").
				UploadRange(ctx, 0, streaming.NopCloser(strings.NewReader("x")), nil)
			return err
		}},
		"read": {"o", "r", func(ctx context.Context, c client) error {
			got, err := c.NewShareClient("share").NewRootDirectoryClient().NewFileClient("f").DownloadStream(ctx, nil)
			if err == nil {
				err = got.Body.Close()
			}
			return err
		}},
		"delete": {"o", "d", func(ctx context.Context, c client) error {
			name := unique("gone")
			if _, err := own.NewShareClient("share").NewRootDirectoryClient().NewFileClient(name).Create(ctx, 1, nil); err != nil {
				return err
			}
			_, err := c.NewShareClient("share").NewRootDirectoryClient().NewFileClient(name).Delete(ctx, nil)
			return err
		}},
		"delete share": {"c", "d", func(ctx context.Context, c client) error {
			name := unique("gone")
			if _, err := own.CreateShare(ctx, name, nil); err != nil {
				return err
			}
			_, err := c.DeleteShare(ctx, name, nil)
			return err
		}},
	}
	for name, operation := range operations {
		t.Run(name, func(t *testing.T) {
			for _, types := range []string{"s", "c", "o"} {
				for _, permission := range []string{"r", "w", "d", "l", "c"} {
					token := accountSAS(t, func(v *sas.AccountSignatureValues) { v.ResourceTypes, v.Permissions = types, permission })
					err := operation.do(t.Context(), withSAS(t, s, token))
					what := "srt=" + types + " sp=" + permission
					switch {
					case types != operation.types:
						wantCode(t, what, err, 403, "AuthorizationResourceTypeMismatch")
					case !strings.Contains(operation.permissions, permission):
						wantCode(t, what, err, 403, "AuthorizationPermissionMismatch")
					case err != nil:
						t.Errorf("%s: %v", what, err)
					}
				}
			}
		})
	}
}

func TestSASIsRefused(t *testing.T) {
	t.Parallel()
	s := startWithFiles(t)
	good := accountSAS(t, nil)
	// azfile signs in the form of 2020-12-06, whatever the version.
	old := accountSAS(t, func(v *sas.AccountSignatureValues) { v.Version = "2019-12-12" })
	if _, err := withSAS(t, s, good).NewListSharesPager(nil).NextPage(t.Context()); err != nil {
		t.Errorf("as it should be: %v", err)
	}
	now := time.Now().UTC()
	for name, tt := range map[string]struct {
		token  string
		status int
		code   string
	}{
		"another version": {old, 403, "AuthenticationFailed"},
		"signature":       {strings.Replace(good, "sp=rwdlc", "sp=rwlc", 1), 403, "AuthenticationFailed"},
		"no signature":    {good[:strings.Index(good, "&sig=")], 401, "NoAuthenticationInformation"},
		"expired": {
			accountSAS(t, func(v *sas.AccountSignatureValues) { v.ExpiryTime = now.Add(-time.Minute) }), 403,
			"AuthenticationFailed",
		},
		"not yet": {
			accountSAS(t, func(v *sas.AccountSignatureValues) { v.StartTime = now.Add(time.Hour) }), 403,
			"AuthenticationFailed",
		},
		"started": {accountSAS(t, func(v *sas.AccountSignatureValues) { v.StartTime = now.Add(-time.Hour) }), 200, ""},
		"address": {
			accountSAS(t, func(v *sas.AccountSignatureValues) { v.IPRange.Start = []byte{10, 0, 0, 1} }), 403,
			"AuthorizationSourceIPMismatch",
		},
		"own address": {accountSAS(t, func(v *sas.AccountSignatureValues) { v.IPRange.Start = []byte{127, 0, 0, 1} }), 200, ""},
		"version":     {strings.Replace(good, "sv=2", "sv=9", 1), 403, "AuthenticationFailed"},
		"no end":      {strings.Replace(good, "se=", "x=", 1), 403, "AuthenticationFailed"},
	} {
		got := sendFile(t, s, "GET", "?comp=list&"+tt.token, nil)
		if got.StatusCode != tt.status || got.Header.Get("X-Ms-Error-Code") != tt.code ||
			!strings.Contains(string(got.body), "<Code>"+tt.code+"</Code>") != (tt.code == "") {
			t.Errorf("%s: %d %s\n%s", name, got.StatusCode, got.Header.Get("X-Ms-Error-Code"), got.body)
		}
	}
	for service, want := range map[string]string{"b": "AuthorizationServiceMismatch", "bqt": "AuthorizationServiceMismatch"} {
		token := signAccountSAS(service, "sco", "rwdlc", now.Add(time.Hour))
		if got := sendFile(t, s, "GET", "?comp=list&"+token, nil); got.Header.Get("X-Ms-Error-Code") != want {
			t.Errorf("ss=%s: %d %s", service, got.StatusCode, got.body)
		}
	}
	if got := sendFile(t, s, "GET", "?comp=list&"+signAccountSAS("bf", "s", "l", now.Add(time.Hour)), nil); got.StatusCode != 200 {
		t.Errorf("own signature: %d %s", got.StatusCode, got.body)
	}
	if got := sendFile(t, s, "GET", "?comp=list&"+signAccountSAS("f", "s", "l", now.Add(time.Hour)),
		map[string]string{"Authorization": "SharedKey " + accountName + ":AAAA"}); got.StatusCode != 403 {
		t.Errorf("both: %d %s", got.StatusCode, got.body)
	}
}

func TestServiceSASReachesFilesOnly(t *testing.T) {
	t.Parallel()
	s := startWithFiles(t)
	own := newFileService(t, s)
	_, err := own.CreateShare(t.Context(), "share", nil)
	must(t, err)
	_, err = own.CreateShare(t.Context(), "other", nil)
	must(t, err)
	url, err := own.NewShareClient("share").GetSASURL(sas.SharePermissions{Read: true, List: true, Create: true, Delete: true},
		time.Now().Add(time.Hour), nil)
	must(t, err)
	open := func(url string) *share.Client {
		t.Helper()
		c, err := share.NewClientWithNoCredential(url, &share.ClientOptions{ClientOptions: clientOptions(s)})
		must(t, err)
		return c
	}
	c := open(url)
	_, err = c.NewRootDirectoryClient().NewListFilesAndDirectoriesPager(nil).NextPage(t.Context())
	must(t, err)
	_, err = c.NewRootDirectoryClient().NewFileClient("f").Create(t.Context(), 1, nil)
	must(t, err)
	_, err = c.NewRootDirectoryClient().NewFileClient("f").
		UploadRange(t.Context(), 0, streaming.NopCloser(strings.NewReader("x")), nil)
	wantCode(t, "write", err, 403, "AuthorizationPermissionMismatch")
	_, err = c.GetProperties(t.Context(), nil)
	wantCode(t, "share properties", err, 403, "AuthorizationFailure")
	_, err = c.Delete(t.Context(), nil)
	wantCode(t, "delete share", err, 403, "AuthorizationFailure")
	_, err = open(strings.Replace(url, "/share?", "/other?", 1)).NewRootDirectoryClient().
		NewListFilesAndDirectoriesPager(nil).NextPage(t.Context())
	wantCode(t, "another share", err, 403, "AuthenticationFailed")
	fileURL, err := own.NewShareClient("share").NewRootDirectoryClient().NewFileClient("f").
		GetSASURL(sas.FilePermissions{Read: true}, time.Now().Add(time.Hour), nil)
	must(t, err)
	one, err := file.NewClientWithNoCredential(fileURL, &file.ClientOptions{ClientOptions: clientOptions(s)})
	must(t, err)
	_, err = one.GetProperties(t.Context(), nil)
	must(t, err)
}

func TestFilesByKeyAndToken(t *testing.T) {
	t.Parallel()
	s := startWithFiles(t)
	s.Assign(s.ObjectID("app"), accountID, fakeazure.StorageFileDataPrivilegedContributor)
	own := newFileService(t, s)
	_, err := own.CreateShare(t.Context(), "share", nil)
	must(t, err)
	wrong, err := service.NewSharedKeyCredential(accountName, "AAAA"+accountKey[4:])
	must(t, err)
	c, err := service.NewClientWithSharedKeyCredential(filesURL, wrong, &service.ClientOptions{ClientOptions: clientOptions(s)})
	must(t, err)
	_, err = c.NewListSharesPager(nil).NextPage(t.Context())
	wantCode(t, "wrong key", err, 403, "AuthenticationFailed")
	late := clientOptions(s)
	late.PerCallPolicies = []policy.Policy{setHeader{"x-ms-date", time.Now().Add(-16 * time.Minute).UTC().Format(http.TimeFormat)}}
	right, err := service.NewSharedKeyCredential(accountName, accountKey)
	must(t, err)
	c, err = service.NewClientWithSharedKeyCredential(filesURL, right, &service.ClientOptions{ClientOptions: late})
	must(t, err)
	_, err = c.NewListSharesPager(nil).NextPage(t.Context())
	wantCode(t, "late", err, 403, "AuthenticationFailed")

	byToken := func(identity string, intent *service.ShareTokenIntent) *service.Client {
		t.Helper()
		c, err := service.NewClient(filesURL, s.Credential(identity),
			&service.ClientOptions{ClientOptions: clientOptions(s), FileRequestIntent: intent})
		must(t, err)
		return c
	}
	backup := to.Ptr(service.ShareTokenIntentBackup)
	_, err = byToken("app", backup).NewListSharesPager(nil).NextPage(t.Context())
	wantCode(t, "list shares by token", err, 409, "FileOAuthManagementApiRestrictedToSrp")
	_, err = byToken("app", backup).DeleteShare(t.Context(), "share", nil)
	wantCode(t, "delete a share by token", err, 409, "FileOAuthManagementApiRestrictedToSrp")
	list := func(c *service.Client) error {
		_, err := c.NewShareClient("share").NewRootDirectoryClient().NewListFilesAndDirectoriesPager(nil).NextPage(t.Context())
		return err
	}
	must(t, list(byToken("app", backup)))
	s.Assign(s.ObjectID("reader"), accountID, fakeazure.StorageFileDataPrivilegedReader)
	must(t, list(byToken("reader", backup)))
	wantCode(t, "no intent", list(byToken("app", nil)), 400, "MissingRequiredHeader")
	wantCode(t, "no role", list(byToken("nobody", backup)), 403, "AuthorizationPermissionMismatch")
	root := byToken("app", backup).NewShareClient("share").NewRootDirectoryClient()
	_, err = root.NewFileClient("f").Create(t.Context(), 1, nil)
	must(t, err)
	_, err = byToken("reader", backup).NewShareClient("share").NewRootDirectoryClient().NewFileClient("f").Delete(t.Context(), nil)
	wantCode(t, "a reader deletes", err, 403, "AuthorizationPermissionMismatch")
	_, err = root.NewFileClient("f").Delete(t.Context(), nil)
	must(t, err)

	must(t, s.Storage(fakeazure.StorageAccount{Name: accountName, ResourceID: accountID, Key: accountKey, NoSharedKey: true}))
	_, err = own.NewListSharesPager(nil).NextPage(t.Context())
	wantCode(t, "no keys", err, 403, "KeyBasedAuthenticationNotPermitted")
	_, err = withSAS(t, s, accountSAS(t, nil)).NewListSharesPager(nil).NextPage(t.Context())
	wantCode(t, "no SAS", err, 403, "KeyBasedAuthenticationNotPermitted")
	must(t, list(byToken("app", backup)))
}

// setHeader sets a header before the request is signed.
type setHeader struct{ name, value string }

func (p setHeader) Do(r *policy.Request) (*http.Response, error) {
	r.Raw().Header[p.name] = []string{p.value}
	r.Raw().Header.Set(p.name, p.value)
	return r.Next()
}

func TestFileRequestsAreChecked(t *testing.T) {
	t.Parallel()
	s := startWithFiles(t)
	own := newFileService(t, s)
	_, err := own.CreateShare(t.Context(), "share", nil)
	must(t, err)
	_, err = own.NewShareClient("share").NewRootDirectoryClient().NewFileClient("f").Create(t.Context(), 4, nil)
	must(t, err)
	token := "&" + accountSAS(t, nil)
	for name, tt := range map[string]struct {
		method, url string
		header      map[string]string
		status      int
		code        string
	}{
		"name too short":    {"PUT", "ab?restype=share", nil, 400, "OutOfRangeInput"},
		"name too long":     {"PUT", strings.Repeat("a", 64) + "?restype=share", nil, 400, "OutOfRangeInput"},
		"upper case":        {"PUT", "Share?restype=share", nil, 400, "InvalidResourceName"},
		"two hyphens":       {"PUT", "a--b?restype=share", nil, 400, "InvalidResourceName"},
		"hyphen at the end": {"PUT", "abc-?restype=share", nil, 400, "InvalidResourceName"},
		"file name":         {"GET", "share/a:b?", nil, 400, "InvalidResourceName"},
		"quota":             {"PUT", "sss?restype=share", map[string]string{"x-ms-share-quota": "0"}, 400, "InvalidHeaderValue"},
		"metadata":          {"PUT", "sss?restype=share", map[string]string{"x-ms-meta-a-b": "0"}, 400, "InvalidMetadata"},
		"version":           {"GET", "?comp=list", map[string]string{"x-ms-version": "2099-01-01"}, 400, "InvalidHeaderValue"},
		"no version":        {"GET", "?comp=list", map[string]string{"x-ms-version": ""}, 200, ""}, // the version in the SAS counts
		"unknown operation": {"GET", "?comp=stuff", nil, 400, "InvalidQueryParameterValue"},
		"unknown parameter": {"GET", "?comp=list&what=that", nil, 400, "UnsupportedQueryParameter"},
		"include":           {"GET", "?comp=list&include=all", nil, 400, "InvalidQueryParameterValue"},
		"no page":           {"GET", "?comp=list&maxresults=0", nil, 400, "OutOfRangeQueryParameterValue"},
		"condition":         {"GET", "share/f?", map[string]string{"If-Match": "*"}, 400, "ConditionHeadersNotSupported"},
		"no type":           {"PUT", "share/g?", map[string]string{"x-ms-content-length": "4"}, 400, "InvalidHeaderValue"},
		"no length":         {"PUT", "share/g?", map[string]string{"x-ms-type": "file"}, 400, "InvalidHeaderValue"},
		"range":             {"PUT", "share/f?comp=range", map[string]string{"x-ms-write": "clear"}, 400, "InvalidHeaderValue"},
		"neither update nor clear": {
			"PUT", "share/f?comp=range",
			map[string]string{"x-ms-range": "bytes=0-1"},
			400,
			"InvalidHeaderValue",
		},
		"nothing written": {
			"PUT", "share/f?comp=range",
			map[string]string{"x-ms-range": "bytes=0-1", "x-ms-write": "update"},
			400, "InvalidHeaderValue",
		},
		"a whole file with MD5": {
			"GET", "share/f?",
			map[string]string{"x-ms-range-get-content-md5": "true"},
			400,
			"InvalidHeaderValue",
		},
		"open range":       {"GET", "share/f?", map[string]string{"x-ms-range": "bytes=1-"}, 206, ""},
		"snapshot":         {"GET", "share?restype=share&sharesnapshot=2020-01-01T00:00:00.0000000Z", nil, 404, "ShareNotFound"},
		"how to delete":    {"DELETE", "share?restype=share", map[string]string{"x-ms-delete-snapshots": "x"}, 400, "InvalidHeaderValue"},
		"file as a folder": {"GET", "share/f?restype=directory", nil, 409, "ResourceTypeMismatch"},
		"head":             {"HEAD", "share/nothing?", nil, 404, "ResourceNotFound"},
		"head of a share":  {"HEAD", "share?restype=share", nil, 200, ""},
		"no credentials":   {"GET", "none", nil, 401, "NoAuthenticationInformation"},
		"no share":         {"GET", "noshare/f?", nil, 404, "ShareNotFound"},
	} {
		url := tt.url + token
		if name == "no credentials" {
			url = "share/f"
		}
		got := sendFile(t, s, tt.method, url, tt.header)
		if got.StatusCode != tt.status || got.Header.Get("X-Ms-Error-Code") != tt.code {
			t.Errorf("%s: %d %s\n%s", name, got.StatusCode, got.Header.Get("X-Ms-Error-Code"), got.body)
		}
		if got.Header.Get("X-Ms-Request-Id") == "" {
			t.Errorf("%s: no request ID", name)
		}
	}
}

// sendFile makes one plain request to the file service; a header of "" is left out.
func sendFile(t *testing.T, s *fakeazure.Sim, method, path string, header map[string]string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, filesURL+path, http.NoBody)
	must(t, err)
	req.Header.Set("x-ms-version", "2025-11-05")
	for name, value := range header {
		req.Header.Set(name, value)
		if value == "" {
			req.Header.Del(name)
		}
	}
	client := s.Client()
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	must(t, err)
	defer resp.Body.Close()
	var body bytes.Buffer
	_, err = body.ReadFrom(resp.Body)
	must(t, err)
	return reply{resp, body.Bytes()}
}
