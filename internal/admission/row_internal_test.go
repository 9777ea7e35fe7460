package admission

import (
	"encoding/json"
	"reflect"
	"testing"

	"lifeboat/internal/backup"
)

// TestPermitsKeepWhatThisVersionDoesNotKnow: a permit is read, changed and written back, twice. It keeps all the members of a
// newer version.
func TestPermitsKeepWhatThisVersionDoesNotKnow(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"nothing unknown", `{"Run":"r","Since":"2026-01-15T02:30:00Z"}`, `{"Run":"s","Since":"2026-01-15T02:30:00Z"}`},
		{
			"a member", `{"Run":"r","Since":"2026-01-15T02:30:00Z","New":{"a":[1]}}`,
			`{"Run":"s","Since":"2026-01-15T02:30:00Z","New":{"a":[1]}}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			row := backup.Row{Body: json.RawMessage(c.body)}
			for range 2 {
				p, err := backup.Decode[permit](row)
				if err != nil {
					t.Fatal(err)
				}
				p.Run = "s"
				row.Body = backup.Encode(p)
			}
			var is, want map[string]any
			if json.Unmarshal(row.Body, &is) != nil || json.Unmarshal([]byte(c.want), &want) != nil {
				t.Fatalf("%s", row.Body)
			}
			if !reflect.DeepEqual(is, want) {
				t.Errorf("%s, want %s", row.Body, c.want)
			}
		})
	}
}
