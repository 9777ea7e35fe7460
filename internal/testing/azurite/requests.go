package azurite

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Request is one HTTP request that Azurite received.
type Request struct {
	// ID is Azurite's x-ms-request-id.
	ID string
	// Time is the time of arrival, by this machine's clock, in milliseconds.
	Time time.Time
	// Service is "blob", "queue" or "table".
	Service string
	// Method, Host, Path and Query are as on the wire; Host is without the port, Query without the question mark.
	Method, Host, Path, Query string
	// Operation is Azurite's name of the REST operation, such as Table_InsertEntity, Table_Batch or Messages_Dequeue. It is
	// empty when the URL belongs to no operation.
	Operation string
	// AuthScheme is the first word of the Authorization header (Bearer, SharedKey, SharedKeyLite), SAS for a
	// signed URL, or empty for an anonymous request.
	AuthScheme string
	// ObjectID is the oid claim of the bearer token, or empty. The signature of the token is not checked.
	ObjectID string
	// Status is the HTTP status of the response, 0 while there is none.
	Status int
}

// Requests returns every request received since Start, in order of arrival. If a client had the response before the call, the
// request is there, with its status. A table or blob batch is one request, as on the wire.
//
// It cannot return a request that Azurite refused for its x-ms-version header, because Azurite answers it without a trace (400
// InvalidHeaderValue, Azurite 3.37.0), and a connection without a complete request head.
func (s *Server) Requests() ([]Request, error) {
	requests, err := s.readRequests()
	if err != nil {
		return nil, fmt.Errorf("read Azurite's requests: %w", err)
	}
	ours := func(r Request) bool { return strings.HasPrefix(r.Path, markPath) }
	return slices.DeleteFunc(requests, ours), nil
}

// markPath is the path of requests that only mark a place in the log. No account name has a hyphen.
const markPath = "/log-mark/"

var marks atomic.Int64

// readRequests sends a mark and reads the log until the mark is there. Azurite writes one log, in order, after its responses:
// when the mark is in the file, so is everything that was answered before.
func (s *Server) readRequests() ([]Request, error) {
	select {
	case <-s.process.ended: // the log will not grow any more
		return s.journal.readLog(s.debugLog)
	default:
	}
	// On a busy machine the log, with hundreds of megabytes, is far behind.
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	mark := markPath + strconv.FormatInt(marks.Add(1), 10)
	if err := s.probe.get(ctx, s.BlobPort, mark); err != nil {
		return nil, fmt.Errorf("mark the log: %w", err)
	}
	for {
		requests, err := s.journal.readLog(s.debugLog)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(requests, func(r Request) bool { return r.Path == mark }) {
			return requests, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s does not show the latest requests: %w", s.debugLog, ctx.Err())
		case <-time.After(pollInterval):
		}
	}
}

// journal holds the requests that were read from the log so far. The log grows by hundreds of megabytes in a long test run, so
// each part is read once.
type journal struct {
	mu       sync.Mutex
	offset   int64
	requests []Request
	index    map[string]int // by ID
}

// readLog reads the log from the end of the last call on.
func (j *journal) readLog(path string) ([]Request, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if _, err := file.Seek(j.offset, io.SeekStart); err != nil {
		return nil, err
	}
	if err := j.parse(file); err != nil {
		return nil, err
	}
	return slices.Clone(j.requests), nil
}

// parse continues reading Azurite's debug log (format of 3.37.0). A line is "time requestID level: text"; the lines of
// concurrent requests interleave. Three texts matter, the same in all three services:
//
//	BlobStorageContextMiddleware: RequestMethod=PUT RequestURL=https://… RequestHeaders:{…} ClientIP=…
//	DispatchMiddleware: Operation=Container_Create
//	EndMiddleware: End response. TotalTimeInMS=14 StatusCode=201 …
//
// It ignores other lines, the further lines of a text that spans several, and an unfinished last line.
func (j *journal) parse(log io.Reader) error {
	if j.index == nil {
		j.index = map[string]int{}
	}
	reader := bufio.NewReaderSize(log, 64<<10)
	for {
		line, err := reader.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		j.offset += int64(len(line))
		at, id, text, ok := cutLine(line)
		if !ok {
			continue
		}
		i, known := j.index[id]
		switch {
		case !known:
			if request, ok := parseArrival(text); ok {
				request.ID, request.Time = id, at
				j.index[id] = len(j.requests)
				j.requests = append(j.requests, request)
			}
		case strings.HasPrefix(text, "DispatchMiddleware: Operation="):
			j.requests[i].Operation = strings.TrimPrefix(text, "DispatchMiddleware: Operation=")
		case strings.HasPrefix(text, "EndMiddleware: "):
			j.requests[i].Status = parseStatus(text)
		}
	}
}

// cutLine splits a log line into its parts. It is not ok for lines that belong to no request.
func cutLine(line string) (at time.Time, id, text string, ok bool) {
	head, text, found := strings.Cut(strings.TrimRight(line, "\r\n"), ": ")
	fields := strings.Fields(head)
	if !found || len(fields) != 3 { // time, request ID, level
		return time.Time{}, "", "", false
	}
	at, err := time.Parse(time.RFC3339, fields[0])
	return at, fields[1], text, err == nil
}

// parseArrival reads the line that Azurite writes when a request's head has arrived.
func parseArrival(text string) (Request, bool) {
	middleware, rest, ok := strings.Cut(text, "StorageContextMiddleware: RequestMethod=")
	if !ok {
		return Request{}, false
	}
	request := Request{Service: strings.ToLower(middleware)}
	if request.Method, rest, ok = strings.Cut(rest, " RequestURL="); !ok {
		return Request{}, false
	}
	var url string
	if url, rest, ok = strings.Cut(rest, " RequestHeaders:"); !ok {
		return Request{}, false
	}
	_, url, _ = strings.Cut(url, "://")
	url, request.Query, _ = strings.Cut(url, "?")
	host, path, _ := strings.Cut(url, "/")
	request.Host, request.Path = host, "/"+path

	// The text after the headers' JSON distinguishes a request on the wire from a part of a blob batch: the code that runs the
	// parts has no HTTP version and writes the word "version" in its place.
	if strings.HasSuffix(rest, " HTTPVersion=version") {
		return Request{}, false
	}
	var headers struct {
		Authorization string `json:"authorization"`
	}
	if err := json.NewDecoder(strings.NewReader(rest)).Decode(&headers); err != nil {
		return Request{}, false
	}
	request.AuthScheme, request.ObjectID = parseAuthorization(headers.Authorization, request.Query)
	return request, true
}

func parseAuthorization(header, query string) (scheme, objectID string) {
	if header == "" {
		if strings.Contains("&"+query, "&sig=") {
			return "SAS", ""
		}
		return "", ""
	}
	scheme, credential, _ := strings.Cut(header, " ")
	if scheme == "Bearer" {
		objectID = tokenObjectID(credential)
	}
	return scheme, objectID
}

// tokenObjectID returns the oid claim of a JWT, or "" if the token is not a JWT.
func tokenObjectID(token string) string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return ""
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return ""
	}
	var claims struct {
		ObjectID string `json:"oid"`
	}
	if json.Unmarshal(payload, &claims) != nil {
		return ""
	}
	return claims.ObjectID
}

func parseStatus(text string) int {
	_, rest, _ := strings.Cut(text, "StatusCode=")
	digits, _, _ := strings.Cut(rest, " ")
	status, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return status
}
