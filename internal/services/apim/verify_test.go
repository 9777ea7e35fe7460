package apim_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"lifeboat/internal/backup"
)

// artifact makes a blob of 1000 different bytes, written a minute after the run's start.
func artifact() held {
	content := make([]byte, 1000)
	for i := range content {
		content[i] = byte(i * i)
	}
	return held{content: content, etag: etag, modified: started.Add(time.Minute)}
}

func TestVerifyHashesInParts(t *testing.T) {
	blob := artifact()
	sum := sha256.Sum256(blob.content)
	for _, part := range []int64{1, 333, 999, 1000, 1001, 1 << 30} {
		w := &wire{replies: map[step]reply{read: blob.reply}}
		var got backup.Verification
		calls := int64(0)
		for !got.Done && calls <= 1000 {
			p := w.provider() // each call in a new process
			p.HashPart = part
			var err error
			if got, err = p.Hash(t.Context(), attempt(), got.Hashing); err != nil {
				t.Fatalf("parts of %d: %v", part, err)
			}
			calls++
		}
		if got.SHA256 != hex.EncodeToString(sum[:]) || got.Size != 1000 || got.Hashing.ETag != etag ||
			!got.Modified.Equal(blob.modified) {
			t.Errorf("parts of %d: %+v", part, got)
		}
		if want := (1000 + part - 1) / part; calls != want || w.count(read) != int(want) {
			t.Errorf("parts of %d: %d calls and %d requests, want %d of both", part, calls, w.count(read), want)
		}
	}
}

func TestVerifyStartsAfreshWhenTheBlobChanged(t *testing.T) {
	first, second := artifact(), artifact()
	second.content, second.etag = second.content[:500], `"0x8DCAFE"`
	for name, test := range map[string]struct {
		now    held
		change func(*backup.Hashing)
	}{
		"other content":       {now: second, change: func(*backup.Hashing) {}},
		"shorter by surprise": {now: held{second.content, first.etag, first.modified}, change: func(*backup.Hashing) {}},
		"state lost":          {now: second, change: func(h *backup.Hashing) { h.State = nil }},
		"state damaged":       {now: second, change: func(h *backup.Hashing) { h.State[0]++ }},
		"tag lost":            {now: second, change: func(h *backup.Hashing) { h.ETag = "" }},
	} {
		t.Run(name, func(t *testing.T) {
			w := &wire{replies: map[step]reply{read: first.reply}}
			p := w.provider()
			p.HashPart = 600
			got, err := p.Hash(t.Context(), attempt(), backup.Hashing{})
			if err != nil || got.Done || got.Hashing.Offset != 600 {
				t.Fatalf("first part: %+v, %v", got, err)
			}
			test.change(&got.Hashing)
			w.replies[read] = test.now.reply
			for calls := 0; !got.Done && calls < 3; calls++ {
				if got, err = p.Hash(t.Context(), attempt(), got.Hashing); err != nil {
					t.Fatal(err)
				}
			}
			if sum := sha256.Sum256(test.now.content); got.SHA256 != hex.EncodeToString(sum[:]) {
				t.Errorf("hash %s is not that of the new content", got.SHA256)
			}
		})
	}
}

