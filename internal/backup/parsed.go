package backup

import (
	"reflect"
	"sync"
)

// Parsed remembers the values that [Decode] read from one version of a row. A catalog in memory gives it with the row: simulated worlds
// read each version many times, and would spend half of their time parsing.
type Parsed struct {
	mu   sync.Mutex
	body *byte // the first one of the text that was parsed
	// values has a pointer to one value of each type.
	values []any
}

// NewParsed returns the memory of a body, which must not change any more.
func NewParsed(body []byte) *Parsed {
	if len(body) == 0 {
		return nil
	}
	return &Parsed{body: &body[0]}
}

// Equal says yes: memories are no part of a row's content.
func (*Parsed) Equal(*Parsed) bool { return true }

// recall returns a value that was read before. The caller owns all of it.
func recall[T any](row Row) (v T, known bool) {
	if row.Parsed == nil || len(row.Body) == 0 || &row.Body[0] != row.Parsed.body {
		return v, false
	}
	row.Parsed.mu.Lock()
	defer row.Parsed.mu.Unlock()
	for _, value := range row.Parsed.values {
		if kept, ok := value.(*T); ok {
			return owned(*kept), true
		}
	}
	return v, false
}

// remember keeps a value for recall.
func remember[T any](row Row, v T) {
	if row.Parsed == nil || len(row.Body) == 0 || &row.Body[0] != row.Parsed.body {
		return
	}
	kept := owned(v)
	row.Parsed.mu.Lock()
	defer row.Parsed.mu.Unlock()
	row.Parsed.values = append(row.Parsed.values, &kept)
}

// owned returns a copy of a value that was read from JSON. It shares nothing with the value that could be changed.
func owned[T any](v T) T {
	own := detacherOf(reflect.TypeFor[T]())
	if own == nil {
		return v
	}
	made := v
	own(reflect.ValueOf(&made).Elem())
	return made
}

// detacher replaces what a value refers to by copies.
type detacher func(reflect.Value)

var detachers sync.Map // by type

// detacherOf returns nil for a type without references, which an assignment copies. JSON fills no unexported field, and none with the tag "-".
func detacherOf(t reflect.Type) detacher {
	if d, ok := detachers.Load(t); ok {
		return d.(detacher)
	}
	d := newDetacher(t)
	detachers.Store(t, d)
	return d
}

func newDetacher(t reflect.Type) detacher {
	switch t.Kind() {
	case reflect.Struct:
		return ofStruct(t)
	case reflect.Pointer:
		inner := detacherOf(t.Elem())
		return func(v reflect.Value) {
			if !v.IsNil() {
				made := reflect.New(t.Elem())
				made.Elem().Set(v.Elem())
				v.Set(made)
				inner.detach(v.Elem())
			}
		}
	case reflect.Slice:
		inner := detacherOf(t.Elem())
		return func(v reflect.Value) {
			if v.IsNil() {
				return
			}
			made := reflect.MakeSlice(t, v.Len(), v.Len())
			reflect.Copy(made, v)
			for i := 0; inner != nil && i < v.Len(); i++ {
				inner(made.Index(i))
			}
			v.Set(made)
		}
	case reflect.Map:
		return ofMap(t)
	case reflect.Interface, reflect.Array, reflect.Chan, reflect.Func:
		panic("no row has a " + t.String())
	default:
		return nil
	}
}

func (d detacher) detach(v reflect.Value) {
	if d != nil {
		d(v)
	}
}

func ofStruct(t reflect.Type) detacher {
	fields := map[int]detacher{}
	for i := range t.NumField() {
		if field := t.Field(i); (field.IsExported() || field.Anonymous) && field.Tag.Get("json") != "-" {
			if d := detacherOf(field.Type); d != nil {
				fields[i] = d
			}
		}
	}
	if len(fields) == 0 {
		return nil
	}
	return func(v reflect.Value) {
		for i, d := range fields {
			d(v.Field(i))
		}
	}
}

func ofMap(t reflect.Type) detacher {
	inner := detacherOf(t.Elem())
	return func(v reflect.Value) {
		if v.IsNil() {
			return
		}
		made, value := reflect.MakeMapWithSize(t, v.Len()), reflect.New(t.Elem()).Elem()
		for all := v.MapRange(); all.Next(); {
			value.Set(all.Value())
			inner.detach(value)
			made.SetMapIndex(all.Key(), value)
		}
		v.Set(made)
	}
}
