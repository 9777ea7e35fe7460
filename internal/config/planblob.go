package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// uploadTimeout is the time limit for writing plan.yaml to a blob.
const uploadTimeout = time.Minute

// PlanBlob is a plan.yaml in a blob, for a person who edits it with a sign-in. The app only reads it: see [PlanSource].
type PlanBlob struct {
	// URL is the address of the blob.
	URL string

	account, container, scope string
	client                    *blockblob.Client
	credential                azcore.TokenCredential
}

// NewPlanBlob returns the plan.yaml at the URL. It asks nothing yet.
func NewPlanBlob(location string, credential azcore.TokenCredential, options azcore.ClientOptions) (*PlanBlob, error) {
	if err := checkURL(location, azure.CloudOf(options.Cloud)); err != nil {
		return nil, err
	}
	if strings.HasSuffix(location, "/") {
		return nil, errors.New("it is the URL of a folder: add the name of the file")
	}
	u, _ := url.Parse(location) // checked
	b := &PlanBlob{URL: location, credential: credential, scope: "https://storage.azure.com/.default"}
	b.account, _, _ = strings.Cut(u.Hostname(), ".")
	b.container, _, _ = strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	var err error
	own := azure.New(credential, options)
	b.client, err = blockblob.NewClient(location, own.Credential, &blockblob.ClientOptions{ClientOptions: own.At(u.Hostname())})
	if err != nil {
		return nil, fmt.Errorf("open the blob %s: %w", location, err)
	}
	return b, nil
}

// PlanText is the text of a plan.yaml in a blob, with the version of the blob; the zero value if there is no blob.
type PlanText struct {
	Text []byte
	etag *azcore.ETag
}

// Exists says that there is a blob.
func (p PlanText) Exists() bool { return p.etag != nil }

// Read returns the text as it is now. A missing blob is no error, and a missing container is one.
func (b *PlanBlob) Read(ctx context.Context) (PlanText, error) {
	return b.read(ctx, "Storage Blob Data Reader")
}

func (b *PlanBlob) read(ctx context.Context, role string) (PlanText, error) {
	ctx, cancel := context.WithTimeout(ctx, blobTimeout)
	defer cancel()
	answer, err := b.client.DownloadStream(ctx, nil)
	if bloberror.HasCode(err, bloberror.BlobNotFound) {
		return PlanText{}, nil
	}
	if err != nil {
		return PlanText{}, b.failed(ctx, "read", role, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, longestPlan+1))
	if err != nil {
		return PlanText{}, b.failed(ctx, "read", role, err)
	}
	if len(text) > longestPlan {
		return PlanText{}, fmt.Errorf("%s has more than %d bytes: that is no plan.yaml", b.URL, longestPlan)
	}
	return PlanText{Text: text, etag: answer.ETag}, nil
}

// ReadToWrite is Read before a Write: a refusal names the role for both.
func (b *PlanBlob) ReadToWrite(ctx context.Context) (PlanText, error) { return b.read(ctx, writer) }

// writer is the role that may write blobs.
const writer = "Storage Blob Data Contributor"

// ErrPlanChanged says that a plan.yaml was not written, since it is another one than the one that was shown.
var ErrPlanChanged = errors.New("another sign-in has changed it since; nothing was written")

