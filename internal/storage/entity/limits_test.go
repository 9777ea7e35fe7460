package entity_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"lifeboat/internal/backup"
	"lifeboat/internal/storage/entity"
)

// put returns a write of a row with the body.
func put(row, body string) backup.Write {
	return backup.Write{Op: backup.Put, Key: backup.Key{Partition: "p", Row: row}, Body: json.RawMessage(body)}
}

// taken tells whether the writes are accepted, and fails the test if Keep and Encode disagree.
func taken(t *testing.T, writes ...backup.Write) bool {
	t.Helper()
	_, kept := entity.Keep(writes)
	_, encoded := entity.Encode(writes, "writer")
	if (kept == nil) != (encoded == nil) {
		t.Errorf("Keep says %v, Encode %v", kept, encoded)
	}
	return kept == nil
}

// TestTextIsMeasuredAsAzureDoes: text is measured in UTF-16 code units. A letter beyond the first 65,536 has two.
func TestTextIsMeasuredAsAzureDoes(t *testing.T) {
	for letter, units := range map[string]int{"a": 1, "é": 1, "船": 1, "\uffff": 1, "😀": 2, "𝄞": 2} {
		for n, want := range map[int]bool{32_768 / units: true, 32_768/units + 1: false} {
			if got := taken(t, put("r", fmt.Sprintf(`{"a":"%s"}`, strings.Repeat(letter, n)))); got != want {
				t.Errorf("a column of %d %q: taken is %t", n, letter, got)
			}
			inner := `{"b":"` + strings.Repeat(letter, n-8/units) + `"}` // the other 8 are of the JSON around it
			if got := taken(t, put("r", `{"a":`+inner+`}`)); got != want {
				t.Errorf("a column with %d %q in JSON: taken is %t", n-8/units, letter, got)
			}
		}
		for n, want := range map[int]bool{512 / units: true, 512/units + 1: false} {
			key := strings.Repeat(letter, n)
			for _, k := range []backup.Key{{Partition: key, Row: "r"}, {Partition: "p", Row: key}} {
				if err := entity.CheckKey(k); (err == nil) != want {
					t.Errorf("a key with %d %q: %v", n, letter, err)
				}
			}
			if err := entity.CheckList("p", key, "", 1); (err == nil) != want {
				t.Errorf("a bound with %d %q: %v", n, letter, err)
			}
			if err := entity.CheckList("p", "", key, 1); (err == nil) != want {
				t.Errorf("a second bound with %d %q: %v", n, letter, err)
			}
		}
	}
}

// TestARowHasAtMostOneMiB, by Azure's own count.
func TestARowHasAtMostOneMiB(t *testing.T) {
	// 4 bytes; the keys p and r 2 each; Schema 8 + 12 + 4; Writer 8 + 12 + 4 + 2 a letter; each column 8 + 2 a letter of its
	// name + 4 + 2 a letter.
	body := func(writer string, spare int) string {
		left := 1<<20 - 4 - 4 - 24 - 24 - 2*len(writer) - spare
		columns := []string{}
		for i := 0; left > 0; i++ {
			name := fmt.Sprintf("c%02d", i)
			n := min((left-8-6-4)/2, 32_000)
			if rest := left - 8 - 6 - 4 - 2*n; rest > 0 && rest < 100 {
				n -= 50 // leaves room for one more column
			}
			columns = append(columns, fmt.Sprintf(`"%s":"%s"`, name, strings.Repeat("x", n)))
			left -= 8 + 6 + 4 + 2*n
		}
		return "{" + strings.Join(columns, ",") + "}"
	}
	for spare, want := range map[int]bool{0: true, 2: true, -2: false} {
		writer := "memory" // as long as Keep's own
		_, err := entity.Encode([]backup.Write{put("r", body(writer, spare))}, writer)
		_, kept := entity.Keep([]backup.Write{put("r", body(writer, spare))})
		if (err == nil) != want || (kept == nil) != want {
			t.Errorf("%d bytes to spare: %v, %v", spare, err, kept)
		}
	}
}

