package apim_test

import (
	"fmt"
	"testing"

	"lifeboat/internal/backup"
)

// TestARestoreEndsAsTheServiceSettles checks that a restore is done once the service has succeeded, and has failed once
// the service says so in one of its words for failure. In any other state the provider is asked again.
func TestARestoreEndsAsTheServiceSettles(t *testing.T) {
	for state, want := range map[string]fault{
		"Succeeded": {},
		"Failed":    {kind: backup.Refused, code: "RestoreFailed", message: "the service says Failed", hint: "Storage Blob Data"},
		"Canceled":  {kind: backup.Refused, code: "RestoreCanceled", message: "the service says Canceled", hint: "Storage Blob Data"},
		"Updating":  {kind: backup.Retryable, code: "ServiceNotSettled", message: `"Updating"`, hint: "Lifeboat looks again"},
		"Creating":  {kind: backup.Retryable, code: "ServiceNotSettled", message: `"Creating"`, hint: "Lifeboat looks again"},
		"Deleting":  {kind: backup.Retryable, code: "ServiceNotSettled", message: `"Deleting"`, hint: "Lifeboat looks again"},
		"":          {kind: backup.Retryable, code: "ServiceNotSettled", message: `""`, hint: "Lifeboat looks again"},
	} {
		service := answers(200, fmt.Sprintf(`{"name":"contoso","sku":{"name":"Developer"},"properties":{"provisioningState":%q}}`, state))
		for _, ends := range []reply{settledService, answers(200, ""), answers(204, "")} {
			w := &wire{replies: map[step]reply{poll: ends, get: service}}
			got, err := w.provider().PollRestore(t.Context(), bringBack(), restoreToken)
			if want.kind == "" {
				if err != nil || !got.Done {
					t.Errorf("%s: %+v, %v", state, got, err)
				}
				continue
			}
			want.check(t, err)
		}
	}
}

// TestABackupIsLookedForInASettledServiceOnly checks that Find waits for the service to settle: in any other state the
// service may be working on the backup.
func TestABackupIsLookedForInASettledServiceOnly(t *testing.T) {
	for state, settled := range map[string]bool{"Succeeded": true, "Failed": false, "Canceled": false, "Updating": false, "": false} {
		w := &wire{replies: map[step]reply{
			get:  answers(200, fmt.Sprintf(`{"name":"contoso","properties":{"provisioningState":%q}}`, state)),
			list: listing(run+".1 7 -5", run+".2 7 60", run+".3 0 90", run+".x 7 90", run+"2.1 7 90", run+".4 7 -6"),
		}}
		found, err := w.provider().Find(t.Context(), attempt())
		if settled {
			if err != nil || found != run+".2" {
				t.Errorf("%s: %q, %v", state, found, err)
			}
			continue
		}
		fault{kind: backup.Retryable, code: "ServiceNotSettled", message: fmt.Sprintf("%q", state), hint: "Lifeboat looks again"}.check(t, err)
	}
	for age, want := range map[int]string{-5: run + ".2", -6: ""} { // clocks may be 5 s apart
		w := &wire{replies: map[step]reply{get: settledService, list: listing(fmt.Sprintf("%s.2 7 %d", run, age))}}
		if found, err := w.provider().Find(t.Context(), attempt()); err != nil || found != want {
			t.Errorf("written %d s after the start: %q, %v", age, found, err)
		}
	}
}

// TestABlobOfAnotherSizeIsAnotherBackup checks that a smaller or larger blob is refused. A blob that was written again in
// the same size is read before it is restored.
func TestABlobOfAnotherSizeIsAnotherBackup(t *testing.T) {
	for _, c := range []struct {
		size  int
		etag  string
		reads bool
		fault fault
	}{
		{size: 7, etag: etag},
		{size: 6, etag: etag, fault: fault{kind: backup.Refused, code: "ArtifactChanged", message: "has 6 bytes, and the recovery point 7", hint: "another recovery point"}},
		{size: 8, etag: etag, fault: fault{kind: backup.Refused, code: "ArtifactChanged", message: "has 8 bytes, and the recovery point 7", hint: "another recovery point"}},
		{size: 7, etag: `"0x8DC0DE"`, reads: true, fault: fault{kind: backup.Refused, code: "ArtifactChanged", message: "has the SHA-256", hint: "another recovery point"}},
	} {
		blob := held{content: []byte("content"), etag: c.etag, modified: started}
		w := &wire{replies: map[step]reply{
			get:    answers(200, `{"sku":{"name":"Developer"},"identity":{"type":"SystemAssigned"},"properties":{"provisioningState":"Succeeded"}}`),
			spaces: answers(200, `{"value":[]}`), inspect: answers(200, `{}`), rules: answers(200, `{}`), read: blob.reply,
			properties: answers(200, "", fmt.Sprintf("Content-Length: %d", c.size), "Etag: "+c.etag),
		}}
		got, err := w.provider().PrepareRestore(t.Context(), bringBack(), "")
		if n := w.count(read); (n > 0) != c.reads {
			t.Errorf("%d bytes under %s: it was read %d times", c.size, c.etag, n)
		}
		if c.fault.kind == "" {
			if err != nil || !got.Done {
				t.Errorf("as it was: %+v, %v", got, err)
			}
			continue
		}
		c.fault.check(t, err)
	}
}

// TestEveryWordForTheEndOfAnOperation checks the words in either case. With any other word the operation goes on.
func TestEveryWordForTheEndOfAnOperation(t *testing.T) {
	for _, word := range []string{"Succeeded", "succeeded", "Completed"} {
		w := &wire{replies: map[step]reply{poll: answers(200, `{"status":"`+word+`"}`)}}
		if got, err := w.provider().Poll(t.Context(), attempt(), token); err != nil || !got.Done {
			t.Errorf("%s: %+v, %v", word, got, err)
		}
	}
	for _, word := range []string{"Failed", "failed", "Canceled", "canceled", "Cancelled"} {
		w := &wire{replies: map[step]reply{poll: answers(200, `{"status":"`+word+`","error":{"code":"C","message":"words"}}`)}}
		_, err := w.provider().Poll(t.Context(), attempt(), token)
		fault{kind: backup.Refused, code: "C", message: "words", hint: "Storage Blob Data"}.check(t, err)
	}
	for _, word := range []string{"Running", "InProgress", "Updating", "Accepted"} {
		w := &wire{replies: map[step]reply{poll: answers(200, `{"status":"`+word+`"}`)}}
		if got, err := w.provider().Poll(t.Context(), attempt(), token); err != nil || got.Done || got.Token == "" {
			t.Errorf("%s: %+v, %v", word, got, err)
		}
	}
}
