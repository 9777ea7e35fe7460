package memory_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/memory"
)

// content has a member of each kind that rows have, and a field that is in no row.
type content struct {
	Name    string
	Numbers []int             `json:",omitempty"`
	Texts   map[string]string `json:",omitempty"`
	Inner   *named            `json:",omitempty"`
	All     []inner           `json:",omitempty"`
	inner
	backup.Carried
	Broken error `json:"-"`
}

type named struct {
	Name    string
	Numbers []int
}

type inner struct {
	Depth map[string][]string `json:",omitempty"`
}

const remembered = `{"Name":"a","Numbers":[1,2],"Texts":{"k":"v"},"Inner":{"Name":"b","Numbers":[3]},"All":[{"Depth":{"k":["x"]}}],"Depth":{"k":["y"]}}`

func decoded(t *testing.T, row backup.Row) content {
	t.Helper()
	c, err := backup.Decode[content](row)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestParsed: a remembered row reads as a row without a memory, whatever earlier readers do with their values.
func TestParsed(t *testing.T) {
	body := json.RawMessage(remembered)
	row, want := backup.Row{Body: body, Parsed: memory.NewParsed(body)}, decoded(t, backup.Row{Body: body})
	if want.Inner == nil || len(want.All) == 0 || len(want.Depth) == 0 {
		t.Fatalf("not all of it is read: %+v", want)
	}
	for range 3 {
		c := decoded(t, row)
		if !reflect.DeepEqual(c, want) {
			t.Fatalf("%+v, want %+v", c, want)
		}
		c.Numbers[0], c.Texts["k"], c.Inner.Name, c.Inner.Numbers[0], c.All[0].Depth["k"][0], c.Depth["k"][0] = 9, "9", "9", 9, "9", "9"
		c.All[0].Depth["new"], c.Texts["new"] = nil, "new"
		_ = append(c.Numbers[:1], 8)
	}
	if names, err := backup.Decode[struct{ Name string }](row); err != nil || names.Name != "a" {
		t.Errorf("as another type: %+v, %v", names, err)
	}
	row.Body = json.RawMessage(`{"Name":"another"}`)
	if c := decoded(t, row); c.Name != "another" {
		t.Errorf("another body is read as %+v", c)
	}
}

// TestParsedKeepsWhatIsUnknown: a row of a newer version, or one that is broken, is remembered as such.
func TestParsedKeepsWhatIsUnknown(t *testing.T) {
	body := json.RawMessage(`{"Name":"a","New":1}`)
	row := backup.Row{Body: body, Parsed: memory.NewParsed(body)}
	for range 2 {
		if again := string(backup.Encode(decoded(t, row))); again != `{"Name":"a","New":1}` {
			t.Errorf("it is written back as %s", again)
		}
	}
	body = json.RawMessage(`{"Name":1}`)
	row = backup.Row{Body: body, Parsed: memory.NewParsed(body)}
	for range 2 {
		if c, err := backup.Decode[content](row); err == nil {
			t.Errorf("a broken row is read as %+v", c)
		}
	}
}
