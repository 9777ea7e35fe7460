package memory

import (
	"reflect"
	"sync"
)

// Parsed remembers the values that [backup.Decode] read from one version of a row: simulated worlds read each version many times, and would
// spend half of their time parsing.
type Parsed struct {
	mu   sync.Mutex
	body *byte // the first one of the text that was parsed
	// values has a pointer to one value of each type.
	values []reflect.Value
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

// Recall implements [backup.Parsed].
func (p *Parsed) Recall(body []byte, into any) bool {
	if p == nil || len(body) == 0 || &body[0] != p.body {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	v := reflect.ValueOf(into)
	for _, kept := range p.values {
		if kept.Type() == v.Type() {
			own(kept.Elem(), v.Elem())
			return true
		}
	}
	return false
}

// Remember implements [backup.Parsed].
func (p *Parsed) Remember(body []byte, value any) {
	if p == nil || len(body) == 0 || &body[0] != p.body {
		return
	}
	v := reflect.ValueOf(value)
	kept := reflect.New(v.Type().Elem())
	own(v.Elem(), kept.Elem())
	p.mu.Lock()
	defer p.mu.Unlock()
	p.values = append(p.values, kept)
}

// own makes a copy of a value that was read from JSON. It shares nothing with the value that could be changed.
func own(from, into reflect.Value) {
	into.Set(from)
	detacherOf(into.Type()).detach(into)
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
