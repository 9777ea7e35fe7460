package fakeazure_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"lifeboat/internal/testing/fakeazure"
)

func TestStorageThroughOfficialClients(t *testing.T) {
	t.Parallel()
	s := startWithStorage(t)
	credential := s.Credential("app")

	tables, err := aztables.NewServiceClient("https://"+accountName+".table.core.windows.net/", credential,
		&aztables.ClientOptions{ClientOptions: clientOptions(s)})
	must(t, err)
	table := tables.NewClient(unique("table"))
	_, err = table.CreateTable(t.Context(), nil)
	must(t, err)
	row := []byte(`{"PartitionKey":"p q","RowKey":"r","State":"queued"}`)
	added, err := table.AddEntity(t.Context(), row, nil)
	must(t, err)
	_, err = table.AddEntity(t.Context(), row, nil)
	if status, code := errorCode(err); status != 409 || code != "EntityAlreadyExists" {
		t.Errorf("second insert: %v", err)
	}
	got, err := table.GetEntity(t.Context(), "p q", "r", nil)
	must(t, err)
	if got.ETag != added.ETag {
		t.Errorf("ETag %s, then %s", added.ETag, got.ETag)
	}
	_, err = table.SubmitTransaction(t.Context(), []aztables.TransactionAction{
		{ActionType: aztables.TransactionTypeAdd, Entity: []byte(`{"PartitionKey":"p q","RowKey":"s"}`)},
		{ActionType: aztables.TransactionTypeUpdateMerge, Entity: row, IfMatch: &got.ETag},
	}, nil)
	must(t, err)

	queue, err := azqueue.NewQueueClient("https://"+accountName+".queue.core.windows.net/"+unique("queue"), credential,
		&azqueue.ClientOptions{ClientOptions: clientOptions(s)})
	must(t, err)
	_, err = queue.Create(t.Context(), nil)
	must(t, err)
	_, err = queue.EnqueueMessage(t.Context(), "hello", nil)
	must(t, err)
	messages, err := queue.DequeueMessage(t.Context(), nil)
	must(t, err)
	if len(messages.Messages) != 1 || *messages.Messages[0].MessageText != "hello" {
		t.Fatalf("dequeued %+v", messages.Messages)
	}
	_, err = queue.DeleteMessage(t.Context(), *messages.Messages[0].MessageID, *messages.Messages[0].PopReceipt, nil)
	must(t, err)

	// The content is larger than the part that hooks hold back, so that it streams both ways.
	content := bytes.Repeat([]byte("0123456789abcdef"), 20<<20/16)
	container := createContainer(t, s)
	blobs := newBlobClient(t, s, "app")
	_, err = blobs.UploadStream(t.Context(), container, "big", bytes.NewReader(content), nil)
	must(t, err)
	stream, err := blobs.DownloadStream(t.Context(), container, "big", nil)
	must(t, err)
	digest := sha256.New()
	_, err = io.Copy(digest, stream.Body)
	must(t, err)
	if want := sha256.Sum256(content); !bytes.Equal(digest.Sum(nil), want[:]) {
		t.Error("the big blob came back changed")
	}
	if _, err := blobs.DeleteBlob(t.Context(), container, "big", nil); err != nil {
		t.Error(err)
	}
}

func TestOneLargePut(t *testing.T) {
	t.Parallel()
	s := startWithStorage(t)
	container := createContainer(t, s)
	content := bytes.Repeat([]byte("x"), 12<<20)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut,
		"https://"+accountName+".blob.core.windows.net/"+container+"/large", bytes.NewReader(content))
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+tokenOf(t, s, "app", "https://storage.azure.com"))
	req.Header.Set("x-ms-version", "2026-04-06")
	req.Header.Set("x-ms-blob-type", "BlockBlob")
	resp, err := s.Client().Do(req)
	must(t, err)
	must(t, resp.Body.Close())
	if resp.StatusCode != http.StatusCreated {
		t.Fatalf("put: %s", resp.Status)
	}
	properties, err := newBlobClient(t, s, "app").ServiceClient().NewContainerClient(container).NewBlobClient("large").
		GetProperties(t.Context(), nil)
	must(t, err)
	if *properties.ContentLength != int64(len(content)) {
		t.Errorf("stored %d bytes", *properties.ContentLength)
	}
}

