package entity_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"lifeboat/internal/backup"
	"lifeboat/internal/storage/entity"
)

// TestKeepIsEncodeAndDecode checks that memory keeps the same rows that storage/table reads back, and that both refuse the
// same rows.
func TestKeepIsEncodeAndDecode(t *testing.T) {
	key := backup.Key{Partition: "p", Row: "r"}
	for name, body := range map[string]string{
		"members of all kinds": `{"a":"text","b":true,"c":12,"d":{"e":[1,"x",null]},"f":[{}],"g":"null"}`,
		"nulls":                `{"a":null,"b":"x"}`,
		"nulls alone":          `{"a":null,"b":null}`,
		"white space":          " {\n\"a\" : \"x\" ,\t\"b\": [ 1 , {\"c\" : \"}\"} ] , \"d\" : null, \"e\" : -7 , \"f\":true } ",
		"escapes":              `{"a":"\"}\\","b":{"c":"\\\"]"},"d":"\u00e9\ud83d\ude00\n"}`,
		"an escaped name":      `{"\u0061":"x"}`,
		"not JSON":             `{"a":}`,
		"nothing at all":       ``,
		"nothing":              `{}`,
		"no object":            `[]`,
		"null":                 `null`,
		"a fraction":           `{"a":1.5}`,
		"a name of our own":    `{"Schema":1}`,
		"columns of others":    `{"a":"x","Foreign":{"Größe":"XL","Rating":4.5,"Seen":"2026-01-02T03:04:05Z","Seen@odata.type":"Edm.DateTime"}}`,
		"no columns of others": `{"a":"x","Foreign":"too"}`,
		"a long text":          fmt.Sprintf(`{"a":%q}`, strings.Repeat("x", 40_000)),
	} {
		t.Run(name, func(t *testing.T) {
			writes := []backup.Write{{Op: backup.Put, Key: key, Body: json.RawMessage(body)}}
			kept, err := entity.Keep(writes)
			encoded, refused := entity.Encode(writes, "writer")
			if (err == nil) != (refused == nil) {
				t.Fatalf("Keep says %v, Encode %v", err, refused)
			}
			if err != nil {
				return
			}
			row, _, err := entity.Decode(encoded[0])
			if err != nil {
				t.Fatal(err)
			}
			if got, want := parsed(t, kept[0]), parsed(t, row.Body); !reflect.DeepEqual(got, want) {
				t.Errorf("kept %s, and Decode gives %s", kept[0], row.Body)
			}
		})
	}
}

func parsed(t *testing.T, body json.RawMessage) (v map[string]any) {
	t.Helper()
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatal(err)
	}
	return v
}