// TestARowHasAtMost240Members, and a member null is none.
func TestARowHasAtMost240Members(t *testing.T) {
	members := func(n int, more ...string) string {
		for i := range n {
			more = append(more, fmt.Sprintf(`"m%d":%d`, i, i))
		}
		return "{" + strings.Join(more, ",") + "}"
	}
	for body, want := range map[string]bool{members(240): true, members(241): false, members(240, `"nothing":null`): true} {
		if got := taken(t, put("r", body)); got != want {
			t.Errorf("%.40s…: taken is %t", body, got)
		}
	}
}

// TestWhichNamesAMemberMayHave: a member may have the name of a column, except Azure's and Lifeboat's own columns, in any
// case.
func TestWhichNamesAMemberMayHave(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "A9": true, "_a": true, "Z_z0": true, strings.Repeat("a", 250): true,
		"": false, "9a": false, "a-b": false, "a.b": false, "é": false, strings.Repeat("a", 251): false, "a_json": false,
		"PartitionKey": false, "rowkey": false, "TIMESTAMP": false, "Schema": false, "schema": false, "Writer": false, "Schemas": true,
	} {
		if got := taken(t, put("r", fmt.Sprintf(`{%q:1}`, name))); got != want {
			t.Errorf("%q: taken is %t", name, got)
		}
	}
}

// TestWhichNumbersAreKept: whole numbers of 64 bits are kept, digit for digit.
func TestWhichNumbersAreKept(t *testing.T) {
	for number, want := range map[string]bool{
		"0": true, "-1": true, "9223372036854775807": true, "-9223372036854775808": true,
		"9223372036854775808": false, "-9223372036854775809": false, "1e3": false, "1.0": false,
	} {
		w := put("r", `{"n":`+number+`}`)
		if got := taken(t, w); got != want {
			t.Errorf("%s: taken is %t", number, got)
		}
		if !want {
			continue
		}
		encoded, err := entity.Encode([]backup.Write{w}, "writer")
		if err != nil {
			t.Fatal(err)
		}
		row, writer, err := entity.Decode(encoded[0])
		if err != nil || string(row.Body) != `{"n":`+number+`}` || row.Partition != "p" || row.Row != "r" || writer != "writer" {
			t.Errorf("%s came back as %s of %s/%s by %s: %v", number, row.Body, row.Partition, row.Row, writer, err)
		}
	}
}

// TestATransactionIsOneThatAzureTakes: a transaction has 1 to 100 writes of different rows of one partition and at most 4 MiB,
// and each write has an ETag if it needs one.
func TestATransactionIsOneThatAzureTakes(t *testing.T) {
	rows := func(n, size int) (writes []backup.Write) {
		for i := range n {
			writes = append(writes, put(fmt.Sprintf("r%d", i), fmt.Sprintf(`{"a":"%[1]s","b":"%[1]s"}`, strings.Repeat("x", size))))
		}
		return writes
	}
	elsewhere := put("s", `{}`)
	elsewhere.Partition = "q"
	with := func(op backup.Op, etag string) backup.Write {
		w := put("x", `{}`)
		w.Op, w.ETag = op, etag
		return w
	}
	for name, c := range map[string]struct {
		writes []backup.Write
		want   bool
	}{
		"none":                        {nil, false},
		"one":                         {rows(1, 1), true},
		"100":                         {rows(100, 1), true},
		"101":                         {rows(101, 1), false},
		"two partitions":              {append(rows(1, 1), elsewhere), false},
		"the third elsewhere":         {append(rows(2, 1), elsewhere), false},
		"one row twice":               {append(rows(2, 1), put("r0", `{}`)), false},
		"the last one is again":       {append(rows(3, 1), put("r2", `{}`)), false},
		"3 MiB":                       {rows(60, 26_000), true},
		"more than 4 MiB":             {rows(70, 32_000), false},
		"a Replace":                   {[]backup.Write{with(backup.Replace, "e")}, true},
		"a Replace without an ETag":   {[]backup.Write{with(backup.Replace, "")}, false},
		"a Replace of any":            {[]backup.Write{with(backup.Replace, "*")}, false},
		"a Delete":                    {[]backup.Write{with(backup.Delete, "e")}, true},
		"a Delete of any":             {[]backup.Write{with(backup.Delete, "*")}, true},
		"a Delete without an ETag":    {[]backup.Write{with(backup.Delete, "")}, false},
		"an Insert":                   {[]backup.Write{with(backup.Insert, "")}, true},
		"what is no operation":        {[]backup.Write{with(backup.Op(99), "e")}, false},
		"the second without an ETag":  {append(rows(1, 1), with(backup.Replace, "")), false},
		"the second with a bad body":  {append(rows(1, 1), put("x", `[]`)), false},
		"the second with a fraction":  {append(rows(1, 1), put("x", `{"a":0.5}`)), false},
		"the second with a long text": {append(rows(1, 1), put("x", `{"a":"`+strings.Repeat("x", 32_769)+`"}`)), false},
	} {
		if got := taken(t, c.writes...); got != c.want {
			t.Errorf("%s: taken is %t", name, got)
		}
	}
}