func TestStorageChecksWhoAsks(t *testing.T) {
	t.Parallel()
	s := startWithStorage(t)
	other := start(t, func(c *fakeazure.Config) { c.Seed = 7 })
	brief := start(t, func(c *fakeazure.Config) { c.TokenLifetime = time.Nanosecond })
	for name, tt := range map[string]struct {
		from               *fakeazure.Sim
		identity, audience string
		status             int
	}{
		"good":          {s, "app", "https://storage.azure.com", 200},
		"foreign":       {other, "app", "https://storage.azure.com", 401},
		"expired":       {brief, "app", "https://storage.azure.com", 401},
		"audience":      {s, "app", managementID, 401},
		"other account": {s, "app", "https://elsewhere.blob.core.windows.net", 401},
		"no role":       {s, "guest", "https://storage.azure.com", 403},
	} {
		for service, query := range map[string]string{"blob": "?comp=list", "queue": "?comp=list", "table": "Tables"} {
			r, err := sendAs(t, s, "GET", "https://"+accountName+"."+service+".core.windows.net/"+query,
				"Bearer "+tokenOf(t, tt.from, tt.identity, tt.audience), "", "")
			must(t, err)
			if r.StatusCode != tt.status {
				t.Errorf("%s at %s: got %d %s", name, service, r.StatusCode, r.body)
			}
		}
	}
}

func TestStorageRoles(t *testing.T) {
	t.Parallel()
	s := startWithStorage(t)
	s.Assign(s.ObjectID("sender"), accountID, fakeazure.StorageQueueDataMessageSender)
	s.Assign(s.ObjectID("viewer"), accountID, fakeazure.StorageBlobDataReader)
	container := createContainer(t, s)
	must(t, upload(t, s, "app", container))
	if err := upload(t, s, "viewer", container); err == nil {
		t.Error("a reader wrote a blob")
	}
	if _, err := newBlobClient(t, s, "viewer").DownloadStream(t.Context(), container, "roles", nil); err != nil {
		t.Error(err)
	}
	batch := "https://" + accountName + ".blob.core.windows.net/?comp=batch"
	for identity, want := range map[string]bool{"app": true, "viewer": false} {
		// The role is checked before the parts: without any parts, storage itself says 400.
		r, err := sendAs(t, s, "POST", batch, "Bearer "+tokenOf(t, s, identity, "https://storage.azure.com"), "", "")
		must(t, err)
		if allowed := r.StatusCode != http.StatusForbidden; allowed != want {
			t.Errorf("a batch of %s: %d %s", identity, r.StatusCode, r.body)
		}
	}
	name := unique("roles")
	open := func(identity string) *azqueue.QueueClient {
		url := "https://" + accountName + ".queue.core.windows.net/" + name
		queue, err := azqueue.NewQueueClient(url, s.Credential(identity),
			&azqueue.ClientOptions{ClientOptions: clientOptions(s)})
		must(t, err)
		return queue
	}
	_, err := open("app").Create(t.Context(), nil)
	must(t, err)
	_, err = open("sender").EnqueueMessage(t.Context(), "hello", nil)
	must(t, err)
	_, err = open("sender").DequeueMessage(t.Context(), nil)
	if status, code := errorCode(err); status != 403 || code != "AuthorizationPermissionMismatch" {
		t.Errorf("a sender dequeued: %v", err)
	}
}