// Write writes the text over the one that was shown, and over no other. An upload without a clear answer may have been carried out: then
// Write reads the text again, and the error is nil if the new one is there. In that case unheard says why the upload had no answer.
func (b *PlanBlob) Write(ctx context.Context, text []byte, shown PlanText) (unheard, err error) {
	kind, condition := "application/yaml", &blob.ModifiedAccessConditions{IfMatch: shown.etag} // the type is from RFC 9512
	if !shown.Exists() {
		any := azcore.ETagAny
		condition.IfNoneMatch = &any
	}
	sending, cancel := context.WithTimeout(ctx, uploadTimeout)
	defer cancel()
	_, err = b.client.Upload(sending, streaming.NopCloser(bytes.NewReader(text)), &blockblob.UploadOptions{
		HTTPHeaders: &blob.HTTPHeaders{BlobContentType: &kind}, AccessConditions: &blob.AccessConditions{ModifiedAccessConditions: condition},
	})
	if err == nil {
		return nil, nil
	}
	lost := bloberror.HasCode(err, bloberror.ConditionNotMet, bloberror.BlobAlreadyExists)
	if !lost && b.call(ctx, "write", writer).Once().Fault(err).Kind != backup.Ambiguous {
		return nil, fmt.Errorf("%w\n  Nothing was written", b.failed(ctx, "write", writer, err))
	}
	// A lost race is looked at as well: on its way the upload may have been repeated, and the first of the two has won.
	words := azure.Why(err)
	there, notRead := b.read(context.WithoutCancel(ctx), writer) // the person who stops the upload wants to know too
	switch {
	case notRead == nil && there.Exists() && bytes.Equal(there.Text, text):
		return errors.New(words), nil
	case lost || notRead == nil && !same(there.etag, shown.etag):
		return nil, fmt.Errorf("write %s: %w", b.URL, ErrPlanChanged)
	case notRead == nil:
		return nil, fmt.Errorf("write %s: no clear answer (%s), and the text there is still the one before: push it again", b.URL, words)
	}
	return nil, fmt.Errorf("write %s: no clear answer (%s), and it cannot be seen whether the new text is there: %w\n"+
		"  Push it again: the same text is not written twice", b.URL, words, notRead)
}

func same(a, b *azcore.ETag) bool { return (a == nil) == (b == nil) && (a == nil || a.Equals(*b)) }

// failed returns the error of a request, with what a person at a shell can do about it.
func (b *PlanBlob) failed(ctx context.Context, done, role string, err error) error {
	f := b.call(ctx, done, role).Fault(err)
	switch f.Code {
	case "NoIdentityToken":
		f.Hint = "Sign in with az login, or set AZURE_CLIENT_ID and the variables that belong to it."
	case "Unreachable":
		f.Hint = fmt.Sprintf("See whether the account %s exists, and this machine reaches it: a private account answers in its own network only.",
			b.account)
	}
	return fmt.Errorf("%w\n  %s", f, f.Hint)
}

// call is a request about the blob.
func (b *PlanBlob) call(ctx context.Context, done, role string) azure.Call {
	return azure.Call{What: done + " " + b.URL, Means: azure.Before, Hint: func(status int, code, _ string) string {
		switch {
		case code == string(bloberror.AuthorizationFailure):
			return fmt.Sprintf("The account %s is private, or its firewall does not admit this machine. Do it from inside its network, or "+
				"admit this address:\n  az storage account network-rule add --account-name %[1]s --ip-address ADDRESS", b.account)
		case status == http.StatusForbidden:
			return fmt.Sprintf("You need the role %s there; a new assignment takes some minutes:\n  az role assignment create --assignee %s "+
				"--role %q \\\n    --scope \"$(az storage account show -n %s --query id -o tsv)/blobServices/default/containers/%s\"",
				role, b.caller(ctx), role, b.account, b.container)
		case status == http.StatusUnauthorized:
			return "The account belongs to another tenant than your sign-in: az login --tenant TENANT"
		case code == string(bloberror.ContainerNotFound) || code == string(bloberror.ContainerBeingDeleted):
			return fmt.Sprintf("There is no such container. Make it:\n  az storage container create --auth-mode login --account-name %s -n %s",
				b.account, b.container)
		}
		return "Look at the blob in the Azure portal."
	}}
}

// caller returns the object ID of the sign-in, which its token names, or a word in its place.
func (b *PlanBlob) caller(ctx context.Context) string {
	token, err := b.credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{b.scope}})
	if id := azure.ObjectID(token.Token); err == nil && id != "" {
		return id
	}
	return "OBJECT-ID"
}
