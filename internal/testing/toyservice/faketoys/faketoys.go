// Package faketoys stands in for toy boxes and the shelf that their backups are put on, over TLS on loopback. It imports nothing
// of Lifeboat, so that the two can only agree on what goes over the wire.
//
//	GET    /boxes/{name}                             how the box is: {"status":"Idle"} or Working
//	POST   /boxes/{name}/backup                      {"file":…,"colour":…}: 202 {"operation":"7"}
//	POST   /boxes/{name}/restore                     {"file":…}: the same
//	GET    /boxes/{name}/operations/{operation}      {"status":"Running"}, Succeeded, or Failed with an error
//	PUT    /shelves/{account}/{shelf}                makes the shelf, where it is not there
//	GET    /shelves/{account}/{shelf}?prefix=…       its files: name, size, modified
//	GET    /shelves/{account}/{shelf}/{file}         a file, with ETag and Last-Modified; DELETE takes If-Match
//
// A real simulator says here which traffic it was made from, and lists the unknowns: each one is a switch with both readings.
// Toys are invented, and so is all of this.
package faketoys

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Step is a kind of request that can go wrong: its pattern.
type Step string

const (
	// OnLook is a look at a box.
	OnLook Step = "GET /boxes/{name}"
	// OnBackup is the start of a backup.
	OnBackup Step = "POST /boxes/{name}/backup"
	// OnRestore is the start of a restore.
	OnRestore Step = "POST /boxes/{name}/restore"
	// OnPoll is the question how an operation is getting on.
	OnPoll Step = "GET /boxes/{name}/operations/{operation}"
)

// Fault is something that goes wrong once, at the next request of a step.
type Fault struct {
	// Status refuses the request; 0 lets it through.
	Status     int
	RetryAfter time.Duration
	// Lost: it takes effect, and its answer is lost.
	Lost bool
	// Fails: the operation that it starts fails. Empty and Missing: it succeeds, and leaves a file of no bytes, or none.
	Fails, Empty, Missing bool
}

// Sim is a running simulator.
type Sim struct {
	now    func() time.Time
	takes  time.Duration
	server *httptest.Server

	mu         sync.Mutex
	toys       map[string]string            // by box
	shelves    map[string]map[string]stored // by path and name
	operations []*operation
	faults     map[Step][]Fault
	counts     map[Step]int
	changes    int
	versions   int
}

type stored struct {
	Name     string    `json:"name"`
	Size     int       `json:"size"`
	Modified time.Time `json:"modified"`
	content  string
	etag     string
}

// operation is a backup or a restore. It takes effect when it is due.
type operation struct {
	box   string
	due   time.Time
	fault Fault
	run   func(*operation)
	done  bool
	why   string // it failed
}

// Start starts a simulator that has the clock and whose operations take some time of it.
func Start(now func() time.Time, takes time.Duration) *Sim {
	s := &Sim{
		now: now, takes: takes, toys: map[string]string{}, shelves: map[string]map[string]stored{}, faults: map[Step][]Fault{}, counts: map[Step]int{},
	}
	mux := http.NewServeMux()
	for pattern, serve := range map[Step]http.HandlerFunc{
		OnLook: s.look, OnBackup: s.backup, OnRestore: s.restore, OnPoll: s.poll,
		"PUT /shelves/{account}/{shelf}":           s.makeShelf,
		"GET /shelves/{account}/{shelf}":           s.list,
		"GET /shelves/{account}/{shelf}/{file}":    s.read,
		"DELETE /shelves/{account}/{shelf}/{file}": s.remove,
	} {
		mux.HandleFunc(string(pattern), s.at(pattern, serve))
	}
	s.server = httptest.NewTLSServer(mux)
	return s
}

// Close ends it.
func (s *Sim) Close() { s.server.Close() }

// Client trusts the simulator, and finds it under toys.example.com.
func (s *Sim) Client() *http.Client { return s.server.Client() }

// Fill puts toys into a box, which is made where it is not there.
func (s *Sim) Fill(box, toys string) { defer s.lock()(); s.toys[box] = toys }

