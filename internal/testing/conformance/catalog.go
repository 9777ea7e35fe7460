package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lifeboat/internal/backup"
)

// TestCatalog checks that the catalogs that open returns keep every promise of [backup.Catalog]. Each must be empty, and its
// clock must be close to this machine's clock.
func TestCatalog(t *testing.T, open func(*testing.T) backup.Catalog) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, catalog)
	}{
		{"Insert", testInsert},
		{"Replace", testReplace},
		{"Put", testPut},
		{"Delete", testDelete},
		{"Transaction", testTransaction},
		{"TransactionFails", testTransactionFails},
		{"List", testList},
		{"ListPages", testListPages},
		{"Count", testCount},
		{"Clock", testClock},
		{"Bodies", testBodies},
		{"BodiesRefused", testBodiesRefused},
		{"Keys", testKeys},
		{"WritesRefused", testWritesRefused},
		{"ListRefused", testListRefused},
		{"ETagsNeverReturn", testETagsNeverReturn},
		{"OneInsertWins", testOneInsertWins},
		{"CountersAreExact", testCountersAreExact},
		{"ContextEnds", testContextEnds},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, catalog{t, open(t)}) })
	}
}

// catalog is a Catalog that checks the results of each call.
type catalog struct {
	*testing.T
	backup.Catalog
}

// apply makes writes that must succeed.
func (c catalog) apply(writes ...backup.Write) []string {
	c.Helper()
	etags, err := c.Apply(c.Context(), writes...)
	if err != nil {
		c.Fatalf("Apply: %v", err)
	}
	if len(etags) != len(writes) {
		c.Fatalf("Apply of %d writes returned %d ETags", len(writes), len(etags))
	}
	for i, w := range writes {
		if (etags[i] == "") != (w.Op == backup.Delete) {
			c.Fatalf("write %d, operation %d, returned the ETag %q", i, w.Op, etags[i])
		}
	}
	return etags
}

// refused makes writes that must fail at the index with the error.
func (c catalog) refused(index int, want error, writes ...backup.Write) {
	c.Helper()
	_, err := c.Apply(c.Context(), writes...)
	var failed *backup.WriteError
	if !errors.As(err, &failed) || failed.Index != index || !errors.Is(err, want) {
		c.Fatalf("Apply = %v, want write %d: %v", err, index, want)
	}
}

// invalid makes writes that must fail before any store receives them.
func (c catalog) invalid(writes ...backup.Write) {
	c.Helper()
	_, err := c.Apply(c.Context(), writes...)
	var failed *backup.WriteError
	if err == nil || errors.As(err, &failed) {
		c.Fatalf("Apply = %v, want an error about the writes themselves", err)
	}
}

// holds checks a row, and that its ETag is the one that its write returned.
func (c catalog) holds(key backup.Key, body, etag string) {
	c.Helper()
	row, _, err := c.Get(c.Context(), key)
	if err != nil {
		c.Fatalf("Get: %v", err)
	}
	if row.Key != key || row.ETag != etag {
		c.Errorf("Get(%v) = key %v, ETag %s; want ETag %s", key, row.Key, row.ETag, etag)
	}
	if diff := cmp.Diff(value(c.T, body), value(c.T, string(row.Body))); diff != "" {
		c.Errorf("body of %v (-want +got):\n%s", key, diff)
	}
}

func (c catalog) missing(key backup.Key) {
	c.Helper()
	if row, _, err := c.Get(c.Context(), key); !errors.Is(err, backup.ErrNotFound) {
		c.Errorf("Get(%v) = %s, %v; want ErrNotFound", key, row.Body, err)
	}
}

// list returns the row keys of a listing.
func (c catalog) list(partition, from, to string, limit int) []string {
	c.Helper()
	rows, _, err := c.List(c.Context(), partition, from, to, limit)
	if err != nil {
		c.Fatalf("List(%q, %q, %q, %d): %v", partition, from, to, limit, err)
	}
	keys := []string{}
	for _, row := range rows {
		if row.Partition != partition || row.ETag == "" || !json.Valid(row.Body) {
			c.Errorf("List(%q) returned the row %+v", partition, row)
		}
		keys = append(keys, row.Row)
	}
	return keys
}

