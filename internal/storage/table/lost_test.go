package table_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"

	"lifeboat/internal/backup"
	"lifeboat/internal/storage/table"
	"lifeboat/internal/testing/azurite/azuritetest"
)

// loser is a network that, once armed, lets the next write through and loses the response. It calls meanwhile before the SDK
// sends the write again.
type loser struct {
	network http.RoundTripper

	mu        sync.Mutex
	armed     bool
	meanwhile func()
	writes    int
}

var errLost = errors.New("the connection was reset")

func (l *loser) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := l.network.RoundTrip(request)
	if request.Method == http.MethodGet || err != nil {
		return response, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writes++
	if !l.armed {
		return response, nil
	}
	l.armed = false
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	if l.meanwhile != nil {
		l.meanwhile()
	}
	return nil, errLost
}

// arm makes the network lose the response to the next write. Then it returns the number of recorded writes.
func (l *loser) arm(meanwhile func()) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.armed, l.meanwhile = true, meanwhile
	return l.writes
}

// lossy returns a catalog behind such a network, and another writer of the same table.
func lossy(t *testing.T) (mine, other *table.Store, network *loser) {
	t.Helper()
	account := azuritetest.NewAccount(t)
	network = &loser{network: account.Client.Transport}
	options := account.Options()
	options.Transport = &http.Client{Transport: network}
	mine = table.New(service(t, account, options), "lifeboat", sequence("mine"))
	other = table.New(service(t, account, account.Options()), "lifeboat", sequence("other"))
	return mine, other, network
}

func key(row string) backup.Key { return backup.Key{Partition: "p", Row: row} }

func body(text string) json.RawMessage { return json.RawMessage(text) }

func must(t *testing.T, s *table.Store, writes ...backup.Write) []string {
	t.Helper()
	etags, err := s.Apply(t.Context(), writes...)
	if err != nil {
		t.Fatal(err)
	}
	return etags
}

// TestLostAnswer loses the response to writes that were made: Apply succeeds and returns valid ETags.
func TestLostAnswer(t *testing.T) {
	mine, _, network := lossy(t)
	was := must(t, mine, backup.Write{Op: backup.Insert, Key: key("a"), Body: body(`{"N":0}`)},
		backup.Write{Op: backup.Insert, Key: key("b"), Body: body(`{"N":0}`)},
		backup.Write{Op: backup.Insert, Key: key("gone"), Body: body(`{}`)},
		backup.Write{Op: backup.Insert, Key: key("lock"), Body: body(`{}`)})

	lose := func(writes ...backup.Write) []string {
		t.Helper()
		before := network.arm(nil)
		etags := must(t, mine, writes...)
		if sent := network.writes - before; sent != 2 {
			t.Fatalf("the write was sent %d times, want 2", sent)
		}
		for i, w := range writes {
			row, _, err := mine.Get(t.Context(), w.Key)
			if w.Op == backup.Delete {
				if etags[i] != "" || !errors.Is(err, backup.ErrNotFound) {
					t.Errorf("a delete returned %q, and the row reads as %v", etags[i], err)
				}
				continue
			}
			if err != nil || row.ETag != etags[i] || string(row.Body) != string(w.Body) {
				t.Errorf("write %d returned %s; the row is %+v, %v", i, etags[i], row, err)
			}
		}
		return etags
	}
	first := lose(backup.Write{Op: backup.Insert, Key: key("new"), Body: body(`{"N":1}`)})
	second := lose(backup.Write{Op: backup.Replace, Key: key("new"), ETag: first[0], Body: body(`{"N":2}`)})
	lose(backup.Write{Op: backup.Put, Key: key("new"), Body: body(`{"N":3}`)})
	if _, err := mine.Apply(t.Context(), backup.Write{
		Op: backup.Replace, Key: key("new"), ETag: second[0], Body: body(`{}`),
	}); !errors.Is(err, backup.ErrChanged) {
		t.Errorf("a stale ETag gives %v", err)
	}
	third := lose(backup.Write{Op: backup.Delete, Key: key("gone"), ETag: was[2]},
		backup.Write{Op: backup.Replace, Key: key("a"), ETag: was[0], Body: body(`{"N":4}`)},
		backup.Write{Op: backup.Insert, Key: key("c"), Body: body(`{"N":5}`)},
		backup.Write{Op: backup.Put, Key: key("d"), Body: body(`{"N":6}`)},
		backup.Write{Op: backup.Delete, Key: key("lock"), ETag: "*"})
	lose(backup.Write{Op: backup.Replace, Key: key("a"), ETag: third[1], Body: body(`{"N":7}`)},
		backup.Write{Op: backup.Replace, Key: key("c"), ETag: third[2], Body: body(`{"N":8}`)})
}