func TestSignedURL(t *testing.T) {
	t.Parallel()
	s := startWithStorage(t)
	container := createContainer(t, s)
	must(t, upload(t, s, "app", container))
	expiry := time.Now().UTC().Add(time.Hour)
	key, err := newBlobClient(t, s, "app").ServiceClient().GetUserDelegationCredential(t.Context(), service.KeyInfo{
		Start: to.Ptr(time.Now().UTC().Format(sas.TimeFormat)), Expiry: to.Ptr(expiry.Format(sas.TimeFormat)),
	}, nil)
	must(t, err)
	signed, err := sas.BlobSignatureValues{
		Protocol: sas.ProtocolHTTPS, ExpiryTime: expiry, ContainerName: container,
		Permissions: (&sas.ContainerPermissions{Read: true}).String(),
	}.SignWithUserDelegation(key)
	must(t, err)
	url := "https://" + accountName + ".blob.core.windows.net/" + container + "/roles?"
	good, err := sendAs(t, s, "GET", url+signed.Encode(), "", "", "")
	must(t, err)
	bad, err := sendAs(t, s, "GET", url+strings.Replace(signed.Encode(), "sig=", "sig=A", 1), "", "", "")
	must(t, err)
	if good.StatusCode != 200 || string(good.body) != "x" || bad.StatusCode != 403 {
		t.Errorf("signed %d %q, spoilt %d", good.StatusCode, good.body, bad.StatusCode)
	}
	if calls := s.Calls(); calls[len(calls)-1].AuthScheme != "SAS" {
		t.Errorf("call %+v", calls[len(calls)-1])
	}
}

func upload(t *testing.T, s *fakeazure.Sim, identity, container string) error {
	t.Helper()
	_, err := newBlobClient(t, s, identity).UploadBuffer(t.Context(), container, "roles", []byte("x"), nil)
	return err
}

func TestUnknownHosts(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, url := range []string{
		"https://example.com/", "https://" + accountName + ".blob.core.windows.net/", // not attached
		"https://management.azure.com:8443/",
	} {
		if r, err := sendAs(t, s, "GET", url, "", "", ""); err == nil || !strings.Contains(err.Error(), "Bad Gateway") {
			t.Errorf("%s: got %v, %v", url, r.Response, err)
		}
	}
	calls := s.Calls()
	if len(calls) != 3 {
		t.Fatalf("%d calls", len(calls))
	}
	if c := calls[0]; c.Host != "example.com" || c.Method != http.MethodConnect || c.Status != 502 {
		t.Errorf("call %+v", c)
	}
}

func TestPlainProxyRequestRefused(t *testing.T) {
	t.Parallel()
	s := start(t)
	r, err := sendAs(t, s, "GET", "http://management.azure.com/", "", "", "")
	must(t, err)
	if r.StatusCode != http.StatusBadGateway {
		t.Errorf("got %d", r.StatusCode)
	}
}

func TestHostOfAnotherTunnelRefused(t *testing.T) {
	t.Parallel()
	s := start(t)
	req, err := http.NewRequestWithContext(t.Context(), "GET", armURL(contoso), nil)
	must(t, err)
	req.Host = "vault.azure.net"
	resp, err := s.Client().Do(req)
	must(t, err)
	must(t, resp.Body.Close())
	if resp.StatusCode != http.StatusMisdirectedRequest || resp.ProtoMajor != 1 {
		t.Errorf("got %s %s", resp.Proto, resp.Status)
	}
}