// value reads JSON without losing digits of its numbers.
func value(t *testing.T, text string) (v any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

func at(row string) backup.Key { return backup.Key{Partition: "p", Row: row} }

func insert(row, body string) backup.Write {
	return backup.Write{Op: backup.Insert, Key: at(row), Body: json.RawMessage(body)}
}

func replace(row, etag, body string) backup.Write {
	return backup.Write{Op: backup.Replace, Key: at(row), ETag: etag, Body: json.RawMessage(body)}
}

func put(row, body string) backup.Write {
	return backup.Write{Op: backup.Put, Key: at(row), Body: json.RawMessage(body)}
}

func remove(row, etag string) backup.Write {
	return backup.Write{Op: backup.Delete, Key: at(row), ETag: etag}
}

func testInsert(t *testing.T, c catalog) {
	c.missing(at("a"))
	etag := c.apply(insert("a", `{"N":1}`))[0]
	c.holds(at("a"), `{"N":1}`, etag)
	c.refused(0, backup.ErrExists, insert("a", `{"N":2}`))
	c.holds(at("a"), `{"N":1}`, etag)
	c.missing(backup.Key{Partition: "q", Row: "a"})
}

func testReplace(t *testing.T, c catalog) {
	c.refused(0, backup.ErrNotFound, replace("a", `W/"datetime'2026-01-01T00%3A00%3A00.0000000Z'"`, `{}`))
	first := c.apply(insert("a", `{"N":1,"Gone":"x"}`))[0]
	second := c.apply(replace("a", first, `{"N":2}`))[0]
	c.holds(at("a"), `{"N":2}`, second) // the whole body, not a merge
	c.refused(0, backup.ErrChanged, replace("a", first, `{"N":3}`))
	c.holds(at("a"), `{"N":2}`, second)
	third := c.apply(replace("a", second, `{"N":2}`))[0]
	if third == second || second == first {
		t.Errorf("ETags %s, %s, %s: each write must give a new one", first, second, third)
	}
	c.apply(remove("a", third))
	c.refused(0, backup.ErrNotFound, replace("a", third, `{}`))
}

func testPut(t *testing.T, c catalog) {
	first := c.apply(put("a", `{"N":1,"Gone":"x"}`))[0]
	c.holds(at("a"), `{"N":1,"Gone":"x"}`, first)
	second := c.apply(put("a", `{"N":2}`))[0]
	c.holds(at("a"), `{"N":2}`, second)
	c.refused(0, backup.ErrChanged, replace("a", first, `{}`))
	c.apply(replace("a", second, `{}`))
}

func testDelete(t *testing.T, c catalog) {
	c.refused(0, backup.ErrNotFound, remove("a", "*"))
	first := c.apply(insert("a", `{}`))[0]
	second := c.apply(replace("a", first, `{}`))[0]
	c.refused(0, backup.ErrChanged, remove("a", first))
	c.holds(at("a"), `{}`, second)
	c.apply(remove("a", second))
	c.missing(at("a"))
	c.refused(0, backup.ErrNotFound, remove("a", second))

	c.apply(insert("a", `{}`))
	c.apply(remove("a", "*"))
	c.missing(at("a"))
	c.apply(insert("a", `{"N":1}`))
}

func testTransaction(t *testing.T, c catalog) {
	was := c.apply(insert("b", `{"N":1}`), insert("d", `{}`), insert("e", `{}`))
	etags := c.apply(insert("a", `{"N":10}`), replace("b", was[0], `{"N":20}`), put("c", `{"N":30}`), remove("d", was[1]),
		remove("e", "*"))
	c.holds(at("a"), `{"N":10}`, etags[0])
	c.holds(at("b"), `{"N":20}`, etags[1])
	c.holds(at("c"), `{"N":30}`, etags[2])
	c.missing(at("d"))
	c.missing(at("e"))

	// The ETags of a transaction are good for the next writes.
	etags = c.apply(replace("a", etags[0], `{"N":11}`), replace("b", etags[1], `{"N":21}`), put("c", `{"N":31}`))
	c.apply(replace("a", etags[0], `{"N":12}`))
	c.apply(remove("b", etags[1]), replace("c", etags[2], `{"N":32}`))

	// A transaction of one write, of many, and of deletes alone.
	var many, gone []backup.Write
	for i := range 100 {
		many = append(many, insert(fmt.Sprintf("m%02d", i), `{}`))
		gone = append(gone, remove(fmt.Sprintf("m%02d", i), "*"))
	}
	c.apply(many...)
	c.apply(gone...)
	if keys := c.list("p", "", "~", 1000); !slices.Equal(keys, []string{"a", "c"}) {
		t.Errorf("rows %v are left, want a and c", keys)
	}
}

func testTransactionFails(t *testing.T, c catalog) {
	stale := c.apply(insert("a", `{"N":1}`))[0]
	etag := c.apply(put("a", `{"N":2}`))[0]
	other := c.apply(insert("b", `{"N":3}`))[0]

	for _, fails := range []struct {
		write backup.Write
		err   error
	}{
		{insert("a", `{}`), backup.ErrExists},
		{replace("a", stale, `{}`), backup.ErrChanged},
		{replace("missing", etag, `{}`), backup.ErrNotFound},
		{remove("a", stale), backup.ErrChanged},
		{remove("missing", etag), backup.ErrNotFound},
		{remove("missing", "*"), backup.ErrNotFound},
	} {
		others := []backup.Write{insert("c", `{}`), replace("b", other, `{}`), put("d", `{}`)}
		for i := range len(others) + 1 {
			c.refused(i, fails.err, slices.Insert(slices.Clone(others), i, fails.write)...)
		}
	}
	c.refused(1, backup.ErrChanged, remove("b", other), remove("a", stale)) // deletes alone

	c.holds(at("a"), `{"N":2}`, etag)
	c.holds(at("b"), `{"N":3}`, other)
	c.missing(at("c"))
	c.missing(at("d"))
}

func testList(t *testing.T, c catalog) {
	if keys := c.list("p", "", "~", 10); len(keys) != 0 {
		t.Errorf("an empty catalog lists %v", keys)
	}
	for _, row := range []string{"b-1", "a", "c", "b", "B", "b-10", "b-2", "run-1", "run.1"} {
		c.apply(insert(row, `{"Row":"`+row+`"}`))
	}
	c.apply(backup.Write{
		Op: backup.Insert, Key: backup.Key{Partition: "q", Row: "b"}, Body: json.RawMessage(`{}`),
	})
	for _, test := range []struct {
		from, to string
		limit    int
		want     []string
	}{
		{"", "~", 1000, []string{"B", "a", "b", "b-1", "b-10", "b-2", "c", "run-1", "run.1"}},
		{"", "~", 3, []string{"B", "a", "b"}},
		{"b", "~", 2, []string{"b", "b-1"}},
		{"b", "c", 1000, []string{"b", "b-1", "b-10", "b-2"}},
		{"b-1", "b-2", 1000, []string{"b-1", "b-10"}},
		{"b-1", "b-1", 1000, []string{}},
		{"run-", "run.", 1000, []string{"run-1"}},
		{"z", "b", 1000, []string{}},
		{"", "", 1000, []string{}},
		{"b-1 ", "~", 1, []string{"b-10"}}, // a key and a space: the listing begins after that key
	} {
		if got := c.list("p", test.from, test.to, test.limit); !slices.Equal(got, test.want) {
			t.Errorf("List(%q, %q, %d) = %q, want %q", test.from, test.to, test.limit, got, test.want)
		}
	}
	if got := c.list("none", "", "~", 10); len(got) != 0 {
		t.Errorf("a partition without rows lists %v", got)
	}

	rows, _, err := c.List(t.Context(), "p", "b", "b-1", 10)
	if err != nil || len(rows) != 1 {
		t.Fatalf("List = %d rows, %v; want 1", len(rows), err)
	}
	c.holds(rows[0].Key, `{"Row":"b"}`, rows[0].ETag)
	c.apply(replace("b", rows[0].ETag, `{}`)) // a listed ETag is good for a write
}

// testCount: a count is of the rows that a list has, and has a limit too.
func testCount(t *testing.T, c catalog) {
	for i := range 7 {
		c.apply(backup.Write{Op: backup.Insert, Key: backup.Key{Partition: "p", Row: fmt.Sprintf("r%d", i)}, Body: json.RawMessage(`{"a":"b"}`)})
	}
	c.apply(backup.Write{Op: backup.Insert, Key: backup.Key{Partition: "q", Row: "r1"}, Body: json.RawMessage(`{}`)})
	for _, count := range []struct {
		from, to    string
		limit, want int
	}{{"", "~", 1000, 7}, {"r2", "r5", 1000, 3}, {"", "~", 4, 4}, {"s", "t", 1000, 0}} {
		if n, err := c.Count(c.Context(), "p", count.from, count.to, count.limit); err != nil || n != count.want {
			t.Errorf("from %q to %q, up to %d: %d, %v, want %d", count.from, count.to, count.limit, n, err, count.want)
		}
	}
	if _, err := c.Count(c.Context(), "p", "", "~", 1001); err == nil {
		t.Error("a count beyond the limit of a list")
	}
}

func testListPages(t *testing.T, c catalog) {
	const rows = 1100
	var want []string
	for i := 0; i < rows; i += 100 {
		var writes []backup.Write
		for j := range 100 {
			row := fmt.Sprintf("r%04d", i+j)
			want = append(want, row)
			writes = append(writes, insert(row, `{"Text":"`+strings.Repeat("x", 200)+`"}`))
		}
		c.apply(writes...)
	}
	first := c.list("p", "", "~", 1000)
	if !slices.Equal(first, want[:1000]) {
		t.Fatalf("the first page has %d rows, want 1000 in order", len(first))
	}
	if rest := c.list("p", first[999]+" ", "~", 1000); !slices.Equal(rest, want[1000:]) {
		t.Errorf("the second page has %d rows, want 100 in order", len(rest))
	}
}

func testClock(t *testing.T, c catalog) {
	check := func(what string, clock time.Time) {
		t.Helper()
		if off := time.Since(clock).Abs(); off > 2*time.Minute {
			t.Errorf("%s: the clock %v is %v off", what, clock, off)
		}
		if clock.Nanosecond() != 0 || clock.Location() != time.UTC {
			t.Errorf("%s: the clock %v is not in whole seconds of UTC", what, clock)
		}
	}
	_, clock, err := c.Get(t.Context(), at("a"))
	if !errors.Is(err, backup.ErrNotFound) {
		t.Fatalf("Get = %v, want ErrNotFound", err)
	}
	check("Get of a missing row", clock)
	c.apply(insert("a", `{}`))
	_, clock, err = c.Get(t.Context(), at("a"))
	if err != nil {
		t.Fatal(err)
	}
	check("Get", clock)
	for what, partition := range map[string]string{"List": "p", "List without a row": "q"} {
		_, clock, err = c.List(t.Context(), partition, "", "~", 10)
		if err != nil {
			t.Fatal(err)
		}
		check(what, clock)
	}
}

func testBodies(t *testing.T, c catalog) {
	for name, body := range map[string]string{
		"empty":          `{}`,
		"text":           `{"Empty":"","Quotes":"it's \"so\"","Lines":"a\r\n\tb","Markup":"<&>","Slash":"\\ / # ? %27"}`,
		"unicode":        `{"Zürich":null,"Text":"Zürich 日本 🛟 e\u0301 \u2028"}`,
		"booleans":       `{"Yes":true,"No":false}`,
		"numbers":        `{"Zero":0,"One":1,"Minus":-1,"Port":10000}`,
		"large numbers":  `{"Past2To53":9007199254740993,"Most":9223372036854775807,"Least":-9223372036854775808}`,
		"numeric text":   `{"Text":"9007199254740993","True":"true","Null":"null","Object":"{}"}`,
		"times":          `{"UTC":"2026-02-03T04:05:06.123456789Z","Zone":"2026-02-03T04:05:06+01:00"}`,
		"zero time":      `{"Time":"0001-01-01T00:00:00Z"}`,
		"GUID":           `{"ID":"7f1a2c1e-53cb-4f0b-9b38-0c0ffee00001"}`,
		"object":         `{"Settings":{"b":1,"a":[1,2.5,{"c":null}],"n":9007199254740993,"s":"'\"\\"}}`,
		"array":          `{"List":[],"Deep":[[1],["a"],[{}]],"Object":{}}`,
		"like our names": `{"schema_":1,"PartitionKeys":"x","ETag":"y","_":"z"}`,
		"longest text":   `{"Text":"` + strings.Repeat("x", 32_768) + `"}`,
		"emoji":          `{"Text":"` + strings.Repeat("🛟", 1_000) + `"}`,
		"longest array":  `{"List":["` + strings.Repeat("x", 32_764) + `"]}`,
	} {
		t.Run(name, func(t *testing.T) {
			c := catalog{t, c.Catalog}
			want := strings.ReplaceAll(body, `"Zürich":null,`, "")
			key := "body-" + strings.ReplaceAll(name, " ", "-")
			etag := c.apply(insert(key, strings.ReplaceAll(body, `"Zürich":null,`, `"Nothing":null,`)))[0]
			c.holds(at(key), want, etag)

			etag = c.apply(put(key+"-2", want), insert(key+"-3", `{}`))[0] // in a transaction
			c.holds(at(key+"-2"), want, etag)

			rows, _, err := c.List(t.Context(), "p", key, key+"!", 10)
			if err != nil || len(rows) != 1 {
				t.Fatalf("List = %d rows, %v; want 1", len(rows), err)
			}
			if diff := cmp.Diff(value(t, want), value(t, string(rows[0].Body))); diff != "" {
				t.Errorf("listed body (-want +got):\n%s", diff)
			}
		})
	}
}

func testBodiesRefused(t *testing.T, c catalog) {
	tooMany := make([]string, 241)
	for i := range tooMany {
		tooMany[i] = fmt.Sprintf(`"M%d":1`, i)
	}
	tooLarge := make([]string, 40) // 40 of the longest strings are 2.5 MiB of UTF-16
	for i := range tooLarge {
		tooLarge[i] = fmt.Sprintf(`"M%d":"%s"`, i, strings.Repeat("x", 32_768))
	}
	for name, body := range map[string]string{
		"nothing":            ``,
		"null":               `null`,
		"text":               `"text"`,
		"array":              `[]`,
		"not JSON":           `{`,
		"two values":         `{}{}`,
		"fraction":           `{"N":1.5}`,
		"exponent":           `{"N":1e3}`,
		"beyond 64 bits":     `{"N":9223372036854775808}`,
		"text too long":      `{"Text":"` + strings.Repeat("x", 32_769) + `"}`,
		"emoji too long":     `{"Text":"x` + strings.Repeat("🛟", 16_384) + `"}`,
		"object too long":    `{"O":{"s":"` + strings.Repeat("x", 32_768) + `"}}`,
		"too many members":   "{" + strings.Join(tooMany, ",") + "}",
		"too large a row":    "{" + strings.Join(tooLarge, ",") + "}",
		"dash in a name":     `{"a-b":1}`,
		"dot in a name":      `{"a.b":1}`,
		"digit first":        `{"1a":1}`,
		"empty name":         `{"":1}`,
		"name too long":      `{"` + strings.Repeat("n", 256) + `":1}`,
		"PartitionKey":       `{"PartitionKey":"x"}`,
		"RowKey":             `{"RowKey":"x"}`,
		"Timestamp":          `{"Timestamp":"x"}`,
		"Schema":             `{"Schema":1}`,
		"Writer":             `{"Writer":"x"}`,
		"name of JSON":       `{"Settings_json":"{}"}`,
		"annotation as name": `{"N@odata.type":"Edm.Int64"}`,
	} {
		for _, op := range []func(row, body string) backup.Write{insert, put} {
			if _, err := c.Apply(t.Context(), op("a", body)); err == nil {
				t.Errorf("%s: %.80s is accepted", name, body)
			}
		}
	}
	c.invalid(insert("a", `{}`), insert("b", `{"N":1.5}`))
	c.missing(at("a"))
}

func testKeys(t *testing.T, c catalog) {
	long := strings.Repeat("k", 512)
	for _, key := range []backup.Key{
		{Partition: long, Row: long},
		{Partition: "with space", Row: " !\"$%&()*+,-.:;<=>@[]^_`{|}~"},
		{Partition: "100%25", Row: "%2F"},
		{Partition: "Zürich", Row: "日本🛟"},
		{Partition: "{rowKey}", Row: "{partitionKey}"},
		{Partition: "..", Row: "."},
	} {
		write := func(op backup.Op, etag, body string) backup.Write {
			return backup.Write{Op: op, Key: key, ETag: etag, Body: json.RawMessage(body)}
		}
		etag := c.apply(write(backup.Insert, "", `{"N":1}`))[0]
		c.holds(key, `{"N":1}`, etag)
		etag = c.apply(write(backup.Replace, etag, `{"N":2}`))[0]
		c.holds(key, `{"N":2}`, etag)
		etag = c.apply(write(backup.Put, "", `{"N":3}`))[0]
		c.holds(key, `{"N":3}`, etag)
		if keys := c.list(key.Partition, key.Row, key.Row, 1); len(keys) != 0 {
			t.Errorf("List from and to %q = %q", key.Row, keys)
		}
		if keys := c.list(key.Partition, "", "\U0010FFFD", 10); !slices.Equal(keys, []string{key.Row}) {
			t.Errorf("List of partition %q = %q", key.Partition, keys)
		}
		other := backup.Write{
			Op: backup.Insert, Key: backup.Key{Partition: key.Partition, Row: "other"}, Body: json.RawMessage(`{}`),
		}
		etag = c.apply(other, write(backup.Replace, etag, `{"N":4}`))[1]
		c.holds(key, `{"N":4}`, etag)
		c.apply(write(backup.Delete, etag, ""))
		c.missing(key)
	}

	for _, part := range []string{
		"", strings.Repeat("k", 513), strings.Repeat("🛟", 257), "a/b", `a\b`, "a#b", "a?b", "it's",
		"a\tb", "a\x00b", "a\x7fb", "a\u0085b", "\xff",
	} {
		for _, key := range []backup.Key{{Partition: part, Row: "r"}, {Partition: "p", Row: part}} {
			c.invalid(backup.Write{Op: backup.Insert, Key: key, Body: json.RawMessage(`{}`)})
			c.invalid(backup.Write{Op: backup.Delete, Key: key, ETag: "*"})
			if _, _, err := c.Get(t.Context(), key); err == nil || errors.Is(err, backup.ErrNotFound) {
				t.Errorf("Get(%q) = %v, want the key refused", key, err)
			}
		}
	}
}

func testWritesRefused(t *testing.T, c catalog) {
	c.invalid()
	var many []backup.Write
	for i := range 101 {
		many = append(many, insert(fmt.Sprintf("m%03d", i), `{}`))
	}
	c.invalid(many...)
	c.invalid(insert("a", `{}`), backup.Write{
		Op: backup.Insert, Key: backup.Key{Partition: "q", Row: "b"}, Body: json.RawMessage(`{}`),
	})
	c.invalid(insert("a", `{}`), put("b", `{}`), put("a", `{}`))
	c.invalid(insert("a", `{}`), backup.Write{Op: 99, Key: at("b"), Body: json.RawMessage(`{}`)})

	large := strings.Repeat("x", 20_000)
	var heavy []backup.Write // 60 rows of 80 kB: each is small enough, all of them are too much
	for i := range 60 {
		body := fmt.Sprintf(`{"A":"%s","B":"%s","C":"%s","D":"%s"}`, large, large, large, large)
		heavy = append(heavy, insert(fmt.Sprintf("h%02d", i), body))
	}
	c.invalid(heavy...)

	etag := c.apply(insert("z", `{}`))[0]
	c.invalid(replace("z", "", `{}`))
	c.invalid(replace("z", "*", `{}`))
	c.invalid(remove("z", ""))
	c.holds(at("z"), `{}`, etag)
	if keys := c.list("p", "", "~", 10); !slices.Equal(keys, []string{"z"}) {
		t.Errorf("refused writes left the rows %v", keys)
	}
}

func testListRefused(t *testing.T, c catalog) {
	for _, test := range []struct {
		partition, from, to string
		limit               int
	}{
		{"p", "", "~", 0},
		{"p", "", "~", -1},
		{"p", "", "~", 1001},
		{"", "", "~", 10},
		{"a/b", "", "~", 10},
		{"p", "it's", "~", 10},
		{"p", "", "x' or PartitionKey ne '", 10},
	} {
		if _, _, err := c.List(t.Context(), test.partition, test.from, test.to, test.limit); err == nil {
			t.Errorf("List(%q, %q, %q, %d) is accepted", test.partition, test.from, test.to, test.limit)
		}
	}
}

func testETagsNeverReturn(t *testing.T, c catalog) {
	seen := map[string]bool{}
	for range 3 {
		etag := c.apply(insert("a", `{}`))[0]
		if seen[etag] {
			t.Fatalf("ETag %s came back after the row was deleted", etag)
		}
		seen[etag] = true
		c.apply(remove("a", etag))
	}
}

func testContextEnds(t *testing.T, c catalog) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, getErr := c.Get(ctx, at("a"))
	_, _, listErr := c.List(ctx, "p", "", "~", 1)
	_, applyErr := c.Apply(ctx, insert("a", `{}`))
	for what, err := range map[string]error{"Get": getErr, "List": listErr, "Apply": applyErr} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s with an ended context = %v", what, err)
		}
	}
	c.missing(at("a"))
}