// Toys are those in the box.
func (s *Sim) Toys(box string) string { defer s.lock()(); return s.toys[box] }

// Inject makes the next request of the step go wrong.
func (s *Sim) Inject(at Step, f Fault) { defer s.lock()(); s.faults[at] = append(s.faults[at], f) }

// Count counts the requests of the step.
func (s *Sim) Count(of Step) int { defer s.lock()(); return s.counts[of] }

// Changes counts the requests other than reads.
func (s *Sim) Changes() int { defer s.lock()(); return s.changes }

// Idle tells whether the box is at work on nothing.
func (s *Sim) Idle(box string) bool { defer s.lock()(); return !s.working(box) }

// Shelf returns the contents of the files on a shelf, by name.
func (s *Sim) Shelf(account, name string) map[string]string {
	defer s.lock()()
	contents := map[string]string{}
	for name, f := range s.shelves["/shelves/"+account+"/"+name] {
		contents[name] = f.content
	}
	return contents
}

// Touch gives a file another ETag, as a change of its metadata does.
func (s *Sim) Touch(account, shelf, name string) {
	defer s.lock()()
	path := "/shelves/" + account + "/" + shelf
	if f, there := s.shelves[path][name]; there {
		s.put(path, name, f.content)
	}
}

// lock also ends the operations that are due, so that no request sees an old state.
func (s *Sim) lock() (unlock func()) {
	s.mu.Lock()
	for _, o := range s.operations {
		if !o.done && !s.now().Before(o.due) {
			o.done = true
			o.run(o)
			if o.fault.Fails {
				o.why = "the lid fell"
			}
		}
	}
	return s.mu.Unlock
}

// at is the handler of a step: it counts, asks who calls, and lets go wrong what is to.
func (s *Sim) at(step Step, serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		defer s.lock()()
		s.counts[step]++
		if r.Method != http.MethodGet {
			s.changes++
		}
		if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") {
			refuse(w, http.StatusUnauthorized, "NoToken")
			return
		}
		var f Fault
		if next := s.faults[step]; len(next) > 0 {
			f, s.faults[step] = next[0], next[1:]
		}
		if f.Status != 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(f.RetryAfter.Seconds())))
			refuse(w, f.Status, "OnPurpose")
			return
		}
		before := len(s.operations)
		serve(w, r)
		if len(s.operations) > before {
			s.operations[before].fault = f
		}
		if f.Lost {
			panic(http.ErrAbortHandler)
		}
	}
}

func (s *Sim) look(w http.ResponseWriter, r *http.Request) {
	box := r.PathValue("name")
	if _, there := s.toys[box]; !there {
		refuse(w, http.StatusNotFound, "BoxNotFound")
		return
	}
	status := "Idle"
	if s.working(box) {
		status = "Working"
	}
	answer(w, http.StatusOK, map[string]string{"status": status})
}

func (s *Sim) working(box string) bool {
	for _, o := range s.operations {
		if o.box == box && !o.done {
			return true
		}
	}
	return false
}

func (s *Sim) backup(w http.ResponseWriter, r *http.Request) {
	s.start(w, r, func(o *operation, file, colour string) {
		shelf, name := split(file)
		switch {
		case o.fault.Fails || o.fault.Missing:
			return
		case o.fault.Empty:
			s.put(shelf, name, "")
		default:
			s.put(shelf, name, colour+" paper\n"+s.toys[o.box])
		}
	})
}

func (s *Sim) restore(w http.ResponseWriter, r *http.Request) {
	s.start(w, r, func(o *operation, file, _ string) {
		shelf, name := split(file)
		_, toys, wrapped := strings.Cut(s.shelves[shelf][name].content, " paper\n")
		if o.fault.Fails = o.fault.Fails || !wrapped; !o.fault.Fails {
			s.toys[o.box] = toys
		}
	})
}