func TestInterceptSeesBothSides(t *testing.T) {
	t.Parallel()
	s := startWithStorage(t)
	container := createContainer(t, s)
	var mu sync.Mutex
	var seen []fakeazure.Exchange
	s.Intercept(func(x fakeazure.Exchange) fakeazure.Decision {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, x)
		return fakeazure.Pass
	})
	accepted := post(t, s, container, "seen")
	must(t, upload(t, s, "app", container))
	s.Intercept(nil)
	post(t, s, container, "unseen")
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != 4 {
		t.Fatalf("seen %d times", len(seen))
	}
	before, after := seen[0], seen[1]
	if before.Phase != fakeazure.Before || before.Method != "POST" || before.Host != "management.azure.com" ||
		before.Path != contoso+"/backup" || before.Query.Get("api-version") != "2024-05-01" ||
		before.ObjectID != s.ObjectID("app") || before.AuthScheme != "Bearer" || before.Status != 0 ||
		string(before.Body) != body(container, "seen", "") {
		t.Errorf("before: %+v", before)
	}
	if after.Phase != fakeazure.After || after.ID != before.ID || after.Status != accepted.StatusCode || len(after.Answer) != 0 {
		t.Errorf("after: %+v", after)
	}
	if x := seen[2]; x.Method != "PUT" || x.Path != "/"+container+"/roles" || string(x.Body) != "x" || x.ID == before.ID {
		t.Errorf("upload before: %+v", x)
	}
	if x := seen[3]; x.Phase != fakeazure.After || x.Status != 201 {
		t.Errorf("upload after: %+v", x)
	}
}

func TestDrop(t *testing.T) {
	t.Parallel()
	s := startWithStorage(t)
	container := createContainer(t, s)
	for _, phase := range []fakeazure.Phase{fakeazure.Before, fakeazure.After} {
		s.Intercept(func(x fakeazure.Exchange) fakeazure.Decision {
			if x.Phase == phase && x.Method == "PUT" {
				return fakeazure.Drop
			}
			return fakeazure.Pass
		})
		if err := upload(t, s, "app", container); err == nil {
			t.Fatalf("%s: got an answer", phase)
		}
		_, err := newBlobClient(t, s, "app").DownloadStream(t.Context(), container, "roles", nil)
		if happened := err == nil; happened != (phase == fakeazure.After) {
			t.Errorf("dropped %s: the upload happened: %v", phase, happened)
		}
	}
	var dropped []int
	for _, c := range s.Calls() {
		if c.Dropped {
			dropped = append(dropped, c.Status)
		}
	}
	if fmt.Sprint(dropped) != "[0 201]" {
		t.Errorf("statuses of dropped calls: %v", dropped)
	}
}

func TestAnswerInstead(t *testing.T) {
	t.Parallel()
	s := startWithStorage(t)
	container := createContainer(t, s)
	for _, phase := range []fakeazure.Phase{fakeazure.Before, fakeazure.After} {
		s.Intercept(func(x fakeazure.Exchange) fakeazure.Decision {
			if x.Phase == phase && x.Method == "POST" {
				return fakeazure.Answer(503, http.Header{"Retry-After": {"9"}}, []byte(`{"error":{"code":"Busy"}}`))
			}
			return fakeazure.Pass
		})
		r := post(t, s, container, "instead")
		if r.StatusCode != 503 || r.Header.Get("Retry-After") != "9" || r.code() != "Busy" {
			t.Errorf("%s: got %d %s", phase, r.StatusCode, r.body)
		}
	}
	if n := len(s.Operations()); n != 1 {
		t.Errorf("%d operations, want the one of After", n)
	}
	for _, c := range s.Calls() {
		if c.Method == "POST" && !c.Replaced {
			t.Errorf("call %+v", c)
		}
	}
}

// TestClientGoneBeforeTheWork: a client that dies once its request has arrived does not undo the work.
func TestClientGoneBeforeTheWork(t *testing.T) {
	t.Parallel()
	s := startWithStorage(t)
	container := createContainer(t, s)
	ctx, die := context.WithCancel(t.Context())
	gone := make(chan struct{})
	s.Intercept(func(x fakeazure.Exchange) fakeazure.Decision {
		if x.Phase == fakeazure.Before && x.Method == http.MethodPut {
			die()
			<-gone
		}
		return fakeazure.Pass
	})
	_, err := newBlobClient(t, s, "app").UploadBuffer(ctx, container, "roles", []byte("x"), nil)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("upload: %v", err)
	}
	close(gone)
	eventually(t, "the upload has happened", func() bool {
		_, err := newBlobClient(t, s, "app").DownloadStream(t.Context(), container, "roles", nil)
		return err == nil
	})
}

