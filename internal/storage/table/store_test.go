package table_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"lifeboat/internal/backup"
	"lifeboat/internal/storage/table"
	"lifeboat/internal/testing/azurite/azuritetest"
	"lifeboat/internal/testing/conformance"
)

func TestMain(m *testing.M) { os.Exit(azuritetest.Main(m)) }

func TestCatalog(t *testing.T) {
	conformance.TestCatalog(t, func(t *testing.T) backup.Catalog {
		account := azuritetest.NewAccount(t)
		return table.New(service(t, account, account.Options()), "lifeboat", uuid.NewString)
	})
}

// service returns a client of the account's tables, with a bearer token.
func service(t *testing.T, a *azuritetest.Account, options azcore.ClientOptions) *aztables.ServiceClient {
	t.Helper()
	client, err := aztables.NewServiceClient("https://"+a.Name+".table.core.windows.net", azuritetest.Identity,
		&aztables.ClientOptions{ClientOptions: options})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// sequence returns a function that gives marks a test can recognize.
func sequence(prefix string) func() string {
	n := 0
	return func() string {
		n++
		return prefix + strings.Repeat("i", n)
	}
}

// TestColumns: people can read the table and filter it.
func TestColumns(t *testing.T) {
	account := azuritetest.NewAccount(t)
	client := service(t, account, account.Options())
	store := table.New(client, "lifeboat", func() string { return "me" })
	must(t, store, backup.Write{Op: backup.Insert, Key: key("r"), Body: body(`{"State":"running","Sequence":9007199254740993,
		"Paused":true,"Due":"2026-02-03T04:05:06Z","Settings":{"a":[1]},"Gone":null}`)})
	entity, err := client.NewClient("lifeboat").GetEntity(t.Context(), "p", "r", nil)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(entity.Value, &got); err != nil {
		t.Fatal(err)
	}
	for _, column := range []string{"Timestamp", "odata.etag", "odata.metadata"} {
		delete(got, column)
	}
	want := map[string]any{
		"PartitionKey": "p", "RowKey": "r", "Schema": 1.0, "Writer": "me", "State": "running", "Paused": true,
		"Sequence": "9007199254740993", "Sequence@odata.type": "Edm.Int64", "Due": "2026-02-03T04:05:06Z",
		"Settings_json": `{"a":[1]}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
	filter := "State eq 'running' and Sequence gt 9007199254740992L"
	page, err := client.NewClient("lifeboat").NewListEntitiesPager(&aztables.ListEntitiesOptions{Filter: &filter}).
		NextPage(t.Context())
	if err != nil || len(page.Entities) != 1 {
		t.Errorf("filter %s found %d rows, %v; want 1", filter, len(page.Entities), err)
	}
}

// TestForeignRows: the error for a row that this program cannot read says so, and is not the error for a missing row. In a
// list the row stands among the others, with that error.
func TestForeignRows(t *testing.T) {
	account := azuritetest.NewAccount(t)
	client := service(t, account, account.Options())
	store := table.New(client, "lifeboat", sequence("w"))
	must(t, store, backup.Write{Op: backup.Insert, Key: key("mine"), Body: body(`{}`)})
	for row, test := range map[string]struct{ columns, want string }{
		"newer":    {`"Schema":2,"Writer":"x"`, "schema version 2"},
		"none":     {`"Writer":"x"`, "no schema version"},
		"not-JSON": {`"Schema":1,"Settings_json":"{"`, "Settings_json: its text is not JSON"},
		"remark":   {`"Text":"somebody's remark","Schema":"none","Writer":7`, "no schema version"},
	} {
		entity := fmt.Sprintf(`{"PartitionKey":"p","RowKey":%q,%s}`, row, test.columns)
		if _, err := client.NewClient("lifeboat").AddEntity(t.Context(), []byte(entity), nil); err != nil {
			t.Fatal(err)
		}
		_, _, err := store.Get(t.Context(), key(row))
		rows, _, listErr := store.List(t.Context(), "p", "", "~", 1000)
		i := slices.IndexFunc(rows, func(r backup.Row) bool { return r.Row == row })
		mine := slices.IndexFunc(rows, func(r backup.Row) bool { return r.Row == "mine" })
		if listErr != nil || i < 0 || mine < 0 || rows[mine].Err != nil || rows[i].Partition != "p" || rows[i].ETag == "" || rows[i].Body != nil {
			t.Fatalf("row %s among %+v, %v", row, rows, listErr)
		}
		for _, err := range []error{err, rows[i].Err} {
			if err == nil || errors.Is(err, backup.ErrNotFound) || !errors.Is(err, backup.ErrUnreadable) ||
				!strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), row) {
				t.Errorf("row %s = %v, want an error with %q", row, err, test.want)
			}
		}
	}
}

// TestContinuation makes the service end its pages after two rows each. Azure may do so too.
func TestContinuation(t *testing.T) {
	account := azuritetest.NewAccount(t)
	options := account.Options()
	options.Transport = &http.Client{Transport: roundTrip(func(request *http.Request) (*http.Response, error) {
		request = request.Clone(request.Context())
		if query := request.URL.Query(); query.Has("$top") {
			query.Set("$top", "2")
			request.URL.RawQuery = query.Encode()
		}
		return account.Client.Transport.RoundTrip(request)
	})}
	store := table.New(service(t, account, options), "lifeboat", sequence("w"))
	for _, row := range []string{"a", "b", "c", "d", "e"} {
		must(t, store, backup.Write{Op: backup.Insert, Key: key(row), Body: body(`{}`)})
	}
	for limit, want := range map[int]int{1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 1000: 5} {
		if rows, _, err := store.List(t.Context(), "p", "", "~", limit); err != nil || len(rows) != want {
			t.Errorf("List with limit %d = %d rows, %v; want %d", limit, len(rows), err, want)
		}
	}
}

// TestRequests counts the requests to storage: the program creates a missing table and never checks whether there is one.
func TestRequests(t *testing.T) {
	account := azuritetest.NewAccount(t)
	store := table.New(service(t, account, account.Options()), "lifeboat", sequence("w"))
	var etags []string
	for _, step := range []struct {
		name string
		do   func() error
		want []string
	}{
		{"the first read", func() error {
			if _, _, err := store.Get(t.Context(), key("a")); !errors.Is(err, backup.ErrNotFound) {
				return err
			}
			return nil
		}, []string{"GET 404", "POST 201", "GET 404"}},
		{"a write", func() (err error) {
			etags, err = store.Apply(t.Context(), backup.Write{Op: backup.Insert, Key: key("a"), Body: body(`{}`)})
			return err
		}, []string{"POST 201"}},
		{"a read", func() error { _, _, err := store.Get(t.Context(), key("a")); return err }, []string{"GET 200"}},
		{"a listing", func() error {
			_, _, err := store.List(t.Context(), "p", "", "~", 1000)
			return err
		}, []string{"GET 200"}},
		{"a transaction", func() error {
			_, err := store.Apply(t.Context(), backup.Write{Op: backup.Replace, Key: key("a"), ETag: etags[0], Body: body(`{}`)},
				backup.Write{Op: backup.Insert, Key: key("b"), Body: body(`{}`)})
			return err
		}, []string{"POST 202"}},
		{"a delete", func() error {
			_, err := store.Apply(t.Context(), backup.Write{Op: backup.Delete, Key: key("b"), ETag: "*"})
			return err
		}, []string{"DELETE 204"}},
		{"a refused write", func() error {
			_, err := store.Apply(t.Context(), backup.Write{Op: backup.Insert, Key: key("x/y"), Body: body(`{}`)})
			if err == nil {
				return errors.New("accepted")
			}
			return nil
		}, []string{}},
	} {
		before := len(account.Requests(t))
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		got := []string{}
		for _, r := range account.Requests(t)[before:] {
			got = append(got, fmt.Sprintf("%s %d", r.Method, r.Status))
		}
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
}

// TestMissingTable creates the table from each kind of request.
func TestMissingTable(t *testing.T) {
	for name, do := range map[string]func(*table.Store) error{
		"list": func(s *table.Store) error { _, _, err := s.List(t.Context(), "p", "", "~", 1); return err },
		"write": func(s *table.Store) error {
			_, err := s.Apply(t.Context(), backup.Write{Op: backup.Put, Key: key("a"), Body: body(`{}`)})
			return err
		},
		"transaction": func(s *table.Store) error {
			_, err := s.Apply(t.Context(), backup.Write{Op: backup.Insert, Key: key("a"), Body: body(`{}`)},
				backup.Write{Op: backup.Put, Key: key("b"), Body: body(`{}`)})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			account := azuritetest.NewAccount(t)
			// Two processes find the table missing at once.
			one := table.New(service(t, account, account.Options()), "lifeboat", sequence("one"))
			two := table.New(service(t, account, account.Options()), "lifeboat", sequence("two"))
			errs := make(chan error, 2)
			for _, store := range []*table.Store{one, two} {
				go func() { errs <- do(store) }()
			}
			for range 2 {
				if err := <-errs; err != nil && !errors.Is(err, backup.ErrExists) {
					t.Error(err)
				}
			}
		})
	}
}

// TestErrors: an error names the operation and the row, and has Azure's words, but neither URL nor token.
func TestErrors(t *testing.T) {
	account := azuritetest.NewAccount(t)
	options := account.Options()
	options.Transport = &http.Client{Transport: roundTrip(func(request *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: http.StatusForbidden, Request: request,
			Header: http.Header{"X-Ms-Error-Code": {"AuthorizationFailure"}},
			Body: io.NopCloser(strings.NewReader(`{"odata.error":{"code":"AuthorizationFailure","message":{"lang":"en-US",` +
				`"value":"This request is not authorized to perform this operation.\nRequestId:1\nTime:2"}}}`)),
		}, nil
	})}
	store := table.New(service(t, account, options), "lifeboat", sequence("w"))
	_, _, getErr := store.Get(t.Context(), key("a"))
	_, _, listErr := store.List(t.Context(), "p", "a", "b", 1)
	_, writeErr := store.Apply(t.Context(), backup.Write{Op: backup.Delete, Key: key("a"), ETag: "*"})
	_, transactErr := store.Apply(t.Context(), backup.Write{Op: backup.Delete, Key: key("a"), ETag: "*"},
		backup.Write{Op: backup.Delete, Key: key("b"), ETag: "*"})
	const azure = "answer 403 AuthorizationFailure of Azure Table Storage: " +
		"This request is not authorized to perform this operation."
	for err, want := range map[error]string{
		getErr:      "get row p/a of table lifeboat: " + azure,
		listErr:     `list partition p of table lifeboat from "a" to "b": ` + azure,
		writeErr:    "delete row p/a of table lifeboat: " + azure,
		transactErr: "write 2 rows of partition p of table lifeboat: " + azure,
	} {
		if err == nil || err.Error() != want {
			t.Errorf("error %v\nwant  %s", err, want)
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

// TestColumnsOfOthersStay: replacing a row as it was read keeps columns that this program does not write, of every type.
func TestColumnsOfOthersStay(t *testing.T) {
	account := azuritetest.NewAccount(t)
	client := service(t, account, account.Options())
	store := table.New(client, "lifeboat", func() string { return "me" })
	must(t, store, backup.Write{Op: backup.Insert, Key: key("mine"), Body: body(`{}`)})
	const others = `"Größe":"XL","Rating":4.5,"Seen":"2026-01-02T03:04:05Z","Seen@odata.type":"Edm.DateTime",` +
		`"Who":"0c0ffee0-0000-4000-8000-000000000001","Who@odata.type":"Edm.Guid","Foreign":"too","schema":"x"`
	text := `{"PartitionKey":"p","RowKey":"r","Schema":1,"Writer":"x","State":"live","New":"kept?","NewFlag":true,"NewObject_json":"{\"a\":1}",` +
		`"NewCount":"7","NewCount@odata.type":"Edm.Int64",` + others + `}`
	table := client.NewClient("lifeboat")
	if _, err := table.AddEntity(t.Context(), []byte(text), nil); err != nil {
		t.Fatal(err)
	}
	read := func() map[string]any {
		t.Helper()
		entity, err := table.GetEntity(t.Context(), "p", "r", nil)
		if err != nil {
			t.Fatal(err)
		}
		var columns map[string]any
		if err := json.Unmarshal(entity.Value, &columns); err != nil {
			t.Fatal(err)
		}
		for _, column := range []string{"Timestamp", "Timestamp@odata.type", "odata.etag", "odata.metadata", "Writer"} {
			delete(columns, column)
		}
		return columns
	}
	before := read()
	if len(before) < 13 {
		t.Fatalf("Azurite keeps %v", before)
	}
	for range 2 {
		row, _, err := store.Get(t.Context(), key("r"))
		if err != nil {
			t.Fatal(err)
		}
		must(t, store, backup.Write{Op: backup.Replace, Key: key("r"), ETag: row.ETag, Body: row.Body})
		row, _, err = store.Get(t.Context(), key("r"))
		if err != nil {
			t.Fatal(err)
		}
		must(t, store, backup.Write{Op: backup.Replace, Key: key("r"), ETag: row.ETag, Body: row.Body},
			backup.Write{Op: backup.Put, Key: key("mine"), Body: body(`{}`)}) // in a transaction too
	}
	if diff := cmp.Diff(before, read()); diff != "" {
		t.Errorf("columns (-before +after):\n%s", diff)
	}
}