// TestWhichCharactersAKeyMayHave: a key may have every character except the quote and the characters that Azure forbids.
func TestWhichCharactersAKeyMayHave(t *testing.T) {
	for _, good := range []string{"a", "A-9_.~!", "é 船", "%", "\"", "+&="} {
		if err := entity.CheckKey(backup.Key{Partition: good, Row: good}); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "a/b", `a\b`, "a#", "a?", "a'b", "a\tb", "\u0085", "a\x7f", "\xff", "a\x00"} {
		for _, k := range []backup.Key{{Partition: bad, Row: "r"}, {Partition: "p", Row: bad}} {
			if err := entity.CheckKey(k); err == nil {
				t.Errorf("%q is taken", k)
			}
		}
		if err := entity.CheckList("p", bad, "", 1); (err == nil) != (bad == "") {
			t.Errorf("a bound %q: %v", bad, err)
		}
		if err := entity.CheckList("p", "", bad, 1); (err == nil) != (bad == "") {
			t.Errorf("an upper bound %q: %v", bad, err)
		}
		if err := entity.CheckList(bad, "", "", 1); err == nil {
			t.Errorf("a listing of the partition %q is taken", bad)
		}
	}
	for limit, want := range map[int]bool{0: false, 1: true, 1000: true, 1001: false, -1: false} {
		if err := entity.CheckList("p", "a", "b", limit); (err == nil) != want {
			t.Errorf("a listing of %d rows: %v", limit, err)
		}
	}
}

// TestWhatIsNoRowOfOursIsNotRead checks that Decode refuses entities that Encode cannot have made.
func TestWhatIsNoRowOfOursIsNotRead(t *testing.T) {
	const keys = `"PartitionKey":"p","RowKey":"r","Writer":"w","odata.etag":"e","Timestamp":"2026-01-01T00:00:00Z"`
	row, writer, err := entity.Decode([]byte(`{` + keys + `,"Schema":1,"a":"x","b":true,"c":"7","c@odata.type":"Edm.Int64","d_json":"[1]","e":null}`))
	if err != nil || string(row.Body) != `{"a":"x","b":true,"c":7,"d":[1]}` || row.Partition != "p" || row.Row != "r" || row.ETag != "e" || writer != "w" {
		t.Errorf("%+v by %s: %s, %v", row, writer, row.Body, err)
	}
	for name, columns := range map[string]string{
		"no schema": `"a":"x"`, "schema 0": `"Schema":0`, "a newer schema": `"Schema":2`, "a broken number": `"Schema":1,"c":"x","c@odata.type":"Edm.Int64"`,
		"broken JSON": `"Schema":1,"d_json":"["`, "JSON that is no text": `"Schema":1,"d_json":1`,
	} {
		if row, _, err := entity.Decode([]byte(`{` + keys + `,` + columns + `}`)); err == nil || !strings.Contains(err.Error(), "row p/r") {
			t.Errorf("%s: %s, %v", name, row.Body, err)
		}
	}
	if _, _, err := entity.Decode([]byte(`[]`)); err == nil {
		t.Error("a list is read as a row")
	}
}