func TestSkewedDate(t *testing.T) {
	t.Parallel()
	s := startWithStorage(t)
	s.SkewDate(48 * time.Hour)
	for _, url := range []string{armURL(contoso), "https://" + accountName + ".table.core.windows.net/Tables"} {
		r := send(t, s, "GET", url, "app", "")
		date, err := http.ParseTime(r.Header.Get("Date"))
		must(t, err)
		if ahead := time.Until(date); ahead < 47*time.Hour || ahead > 49*time.Hour {
			t.Errorf("%s: date %s", url, date)
		}
	}
}

func TestManyClientsAtOnce(t *testing.T) {
	t.Parallel()
	s := startWithStorage(t)
	container := createContainer(t, s)
	s.Intercept(func(fakeazure.Exchange) fakeazure.Decision { return fakeazure.Pass })
	var work sync.WaitGroup
	const n = 12
	for i := range n {
		work.Go(func() {
			blobs := newBlobClient(t, s, "app")
			name, content := fmt.Sprintf("blob%d", i), []byte(fmt.Sprintf("content %d", i))
			if _, err := blobs.UploadBuffer(t.Context(), container, name, content, nil); err != nil {
				t.Error(err)
				return
			}
			got := make([]byte, len(content))
			_, err := blobs.DownloadBuffer(t.Context(), container, name, got, nil)
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("%s: %q %v", name, got, err)
			}
			r, err := trySend(t, s, "POST", armURL(contoso+"/backup"), "app", body(container, name+".backup", ""))
			if err != nil || r.StatusCode != 202 {
				t.Errorf("backup: %v %v", r.Response, err)
			}
		})
	}
	work.Wait()
	eventually(t, "all backups succeeded", func() bool {
		done := 0
		for _, o := range s.Operations() {
			if o.State == fakeazure.Succeeded {
				done++
			}
		}
		return done == n
	})
	ids := make(map[int64]bool)
	for _, c := range s.Calls() {
		if ids[c.ID] || c.End.Before(c.Start) {
			t.Errorf("call %+v", c)
		}
		ids[c.ID] = true
	}
}

func TestRestartOnTheSameDirectory(t *testing.T) {
	t.Parallel()
	first, err := fakeazure.Start(fakeazure.Config{Dir: t.TempDir(), Seed: 3})
	must(t, err)
	env := environment(first, "app")
	token := tokenOf(t, first, "app", managementID)
	must(t, first.Close())

	dir := strings.TrimSuffix(env["SSL_CERT_FILE"], "/ca.pem")
	second := start(t, func(c *fakeazure.Config) { c.Dir, c.Seed = dir, 3 })
	must(t, second.AddService(fakeazure.Service{ResourceID: contoso}))
	second.Assign(second.ObjectID("app"), contoso, fakeazure.APIManagementServiceOperator)
	r, err := sendAs(t, second, "GET", armURL(contoso), "Bearer "+token, "", "")
	must(t, err)
	if r.StatusCode != 200 {
		t.Errorf("a token from before: %d %s", r.StatusCode, r.body)
	}
	var resource map[string]json.RawMessage
	must(t, json.Unmarshal(r.body, &resource))
	if string(resource["identity"]) != "null" {
		t.Errorf("identity %s", resource["identity"])
	}
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]fakeazure.Config{
		"no directory":   {},
		"negative scale": {Dir: t.TempDir(), TimeScale: -1},
	} {
		if s, err := fakeazure.Start(c); err == nil {
			t.Errorf("%s: started", name)
			_ = s.Close()
		}
	}
}
