package managedhsm_test

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
)

const blobs = "https://contosobackups.blob.core.windows.net/lifeboat/"

// readable makes the wire of a folder of readable files, with 7 bytes each.
func readable(names ...string) *wire {
	var paths []string
	w := &wire{replies: map[step]reply{}}
	for _, name := range names {
		paths = append(paths, folder+"/"+name)
		file := answers(206, "content", "Content-Range: bytes 0-6/7", "Content-Length: 7", "Etag: 0x1", "Last-Modified: Tue, 03 Nov 2026 02:30:09 GMT")
		for _, slash := range []string{"/", "%2F"} {
			w.replies[step("GET "+blobs+folder+slash+name)] = file
		}
	}
	w.replies[list] = listing(paths...)
	return w
}

// stored returns the run's attempt with that folder as its artifact.
func stored() backup.Attempt {
	a := attempt()
	a.Artifact = folder
	return a
}

// TestAFaultOfTheLookEndsTheCallOnceAllIsRead checks that a call keeps the files that it has read, and that the next call
// repeats the HSM's check. A call that read nothing, and could not make the check, has failed, so that the attempts end.
func TestAFaultOfTheLookEndsTheCallOnceAllIsRead(t *testing.T) {
	for name, c := range map[string]struct {
		reply reply
		fault fault
	}{
		"busy": {
			refuses(409, "Conflict", "Another backup operation is in progress", "Retry-After: 7"),
			fault{kind: backup.Retryable, code: "Conflict", message: "in progress", hint: "Lifeboat asks again", after: 7 * time.Second},
		},
		"throttled": {
			refuses(429, "TooManyRequests", "Slow down.", "Retry-After: 7"),
			fault{kind: backup.Throttled, code: "TooManyRequests", message: "Slow down", hint: "Lifeboat asks again", after: 7 * time.Second},
		},
		"no connection": {unknown, fault{kind: backup.Retryable, code: "Unreachable", message: "no such host", hint: "contoso.managedhsm.azure.net"}},
	} {
		w := readable("a", "z")
		w.replies[prove] = c.reply
		v, err := w.provider().Hash(t.Context(), stored(), backup.Hashing{})
		if err != nil || !v.Done || v.Hashing.Offset != 14 || v.Size != 14 {
			t.Errorf("%s, after all was read: %+v, %v", name, v, err)
			continue
		}
		w.sent = nil
		_, err = w.provider().Prove(t.Context(), stored(), "")
		c.fault.check(t, err)
		again, err := w.provider().Hash(t.Context(), stored(), v.Hashing)
		if err != nil || !reflect.DeepEqual(again, v) {
			t.Errorf("%s, hashed again: %+v, %v, want %+v", name, again, err, v)
		}
		w.expect(t, prove, list) // nothing was read twice
		w.replies[prove], w.replies[pollBack] = accepted("restore"), says(`"status":"Succeeded"`)
		proof, err := w.provider().Prove(t.Context(), stored(), "")
		if err != nil || proof.Done || proof.RetryAfter != 10*time.Second {
			t.Errorf("%s, while it looks: %+v, %v", name, proof, err)
		}
		if proof, err = w.provider().Prove(t.Context(), stored(), proof.Token); err != nil || !proof.Done || !proof.Asked || proof.Warning != "" {
			t.Errorf("%s, once it looked: %+v, %v", name, proof, err)
		}
	}
	w := readable("a")
	w.replies[prove] = refuses(400, "BadRequest", "Invalid backup provided")
	_, err := w.provider().Prove(t.Context(), stored(), "")
	fault{kind: backup.Refused, code: "BadRequest", message: "Invalid backup", hint: "security domain"}.check(t, err)
}

