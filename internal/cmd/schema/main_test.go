package main

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"testing"
)

// TestTheCopyIsOfToday: both schemas have the same source, and differ only in the words.
func TestTheCopyIsOfToday(t *testing.T) {
	schema, err := os.ReadFile("../../../" + source)
	if err != nil {
		t.Fatal(err)
	}
	made, err := os.ReadFile("../../../" + copied)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(strict(schema), made) {
		t.Error("docs/plan.strict.schema.json is not made of docs/plan.schema.json as it is: run make schema")
	}
	var with, without any
	if err := json.Unmarshal(schema, &with); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(made, &without); err != nil {
		t.Fatal(err)
	}
	if n := forget(with); n < 15 || !reflect.DeepEqual(with, without) || forget(without) != 0 {
		t.Errorf("%d words; without them the schemas are not the same", n)
	}
}

// forget removes each errorMessage, and counts them.
func forget(v any) (n int) {
	switch v := v.(type) {
	case map[string]any:
		if _, has := v["errorMessage"]; has {
			n++
			delete(v, "errorMessage")
		}
		for _, child := range v {
			n += forget(child)
		}
	case []any:
		for _, child := range v {
			n += forget(child)
		}
	}
	return n
}
