// Package jsonschema checks values against the part of JSON Schema, 2020-12, that the schemas of plans use. A module for all of
// it would add half a megabyte to the program, and its own start alone would take longer than the rest of the program's.
package jsonschema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// Schema is a schema, or a part of one. Its fields are the keywords that it may have.
type Schema struct {
	Ref           string             `json:"$ref"` // such as #/$defs/plan
	Type          string             `json:"type"`
	Const         *float64           `json:"const"`
	Enum          Enum               `json:"enum"`
	Required      []string           `json:"required"`
	Properties    map[string]*Schema `json:"properties"`
	Additional    *bool              `json:"additionalProperties"`
	MinProperties int                `json:"minProperties"`
	Items         *Schema            `json:"items"`
	MinItems      int                `json:"minItems"`
	MinLength     int                `json:"minLength"`
	MaxLength     *int               `json:"maxLength"`
	Pattern       *Pattern           `json:"pattern"`
	Minimum       *float64           `json:"minimum"`
	Maximum       *float64           `json:"maximum"`
	Not           *Schema            `json:"not"`
	Defs          map[string]*Schema `json:"$defs"`

	// ErrorMessage is for people, and for editors, which have given this keyword its meaning.
	ErrorMessage string `json:"errorMessage"`

	// These say nothing about values.
	Dialect     string          `json:"$schema"`
	Title       string          `json:"title"`
	Description string          `json:"description"`
	Examples    json.RawMessage `json:"examples"`

	ref *Schema
}

// Enum lists texts and booleans.
type Enum []any

// UnmarshalJSON refuses other values: this package does not compare them.
func (e *Enum) UnmarshalJSON(text []byte) error {
	if err := json.Unmarshal(text, (*[]any)(e)); err != nil {
		return err
	}
	for _, one := range *e {
		if !isScalar(one) {
			return fmt.Errorf("%v in an enum is neither a text nor a boolean", one)
		}
	}
	return nil
}

// Pattern is a regular expression, compiled when it is first used: a start of the program does not wait for it.
type Pattern struct {
	matches func() *regexp.Regexp
}

// UnmarshalText takes the expression.
func (p *Pattern) UnmarshalText(text []byte) error {
	p.matches = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(string(text)) })
	return nil
}

// Compile reads a schema. It refuses one with a keyword that this package does not know, since it would not check that.
func Compile(text []byte) (*Schema, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	root := &Schema{}
	if err := decoder.Decode(root); err != nil {
		return nil, fmt.Errorf("read the schema: %w", err)
	}
	return root, root.resolve(root.Defs)
}

// resolve finds the definitions that the schema and its parts refer to.
func (s *Schema) resolve(defs map[string]*Schema) error {
	if s.Ref != "" {
		if s.ref = defs[strings.TrimPrefix(s.Ref, "#/$defs/")]; s.ref == nil {
			return fmt.Errorf("the schema has no %s", s.Ref)
		}
	}
	parts := slices.Concat(slices.Collect(maps.Values(s.Properties)), slices.Collect(maps.Values(s.Defs)), []*Schema{s.Items, s.Not})
	for _, part := range parts {
		if part != nil {
			if err := part.resolve(defs); err != nil {
				return err
			}
		}
	}
	return nil
}

// Mistake is one way in which a value breaks a schema.
type Mistake struct {
	// Schema is the part of the schema that the value breaks.
	Schema *Schema
	// Location has the steps from the root to the value: names of fields, and numbers of items.
	Location []string
	// Type says that the value is not of the type of Schema, nor of the type of its constant.
	Type bool
	// Pattern says that the value breaks the pattern of Schema.
	Pattern bool
	// Missing and Unknown are the names of fields that an object lacks, or may not have.
	Missing, Unknown []string
}

// Check returns the mistakes of a value. The value has the types that a [json.Decoder] with UseNumber makes.
func (s *Schema) Check(value any) []Mistake { return s.check(value, nil) }

func (s *Schema) check(value any, at []string) (mistakes []Mistake) {
	wrong := func(m Mistake) {
		m.Schema, m.Location = s, at
		mistakes = append(mistakes, m)
	}
	if s.Type != "" && !isType(value, s.Type) || s.Const != nil && !isType(value, "number") {
		wrong(Mistake{Type: true})
		return mistakes
	}
	if s.Const != nil && !isNumber(value, *s.Const) ||
		s.Enum != nil && !slices.ContainsFunc(s.Enum, func(one any) bool { return isScalar(value) && value == one }) {
		wrong(Mistake{})
		return mistakes
	}
	if s.ref != nil {
		mistakes = append(mistakes, s.ref.check(value, at)...)
	}
	switch value := value.(type) {
	case map[string]any:
		if len(value) < s.MinProperties {
			wrong(Mistake{})
		}
		var missing, unknown []string
		for _, name := range s.Required {
			if _, ok := value[name]; !ok {
				missing = append(missing, name)
			}
		}
		if missing != nil {
			wrong(Mistake{Missing: missing})
		}
		for _, name := range slices.Sorted(maps.Keys(value)) {
			if part := s.Properties[name]; part != nil {
				mistakes = append(mistakes, part.check(value[name], append(slices.Clip(at), name))...)
			} else if s.Additional != nil && !*s.Additional {
				unknown = append(unknown, name)
			}
		}
		if unknown != nil {
			wrong(Mistake{Unknown: unknown})
		}
	case []any:
		if len(value) < s.MinItems {
			wrong(Mistake{})
		}
		for i, item := range value {
			if s.Items != nil {
				mistakes = append(mistakes, s.Items.check(item, append(slices.Clip(at), strconv.Itoa(i)))...)
			}
		}
	case string:
		if n := utf8.RuneCountInString(value); n < s.MinLength || s.MaxLength != nil && n > *s.MaxLength {
			wrong(Mistake{})
		}
		if s.Pattern != nil && !s.Pattern.matches().MatchString(value) {
			wrong(Mistake{Pattern: true})
		}
	case json.Number:
		if f, err := value.Float64(); err != nil || s.Minimum != nil && f < *s.Minimum || s.Maximum != nil && f > *s.Maximum {
			wrong(Mistake{})
		}
	}
	if s.Not != nil && len(s.Not.check(value, at)) == 0 {
		wrong(Mistake{})
	}
	return mistakes
}

// isScalar tells whether the value is a text or a boolean: an object or a list cannot be compared.
func isScalar(value any) bool { return isType(value, "string") || isType(value, "boolean") }

func isNumber(value any, wanted float64) bool {
	number, ok := value.(json.Number)
	f, err := number.Float64()
	return ok && err == nil && f == wanted
}

// isType tells whether the value has the type, by its name in JSON Schema.
func isType(value any, name string) bool {
	switch value := value.(type) {
	case map[string]any:
		return name == "object"
	case []any:
		return name == "array"
	case string:
		return name == "string"
	case bool:
		return name == "boolean"
	case json.Number:
		f, err := value.Float64()
		return name == "number" || name == "integer" && err == nil && f == math.Trunc(f)
	}
	return name == "null" && value == nil
}