func TestVerifyDecidesByTheArtifactAlone(t *testing.T) {
	empty, early, justInTime := artifact(), artifact(), artifact()
	empty.content = nil
	early.modified = started.Add(-6 * time.Second)
	justInTime.modified = started.Add(-5 * time.Second)
	for name, test := range map[string]struct {
		reply reply
		fault fault
	}{
		"good, to the second": {reply: justInTime.reply},
		"missing": {
			reply: blobSays(404, "BlobNotFound", "The specified blob does not exist."),
			fault: fault{kind: backup.Refused, code: "ArtifactMissing", message: run + ".2 in the container lifeboat"},
		},
		"empty": {reply: empty.reply, fault: fault{kind: backup.Refused, code: "ArtifactEmpty"}},
		"empty, with 200": {
			reply: answers(200, "", "Content-Length: 0", "Etag: "+etag, "Last-Modified: Tue, 03 Nov 2026 02:31:00 GMT"),
			fault: fault{kind: backup.Refused, code: "ArtifactEmpty"},
		},
		"too old": {
			reply: early.reply, fault: fault{kind: backup.Refused, code: "ArtifactTooOld", message: "2026-11-03T02:29:54Z"},
		},
		"no container": {
			reply: blobSays(404, "ContainerNotFound", "The specified container does not exist."),
			fault: fault{kind: backup.Retryable, code: "ContainerNotFound", hint: "was deleted"},
		},
		"no role": {
			reply: blobSays(403, "AuthorizationPermissionMismatch", "No."),
			fault: fault{kind: backup.Retryable, code: "AuthorizationPermissionMismatch", hint: "Storage Blob Data Contributor"},
		},
		"archived": {
			reply: blobSays(409, "BlobArchived", "This operation is not permitted on an archived blob."),
			fault: fault{kind: backup.Retryable, code: "BlobArchived", hint: "online access tier"},
		},
		"away": {
			reply: blobSays(503, "ServerBusy", "Later.", "Retry-After: 4"),
			fault: fault{kind: backup.Throttled, code: "ServerBusy", after: 4 * time.Second},
		},
		"no such account": {reply: unknown, fault: fault{kind: backup.Retryable, code: "Unreachable"}},
		"cut":             {reply: cut, fault: fault{kind: backup.Retryable, code: "Unreachable"}},
		"headers missing": {
			reply: answers(206, "x"), fault: fault{kind: backup.Retryable, code: "Unreachable", message: "lacks"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := &wire{replies: map[step]reply{read: test.reply}}
			got, err := w.provider().Hash(t.Context(), attempt(), backup.Hashing{})
			w.expect(t, read)
			if test.fault.kind == "" {
				if err != nil || !got.Done {
					t.Errorf("%+v, %v; want done", got, err)
				}
				return
			}
			test.fault.check(t, err)
		})
	}
}

// TestVerifyGoesOnAfterACut checks that the bytes before the cut of a stream count. The next call continues after them,
// and the hash is the hash of the whole blob.
func TestVerifyGoesOnAfterACut(t *testing.T) {
	for name, end := range map[string]io.Reader{
		"cut": iotest.ErrReader(io.ErrUnexpectedEOF), "over": strings.NewReader(""),
	} {
		t.Run(name, func(t *testing.T) {
			whole := artifact()
			first := true
			w := &wire{replies: map[step]reply{read: func(r *http.Request) (*http.Response, error) {
				answer, err := whole.reply(r)
				if first {
					first = false
					answer.Body = io.NopCloser(io.MultiReader(bytes.NewReader(whole.content[:300]), end))
				}
				return answer, err
			}}}
			part, err := w.provider().Hash(t.Context(), attempt(), backup.Hashing{})
			if err != nil || part.Done || part.Hashing.Offset != 300 {
				t.Fatalf("%+v, %v; want the first 300 bytes", part, err)
			}
			all, err := w.provider().Hash(t.Context(), attempt(), part.Hashing)
			sum := sha256.Sum256(whole.content)
			if err != nil || !all.Done || all.SHA256 != hex.EncodeToString(sum[:]) {
				t.Errorf("%+v, %v; want the hash %x", all, err, sum)
			}
		})
	}
}

func TestVerifyHashesWhatIsStored(t *testing.T) {
	w := &wire{replies: map[step]reply{read: func(r *http.Request) (*http.Response, error) {
		if got := r.Header.Get("Accept-Encoding"); got != "identity" {
			return nil, errors.New("Go would unpack the content, for Accept-Encoding is " + got)
		}
		return artifact().reply(r)
	}}}
	if _, err := w.provider().Hash(t.Context(), attempt(), backup.Hashing{}); err != nil {
		t.Error(err)
	}
}