// start begins an operation on a box that is at work on nothing.
func (s *Sim) start(w http.ResponseWriter, r *http.Request, run func(o *operation, file, colour string)) {
	var asked struct{ File, Colour string }
	box := r.PathValue("name")
	_, there := s.toys[box]
	err := json.NewDecoder(r.Body).Decode(&asked)
	shelf, name := split(asked.File)
	switch {
	case !there:
		refuse(w, http.StatusNotFound, "BoxNotFound")
	case s.working(box):
		refuse(w, http.StatusConflict, "BoxBusy")
	case err != nil || name == "" || s.shelves[shelf] == nil:
		refuse(w, http.StatusBadRequest, "NoSuchShelf")
	default:
		s.operations = append(s.operations, &operation{box: box, due: s.now().Add(s.takes), run: func(o *operation) { run(o, asked.File, asked.Colour) }})
		answer(w, http.StatusAccepted, map[string]string{"operation": strconv.Itoa(len(s.operations) - 1)})
	}
}

func (s *Sim) poll(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.PathValue("operation"))
	if err != nil || n < 0 || n >= len(s.operations) || s.operations[n].box != r.PathValue("name") {
		refuse(w, http.StatusNotFound, "OperationNotFound")
		return
	}
	switch o := s.operations[n]; {
	case !o.done:
		answer(w, http.StatusOK, map[string]string{"status": "Running"})
	case o.why != "":
		answer(w, http.StatusOK, map[string]any{"status": "Failed", "error": map[string]string{"code": "LidFell", "message": o.why}})
	default:
		answer(w, http.StatusOK, map[string]string{"status": "Succeeded"})
	}
}

func (s *Sim) makeShelf(w http.ResponseWriter, r *http.Request) {
	if s.shelves[r.URL.Path] == nil {
		s.shelves[r.URL.Path] = map[string]stored{}
	}
	answer(w, http.StatusOK, map[string]string{})
}

func (s *Sim) put(shelf, name, content string) {
	s.versions++
	s.shelves[shelf][name] = stored{
		Name: name, Size: len(content), Modified: s.now().UTC(), content: content, etag: fmt.Sprintf(`"%d"`, s.versions),
	}
}

func (s *Sim) list(w http.ResponseWriter, r *http.Request) {
	files, there := s.shelves[r.URL.Path]
	if !there {
		refuse(w, http.StatusNotFound, "NoSuchShelf")
		return
	}
	found := []stored{}
	for _, f := range files {
		if strings.HasPrefix(f.Name, r.URL.Query().Get("prefix")) {
			found = append(found, f)
		}
	}
	answer(w, http.StatusOK, found)
}

// find is the file of the request, or refuses it.
func (s *Sim) find(w http.ResponseWriter, r *http.Request) (files map[string]stored, f stored, there bool) {
	shelf, name := split(r.URL.Path)
	files, there = s.shelves[shelf]
	if !there {
		refuse(w, http.StatusNotFound, "NoSuchShelf")
		return files, f, there
	}
	if f, there = files[name]; !there {
		refuse(w, http.StatusNotFound, "NoSuchFile")
	}
	return files, f, there
}

func (s *Sim) read(w http.ResponseWriter, r *http.Request) {
	_, f, there := s.find(w, r)
	if !there {
		return
	}
	w.Header().Set("ETag", f.etag)
	w.Header().Set("Last-Modified", f.Modified.Format(http.TimeFormat))
	_, _ = w.Write([]byte(f.content)) // a client that lost the answer asks again
}

func (s *Sim) remove(w http.ResponseWriter, r *http.Request) {
	files, f, there := s.find(w, r)
	switch match := r.Header.Get("If-Match"); {
	case !there:
	case match != "" && match != f.etag:
		refuse(w, http.StatusPreconditionFailed, "FileChanged")
	default:
		delete(files, f.Name)
		w.WriteHeader(http.StatusNoContent)
	}
}

// split takes the path of a file apart.
func split(path string) (shelf, name string) {
	at := strings.LastIndex(path, "/")
	if at < 0 {
		return "", ""
	}
	return path[:at], path[at+1:]
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that lost the answer asks again
}

func refuse(w http.ResponseWriter, status int, code string) {
	answer(w, status, map[string]any{"error": map[string]string{"code": code, "message": "the toy box refuses: " + code}})
}