// TestLostAnswerToDeletes: a delete leaves no mark, so Apply returns ErrNotFound. The row is in fact gone.
func TestLostAnswerToDeletes(t *testing.T) {
	mine, _, network := lossy(t)
	for _, together := range []bool{false, true} {
		etags := must(t, mine, backup.Write{Op: backup.Insert, Key: key("a"), Body: body(`{}`)},
			backup.Write{Op: backup.Insert, Key: key("b"), Body: body(`{}`)})
		writes := []backup.Write{{Op: backup.Delete, Key: key("a"), ETag: etags[0]}}
		if together {
			writes = append(writes, backup.Write{Op: backup.Delete, Key: key("b"), ETag: etags[1]})
		} else {
			must(t, mine, backup.Write{Op: backup.Delete, Key: key("b"), ETag: etags[1]})
		}
		network.arm(nil)
		_, err := mine.Apply(t.Context(), writes...)
		var failed *backup.WriteError
		if !errors.As(err, &failed) || failed.Index != 0 || !errors.Is(err, backup.ErrNotFound) {
			t.Errorf("%d lost deletes = %v, want ErrNotFound at write 0", len(writes), err)
		}
	}
}

// TestForeignConflict: another writer's row is a conflict, whether or not a response was lost on the way.
func TestForeignConflict(t *testing.T) {
	mine, other, network := lossy(t)
	insert := backup.Write{Op: backup.Insert, Key: key("a"), Body: body(`{"N":1}`)}
	etag := must(t, other, insert)[0]
	conflicts := func(want error, index int, writes ...backup.Write) {
		t.Helper()
		for _, lost := range []bool{false, true} {
			if lost { // the lost response was a refusal
				network.arm(nil)
			}
			_, err := mine.Apply(t.Context(), writes...)
			var failed *backup.WriteError
			if !errors.As(err, &failed) || failed.Index != index || !errors.Is(err, want) {
				t.Errorf("Apply = %v, want write %d: %v", err, index, want)
			}
		}
	}
	conflicts(backup.ErrExists, 0, insert)
	conflicts(backup.ErrExists, 1, backup.Write{Op: backup.Put, Key: key("b"), Body: body(`{}`)}, insert)
	must(t, other, backup.Write{Op: backup.Replace, Key: key("a"), ETag: etag, Body: body(`{"N":2}`)})
	replace := backup.Write{Op: backup.Replace, Key: key("a"), ETag: etag, Body: body(`{"N":3}`)}
	conflicts(backup.ErrChanged, 0, replace)
	conflicts(backup.ErrChanged, 1, backup.Write{Op: backup.Put, Key: key("b"), Body: body(`{}`)}, replace)
}

// TestChangedAfterLostAnswer: a write is made, its response is lost, and then another writer replaces the row.
func TestChangedAfterLostAnswer(t *testing.T) {
	mine, other, network := lossy(t)
	etags := must(t, mine, backup.Write{Op: backup.Insert, Key: key("a"), Body: body(`{"N":1}`)},
		backup.Write{Op: backup.Insert, Key: key("b"), Body: body(`{"N":1}`)})
	overwrite := func(row string) func() {
		return func() {
			_, err := other.Apply(t.Context(), backup.Write{Op: backup.Put, Key: key(row), Body: body(`{"N":9}`)})
			if err != nil {
				t.Error(err)
			}
		}
	}

	network.arm(overwrite("b"))
	_, err := mine.Apply(t.Context(),
		backup.Write{Op: backup.Replace, Key: key("a"), ETag: etags[0], Body: body(`{"N":2}`)},
		backup.Write{Op: backup.Replace, Key: key("b"), ETag: etags[1], Body: body(`{"N":2}`)})
	var failed *backup.WriteError
	if err == nil || errors.As(err, &failed) || errors.Is(err, backup.ErrChanged) {
		t.Errorf("one of two rows changed since = %v, want an error that leaves open whether they were written", err)
	}

	etag := must(t, mine, backup.Write{Op: backup.Put, Key: key("a"), Body: body(`{"N":3}`)})[0]
	network.arm(overwrite("a"))
	_, err = mine.Apply(t.Context(), backup.Write{Op: backup.Replace, Key: key("a"), ETag: etag, Body: body(`{"N":4}`)})
	if !errors.As(err, &failed) || !errors.Is(err, backup.ErrChanged) {
		t.Errorf("the only row changed since = %v, want ErrChanged", err)
	}
	row, _, err := mine.Get(t.Context(), key("a"))
	if err != nil || string(row.Body) != `{"N":9}` {
		t.Errorf("the row is %s, %v; want what the other wrote", row.Body, err)
	}
}
