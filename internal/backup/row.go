package backup

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// Carried is embedded in a type that is read from a row and written back: a newer version may have given the row members that
// this one does not know. They stay as long as the row does.
type Carried struct {
	// body is the body of the row, if this version does not know all of it; else "".
	body string
}

func (c *Carried) carry(body string) { c.body = body }

func (c Carried) unknown() string { return c.body }

// Encode makes a row's body, or the data of an event. The domain's own types always marshal. A row keeps members that this version does not know, if it
// was read with them.
func Encode(v any) json.RawMessage {
	body, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("a row that cannot be written: %v", err))
	}
	if c, ok := v.(interface{ unknown() string }); ok && c.unknown() != "" {
		return merge(json.RawMessage(c.unknown()), body, reflect.TypeOf(v))
	}
	return body
}

// Decode reads a row's body into a T, and says which row is broken if it cannot. A T that is written back carries along the
// members that it does not know.
func Decode[T any](row Row) (T, error) {
	var v T
	switch {
	case row.Err != nil:
		return v, row.Err
	case row.Parsed != nil && row.Parsed.Recall(row.Body, &v):
		return v, nil
	}
	err := row.decode(&v)
	if err == nil && row.Parsed != nil {
		row.Parsed.Remember(row.Body, &v)
	}
	return v, err
}

// Parsed remembers what [Decode] read from one version of a row, so that a catalog in memory need not have it parsed again. A catalog behind a
// network has none.
type Parsed interface {
	// Recall puts a copy of the value that was read from the body before into the one that into points to; false if there is none.
	Recall(body []byte, into any) bool
	// Remember keeps a copy of the value that the pointer leads to.
	Remember(body []byte, value any)
}

// decode reads the body into the value that v points to.
func (row Row) decode(v any) error {
	c, carries := v.(interface{ carry(body string) })
	if carries {
		strict := json.NewDecoder(bytes.NewReader(row.Body))
		strict.DisallowUnknownFields()
		if strict.Decode(v) == nil {
			return nil
		}
		reflect.ValueOf(v).Elem().SetZero()
	}
	if err := json.Unmarshal(row.Body, v); err != nil {
		return fmt.Errorf("%w: row %s/%s of the catalog cannot be read: %w", ErrUnreadable, row.Partition, row.Row, err)
	}
	if carries {
		c.carry(string(row.Body))
	}
	return nil
}

// merge adds to an object of the type the members that it had before and the type does not know. A member that points to a struct
// is merged by itself, in the same way. Any other member is a value: if this version leaves the known part of it unchanged, all
// of it stays; if this version writes another value, nothing of the old one stays.
func merge(old, object json.RawMessage, t reflect.Type) json.RawMessage {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var was, is map[string]json.RawMessage
	if json.Unmarshal(old, &was) != nil || json.Unmarshal(object, &is) != nil {
		return object
	}
	known := map[string]reflect.StructField{}
	for _, field := range reflect.VisibleFields(t) {
		if name := memberName(field); name != "" {
			known[strings.ToLower(name)] = field // encoding/json reads names in any case
		}
	}
	for name, before := range was {
		field, ok := known[strings.ToLower(name)]
		if !ok {
			is[name] = before
			continue
		}
		name := memberName(field)
		switch now, there := is[name]; {
		case !there:
		case field.Type.Kind() == reflect.Pointer:
			is[name] = merge(before, now, field.Type)
		case unchanged(before, now, field.Type):
			is[name] = before
		}
	}
	merged, err := json.Marshal(is)
	if err != nil {
		panic(fmt.Sprintf("a row that cannot be written: %v", err))
	}
	return merged
}

// memberName returns the name of the field in JSON; "" if it is in none.
func memberName(field reflect.StructField) string {
	if !field.IsExported() || field.Anonymous || field.Tag.Get("json") == "-" {
		return ""
	}
	if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" {
		return name
	}
	return field.Name
}

// unchanged says whether the known part of the value is the same as before.
func unchanged(before, now json.RawMessage, t reflect.Type) bool {
	v := reflect.New(t)
	if json.Unmarshal(before, v.Interface()) != nil {
		return false
	}
	again, err := json.Marshal(v.Interface())
	return err == nil && bytes.Equal(again, now)
}
