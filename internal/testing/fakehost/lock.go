package fakehost

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/lease"
)

// defaultTimerLease is fixed in azure-webjobs-sdk, SingletonOptions.
const defaultTimerLease = time.Minute

// locks lets one of the hosts with the same host ID fire a timer: the one with the lease of that timer's blob
// (azure-webjobs-sdk, SingletonManager).
type locks struct {
	container *container.Client
	host      string
	lease     time.Duration // also the time after which another host tries again
}

// openLocks returns nil without a credential: then there is no other host.
func openLocks(c Config, app settings) (*locks, error) {
	if c.Credential == nil {
		return nil, nil
	}
	service, err := app.service(defaultConnection, "blob")
	if err != nil {
		return nil, err
	}
	options := &container.ClientOptions{}
	if c.Client != nil {
		options.Transport = c.Client
	}
	client, err := container.NewClient(service+"/azure-webjobs-hosts", c.Credential, options)
	if err != nil {
		return nil, fmt.Errorf("blobs at %s: %w", service, err)
	}
	return &locks{container: client, host: hostID(app), lease: c.TimerLease}, nil
}

// hostID returns the ID that the hosts of one app share: the name of the app, with that of a slot, cut to 32 characters
// (azure-functions-host, ScriptHostIdProvider and GetAzureWebsiteUniqueSlotName).
func hostID(app settings) string {
	if id, ok := app.get("AzureFunctionsWebHost__hostid"); ok {
		return id
	}
	name, _ := app.get("WEBSITE_SITE_NAME")
	if name == "" {
		name = "fakehost"
	}
	if slot, _ := app.get("WEBSITE_SLOT_NAME"); slot != "" && !strings.EqualFold(slot, "production") {
		name += "-" + slot
	}
	return strings.TrimRight(strings.ToLower(name[:min(len(name), 32)]), "-")
}

// whileHeld runs the work while this host holds the timer of the function, and tries to get it again after losing it. It logs
// no error of storage, not even a missing role: the timer just does not fire.
func (k *locks) whileHeld(stopping, broken context.Context, function string, work func(held context.Context)) {
	if k == nil {
		work(stopping)
		return
	}
	for {
		l, err := k.acquire(stopping, function)
		if err == nil {
			held, lose := context.WithCancel(stopping)
			go func() {
				for pause(held, k.lease/2) {
					if _, err := l.RenewLease(held, nil); err != nil && !isServerSide(err) {
						lose()
					}
				}
			}()
			work(held)
			lose()
			if broken.Err() == nil { // otherwise it is free when its time is over
				_, _ = l.ReleaseLease(broken, nil)
			}
		}
		if !pause(stopping, k.lease) {
			return
		}
	}
}

// acquire acquires the lease. The error says that another host has it, or that storage refuses.
func (k *locks) acquire(ctx context.Context, function string) (*lease.BlobClient, error) {
	file := k.container.NewBlockBlobClient("locks/" + k.host + "/Host.Functions." + function + ".Listener")
	l, err := lease.NewBlobClient(file, nil)
	if err != nil {
		return nil, err
	}
	seconds := int32(k.lease / time.Second)
	_, err = l.AcquireLease(ctx, seconds, nil)
	if status(err) != http.StatusNotFound {
		return l, err
	}
	if _, err := k.container.Create(ctx, nil); err != nil && status(err) != http.StatusConflict {
		return nil, err
	}
	_, err = file.Upload(ctx, streaming.NopCloser(strings.NewReader("")), &blockblob.UploadOptions{
		AccessConditions: &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: new(azcore.ETagAny)}},
	})
	if err != nil && status(err) != http.StatusConflict {
		return nil, err
	}
	_, err = l.AcquireLease(ctx, seconds, nil)
	return l, err
}

// status returns the status of storage's answer, 0 if there is none.
func status(err error) int {
	if response, ok := errors.AsType[*azcore.ResponseError](err); ok {
		return response.StatusCode
	}
	return 0
}
