package azurite_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"lifeboat/internal/testing/azurite"
)

// kept has clients of the three services.
type kept struct {
	blobs  *azblob.Client
	queue  *azqueue.QueueClient
	tables *aztables.ServiceClient
}

func clients(t *testing.T, through *http.Client) (k kept) {
	t.Helper()
	options := azcore.ClientOptions{Transport: through, Retry: policy.RetryOptions{MaxRetries: -1}}
	var err error
	if k.blobs, err = azblob.NewClient("https://"+account+".blob.core.windows.net", identity{}, &azblob.ClientOptions{ClientOptions: options}); err != nil {
		t.Fatal(err)
	}
	if k.queue, err = azqueue.NewQueueClient("https://"+account+".queue.core.windows.net/execute", identity{},
		&azqueue.ClientOptions{ClientOptions: options}); err != nil {
		t.Fatal(err)
	}
	if k.tables, err = aztables.NewServiceClient("https://"+account+".table.core.windows.net", identity{},
		&aztables.ClientOptions{ClientOptions: options}); err != nil {
		t.Fatal(err)
	}
	return k
}

// check fails if a blob, a message or a row is missing.
func (k kept) check(t *testing.T, when string) {
	t.Helper()
	if _, err := k.blobs.DownloadStream(t.Context(), "backups", "b", nil); err != nil {
		t.Errorf("%s: the blob: %v", when, err)
	}
	if page, err := k.queue.PeekMessage(t.Context(), nil); err != nil || len(page.Messages) != 1 || *page.Messages[0].MessageText != "m" {
		t.Errorf("%s: the message: %+v, %v", when, page.Messages, err)
	}
	if _, err := k.tables.NewClient("Catalog").GetEntity(t.Context(), "p", "r", nil); err != nil {
		t.Errorf("%s: the row: %v", when, err)
	}
}

// TestKeep checks that what was stored last is there again after the SIGKILL of the process that started Azurite, and after Stop;
// and that two Azurites never have the same folder.
func TestKeep(t *testing.T) {
	dir := t.TempDir()
	cert, certKey := certificate(t, dir)
	c := azurite.Config{Dir: dir, Keep: true, CertFile: cert, KeyFile: certKey, Accounts: map[string]string{account: key}, NoLog: true}
	text, err := json.Marshal(map[string]any{
		"Dir": dir, "Keep": true, "CertFile": cert, "KeyFile": certKey, "Accounts": c.Accounts, "NoLog": true,
	})
	if err != nil {
		t.Fatal(err)
	}
	first := exec.CommandContext(t.Context(), os.Args[0])
	first.Env = append(os.Environ(), "AZURITE_TEST_KEEPER="+string(text))
	out, err := first.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	var blob, queue, table int
	if _, err := fmt.Fscan(out, &blob, &queue, &table); err != nil {
		t.Fatal(err)
	}
	k := clients(t, client(t, cert, blob, queue, table))
	if _, err := k.blobs.CreateContainer(t.Context(), "backups", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := k.queue.Create(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := k.tables.CreateTable(t.Context(), "Catalog", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := k.blobs.UploadBuffer(t.Context(), "backups", "b", []byte("x"), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := k.queue.EnqueueMessage(t.Context(), "m", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := k.tables.NewClient("Catalog").AddEntity(t.Context(), []byte(`{"PartitionKey":"p","RowKey":"r"}`), nil); err != nil {
		t.Fatal(err)
	}
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()

	for _, when := range []string{"after the SIGKILL of its parent", "after Stop"} {
		server, err := azurite.Start(t.Context(), c) // it waits for the first one, which still writes
		if err != nil {
			t.Fatal(err)
		}
		clients(t, client(t, cert, server.BlobPort, server.QueuePort, server.TablePort)).check(t, when)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if _, err := azurite.Start(ctx, c); err == nil || !strings.Contains(err.Error(), "another Azurite has the folder "+dir) {
			t.Errorf("a second Azurite on the folder: %v", err)
		}
		cancel()
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	}
}