// TestDirectoriesGoInnermostFirst checks the order of deletions: storage refuses to delete a directory that is not empty.
func TestDirectoriesGoInnermostFirst(t *testing.T) {
	w := &wire{replies: map[step]reply{}}
	w.replies[list] = listing(folder+"/a/", folder+"/a/b/", folder+"/a/b/c/", folder+"/z/", folder+"/z/y/")
	want := []string{"z/y", "z", "a/b/c", "a/b", "a", ""}
	for _, directory := range want {
		path := strings.TrimSuffix(folder+"/"+directory, "/")
		for _, escaped := range []string{path, strings.ReplaceAll(path, "/", "%2F")} {
			w.replies[step("DELETE "+blobs+escaped)] = answers(202, "")
		}
	}
	must(t, w.provider().Delete(t.Context(), stored(), "", false))
	var gone []string
	for _, s := range w.sent[1:] {
		path := strings.ReplaceAll(strings.TrimPrefix(string(s), "DELETE "+blobs+folder), "%2F", "/")
		gone = append(gone, strings.TrimPrefix(path, "/"))
	}
	if !slices.Equal(gone, want) {
		t.Errorf("deleted %q, want %q", gone, want)
	}
	w.replies[step("DELETE "+blobs+folder)] = answers(409, "", "X-Ms-Error-Code: DirectoryNotEmpty")
	fault{kind: backup.Refused, code: "DirectoryNotEmpty", hint: "plan.yaml"}.check(t, w.provider().Delete(t.Context(), stored(), "", false))
}

// TestAFolderThatIsAnotherIsKept checks that nothing of a changed folder is deleted.
func TestAFolderThatIsAnotherIsKept(t *testing.T) {
	newest := time.Date(2026, 11, 3, 2, 30, 9, 0, time.UTC).Unix() // the time in the listing
	for name, print := range map[string]string{
		"written anew, and one less": fmt.Sprintf("%d-3-%064d", newest-1, 0),
		"one more":                   fmt.Sprintf("%d-1-%064d", newest, 0),
		"as many":                    fmt.Sprintf("%d-2-%064d", newest, 0),
	} {
		w := &wire{replies: map[step]reply{list: listing(folder+"/a", folder+"/b")}}
		fault{kind: backup.Touched, code: "ArtifactTouched", message: "changed since", hint: "reads it again"}.check(t, w.provider().Delete(t.Context(), stored(), print, false))
		if len(w.sent) != 1 {
			t.Errorf("%s: sent %q", name, w.sent)
		}
	}
	w := &wire{replies: map[step]reply{}}
	must(t, w.provider().Delete(t.Context(), stored(), "", true)) // extras: no folder can be proven to be one
	w.expect(t)
}

// TestAFolderOfMoreThan256FilesGoesInBatches checks that each file is deleted once, after the file that storage would
// keep for the longest.
func TestAFolderOfMoreThan256FilesGoesInBatches(t *testing.T) {
	var names []string
	for i := range 259 {
		names = append(names, fmt.Sprintf("%s/f%03d", folder, i))
	}
	w := &wire{replies: map[step]reply{list: listing(names...)}}
	sizes := []int{}
	w.replies[step("POST https://contosobackups.blob.core.windows.net/lifeboat?comp=batch&restype=container")] = func(r *http.Request) (*http.Response, error) {
		n := strings.Count(w.bodies[len(w.bodies)-1], "DELETE /lifeboat/")
		sizes = append(sizes, n)
		body := ""
		for i := range n {
			body += fmt.Sprintf("--b\r\nContent-Type: application/http\r\nContent-ID: %d\r\n\r\nHTTP/1.1 202 Accepted\r\n\r\n", i)
		}
		return answers(202, body+"--b--\r\n", "Content-Type: multipart/mixed; boundary=b")(r)
	}
	w.replies[step("DELETE "+blobs+folder)] = answers(404, "", "X-Ms-Error-Code: BlobNotFound")
	w.replies[step("DELETE "+blobs+folder+"%2Ff000")] = answers(202, "")
	must(t, w.provider().Delete(t.Context(), stored(), "", false))
	if !slices.Equal(sizes, []int{256, 2}) {
		t.Errorf("batches of %d", sizes)
	}
}

