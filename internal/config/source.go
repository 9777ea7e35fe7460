package config

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// blobTimeout is the time limit for reading plan.yaml from a blob.
const blobTimeout = 20 * time.Second

// checkURL refuses a URL that is not the URL of a blob. The error does not show it: its query may be a shared access signature.
func checkURL(location string, cloud azure.Cloud) error {
	u, err := url.Parse(location)
	if err != nil || u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		strings.Count(strings.TrimPrefix(u.Path, "/"), "/") < 1 {
		return errors.New("it must be a path, or an https URL of a blob or of a folder of blobs without a query, such as https://{account}.blob." + cloud.Storage +
			"/{container}/plan.yaml; the app reads it with its identity")
	}
	return cloud.CheckStorageHost(u.Host, "blob")
}

// PlanSource reads plan.yaml from the place that LIFEBOAT_PLAN names.
type PlanSource struct {
	reader   *Reader
	location string
	blob     *blob.Client // nil: location is a path, or
	folder   *blobFolder  // the URL of a folder

	mu   sync.Mutex
	etag *azcore.ETag
	text []byte // the blob's text with this ETag
	// warnings are about the text that was parsed last.
	warnings []string
	// waitFactor is LIFEBOAT_WAIT_FACTOR.
	waitFactor float64
}

// PlanSource returns the source at the place of the settings: a path, or the URL of a blob, which is read with the credential. It
// reads nothing yet.
func (s Settings) PlanSource(reader *Reader, credential azcore.TokenCredential, options azcore.ClientOptions) (*PlanSource, error) {
	source := &PlanSource{reader: reader, location: s.Plan, waitFactor: s.WaitFactor}
	if !strings.Contains(s.Plan, "://") {
		return source, nil
	}
	if err := checkURL(s.Plan, azure.CloudOf(options.Cloud)); err != nil {
		return source, fmt.Errorf("the app setting LIFEBOAT_PLAN: %w", err)
	}
	options.Retry.MaxRetries = -1 // the caller asks again later, and has the last good plan until then
	if strings.HasSuffix(s.Plan, "/") {
		folder, err := openFolder(s.Plan, credential, options)
		if err != nil {
			return source, fmt.Errorf("open the plan's folder %s: %w", s.Plan, err)
		}
		source.folder = folder
		return source, nil
	}
	client, err := blob.NewClient(s.Plan, credential, &blob.ClientOptions{ClientOptions: options})
	if err != nil {
		return source, fmt.Errorf("open the plan's blob %s: %w", s.Plan, err)
	}
	source.blob = client
	return source, nil
}

// Parse checks the text and names the source in errors.
func (s *PlanSource) Parse(text []byte) ([]backup.Plan, error) {
	plans, warnings, err := s.reader.parse(s.location, text, s.waitFactor)
	if err == nil {
		s.mu.Lock()
		s.warnings = warnings
		s.mu.Unlock()
	}
	return plans, err
}

// Warnings returns the warnings about the good text that was parsed last.
func (s *PlanSource) Warnings() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.warnings
}

// Read returns plan.yaml as it is now, or the one text of its folder. A blob costs one request, which transfers the text only if it changed
// (If-None-Match).
// If storage does not answer for the moment, the error is a *[backup.Fault] of the kind Retryable.
func (s *PlanSource) Read(ctx context.Context) ([]byte, error) {
	if s.folder != nil {
		ctx, cancel := context.WithTimeout(ctx, blobTimeout)
		defer cancel()
		text, err := s.folder.read(ctx, s.location)
		if f, ok := errors.AsType[*backup.Fault](err); ok {
			return nil, f
		}
		if _, ok := errors.AsType[*azcore.ResponseError](err); ok || ctx.Err() != nil {
			return nil, s.fault(err)
		}
		return text, err
	}
	if s.blob == nil {
		text, err := readPath(s.location)
		if err != nil {
			return nil, fmt.Errorf("read the plan (LIFEBOAT_PLAN): %w", err)
		}
		return text, nil
	}
	ctx, cancel := context.WithTimeout(ctx, blobTimeout)
	defer cancel()
	s.mu.Lock()
	etag, known := s.etag, s.text
	s.mu.Unlock()
	var raw *http.Response // the SDK takes a 304 for a success like any other
	answer, err := s.blob.DownloadStream(policy.WithCaptureResponse(ctx, &raw), &blob.DownloadStreamOptions{AccessConditions: &blob.AccessConditions{
		ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: etag},
	}})
	if err != nil {
		return nil, s.fault(err)
	}
	defer answer.Body.Close()
	if raw != nil && raw.StatusCode == http.StatusNotModified {
		return known, nil
	}
	// One byte more than a plan may have: the check of the text says that it is too long.
	text, err := io.ReadAll(io.LimitReader(answer.Body, longestPlan+1))
	if err != nil {
		return nil, s.fault(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.etag, s.text = answer.ETag, text
	return text, nil
}

// fault returns the error of Azure's answer, in the same words each time, or the error that there was no answer.
func (s *PlanSource) fault(err error) error {
	refused, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok || refused.StatusCode == http.StatusRequestTimeout || refused.StatusCode == http.StatusTooManyRequests ||
		refused.StatusCode >= http.StatusInternalServerError {
		return &backup.Fault{
			Kind: backup.Retryable, Code: "PlanUnreachable",
			Message: fmt.Sprintf("the plan (LIFEBOAT_PLAN) cannot be read from %s for the moment: %s", s.location, azure.Why(err)),
		}
	}
	var said azure.Body
	if refused.RawResponse != nil { // else only the code is known
		said = azure.ReadBody(refused.RawResponse)
	}
	hint := "check the URL"
	if refused.StatusCode == http.StatusUnauthorized || refused.StatusCode == http.StatusForbidden {
		hint = "give the app's identity the role Storage Blob Data Reader there, and look at the account's firewall"
	}
	return fmt.Errorf("read the plan (LIFEBOAT_PLAN) from %s: answer %d %s of Azure Blob Storage: %s; %s", s.location,
		refused.StatusCode, refused.ErrorCode, said.Message, hint)
}