// TestWhatIsNoBackupIsNotVerified checks a folder without content, a folder older than the run, and a folder of more
// files than the state has room for.
func TestWhatIsNoBackupIsNotVerified(t *testing.T) {
	many := func(n int) (names []string) {
		for i := range n {
			names = append(names, fmt.Sprintf("%s/f%03d", folder, i))
		}
		return names
	}
	late := func(by time.Duration) backup.Attempt {
		a := stored()
		a.NotBefore = time.Date(2026, 11, 3, 2, 30, 9, 0, time.UTC).Add(by)
		return a
	}
	for name, c := range map[string]struct {
		blobs []string
		a     backup.Attempt
		code  string
	}{
		"nothing":               {nil, stored(), "ArtifactMissing"},
		"a directory alone":     {[]string{folder + "/"}, stored(), "ArtifactMissing"},
		"6 s older":             {[]string{folder + "/a"}, late(6 * time.Second), "ArtifactTooOld"},
		"more than 320":         {many(321), stored(), "TooManyFiles"},
		"older, as clocks go":   {[]string{folder + "/a"}, late(5 * time.Second), ""},
		"as many as can be 320": {many(320), stored(), ""},
	} {
		w := &wire{replies: map[step]reply{list: listing(c.blobs...)}}
		_, err := w.provider().Hash(t.Context(), c.a, backup.Hashing{})
		if c.code == "" {
			if f := backup.AsFault(err); f == nil || f.Kind == backup.Refused { // it went on, and had nothing to read
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		fault{kind: backup.Refused, code: c.code, hint: "Ask for the backup again"}.check(t, err)
	}
}

// TestFilesAreInTheOrderOfTheirNames checks that the order of storage's list does not matter: the hash of the files
// equals the hash of their sorted list.
func TestFilesAreInTheOrderOfTheirNames(t *testing.T) {
	sums := map[string]bool{}
	for _, names := range [][]string{{"a", "m", "z"}, {"z", "m", "a"}, {"m", "z", "a"}} {
		w := readable(names...)
		v, err := w.provider().Hash(t.Context(), stored(), backup.Hashing{})
		if err != nil || !v.Done {
			t.Fatalf("%q: %+v, %v", names, v, err)
		}
		sums[v.SHA256+" "+v.Hashing.ETag] = true
		if got := v.Files[0].Name + v.Files[1].Name + v.Files[2].Name; got != "amz" {
			t.Errorf("%q are %s", names, got)
		}
	}
	if len(sums) != 1 {
		t.Errorf("one folder has the hashes %v", sums)
	}
}

// TestAPersonsFileInTheFolder checks that a file that was not there when the backup was verified is neither read nor deleted, nor are
// the directories that hold it, and that the backup does not look changed.
func TestAPersonsFileInTheFolder(t *testing.T) {
	w := readable("a", "own/b")
	w.replies[step("GET "+blobs+folder+"%2Fown%2Fb")] = w.replies[step("GET "+blobs+folder+"%2Fown/b")]
	v, err := w.provider().Hash(t.Context(), stored(), backup.Hashing{})
	if err != nil || !v.Done || len(v.Files) != 2 {
		t.Fatalf("%+v, %v", v, err)
	}
	for _, test := range []struct {
		listed []string
		gone   []string
	}{
		{[]string{"README.md", "a", "own/b"}, []string{"a", "own/b"}},
		{[]string{"a", "own/", "own/README.md", "own/b", "theirs/", "z/"}, []string{"a", "own/b", "z", "theirs"}},
		{[]string{"README.md", "own/b"}, []string{"own/b"}},
		{[]string{"README.md"}, nil},
	} {
		var paths []string
		for _, name := range test.listed {
			paths = append(paths, folder+"/"+name)
		}
		a := stored()
		a.Files, a.NotBefore = v.Files, time.Time{}
		w.replies[list] = listing(paths...)
		w.sent, w.bodies = nil, nil
		if len(test.listed) > 2 {
			again, err := w.provider().Hash(t.Context(), a, backup.Hashing{})
			if err != nil || !reflect.DeepEqual(again, v) {
				t.Errorf("%v: hashed it is %+v, %v; want %+v", test.listed, again, err, v)
			}
		}
		var gone []string
		for _, name := range []string{"a", "own/b", "own", "z", "theirs", ""} {
			for _, slash := range []string{"/", "%2F"} {
				path := strings.TrimSuffix(folder+slash+strings.ReplaceAll(name, "/", slash), slash)
				w.replies[step("DELETE "+blobs+path)] = func(r *http.Request) (*http.Response, error) {
					gone = append(gone, name)
					return answers(202, "")(r)
				}
			}
		}
		w.replies[step("POST "+strings.TrimSuffix(blobs, "/")+"?comp=batch&restype=container")] = func(r *http.Request) (*http.Response, error) {
			gone = append(gone, "own/b")
			return answers(202, "--b\r\nContent-Type: application/http\r\nContent-ID: 0\r\n\r\nHTTP/1.1 202 Accepted\r\n\r\n--b--\r\n",
				"Content-Type: multipart/mixed; boundary=b")(r)
		}
		must(t, w.provider().Delete(t.Context(), a, v.Hashing.ETag, false))
		if !slices.Equal(gone, test.gone) {
			t.Errorf("of %v deleted %q, want %q", test.listed, gone, test.gone)
		}
	}
}
