// Package entity is the form that a row of the catalog has in Azure Table Storage, and the limits it must keep there.
// It talks to nobody, so that a catalog in memory can keep its rows in the same form and refuse the same ones.
//
// The members of a row's JSON body become columns, so that people can read and filter the table:
//
//	"text"            Edm.String, times as RFC 3339 text among them
//	true, false       Edm.Boolean
//	12                Edm.Int64; only whole numbers that fit one, without exponent
//	{…}, […]          Edm.String with the JSON text, in a column named after the member with "_json" at its end
//	null              no column: a member that is null is not there when the row is read back
//
// Two columns are added: Schema says how to read the others, Writer carries the mark of whoever wrote the row last.
package entity

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"lifeboat/internal/backup"
)

// Schema is the version of the mapping that Encode writes, and the newest that Decode reads.
const Schema = 1

// The columns that every row has beside those of its body.
const (
	partitionColumn = "PartitionKey"
	rowColumn       = "RowKey"
	timestampColumn = "Timestamp"
	schemaColumn    = "Schema"
	writerColumn    = "Writer"

	// typeMark after a column's name announces its type, where the JSON value alone does not tell it.
	typeMark = "@odata.type"
	// jsonMark at the end of a column's name says that its text is JSON.
	jsonMark = "_json"
)

// Encode checks the writes of one transaction as Azure Table Storage would, and returns the entity of each as JSON with
// minimal metadata; a Delete has the keys alone. The error names the write, counted from 0, and its row.
func Encode(writes []backup.Write, writer string) ([][]byte, error) {
	if err := checkTransaction(writes); err != nil {
		return nil, err
	}
	entities, total := make([][]byte, len(writes)), 0
	for i, w := range writes {
		e, err := encode(w, writer)
		if err != nil {
			return nil, fmt.Errorf("write %d, of row %s/%s: %w", i, w.Partition, w.Row, err)
		}
		entities[i] = e
		total += len(e) + writeOverhead + 3*(len(w.Partition)+len(w.Row)) // keys are percent-encoded in the URL
	}
	if len(writes) > 1 && total > maxTransactionBytes {
		return nil, fmt.Errorf("%d writes of %d bytes in all: a transaction has at most %d", len(writes), total,
			maxTransactionBytes)
	}
	return entities, nil
}

func encode(w backup.Write, writer string) ([]byte, error) {
	columns, _, err := columnsOf(w, writer)
	if err != nil {
		return nil, err
	}
	return json.Marshal(columns)
}

// Keep checks the writes as Encode does, and returns the bodies as Decode would give them back, without the way through
// an entity; nil for a Delete.
func Keep(writes []backup.Write) ([]json.RawMessage, error) {
	if err := checkTransaction(writes); err != nil {
		return nil, err
	}
	bodies, total := make([]json.RawMessage, len(writes)), 0
	for i, w := range writes {
		columns, members, err := columnsOf(w, "memory")
		if err != nil {
			return nil, fmt.Errorf("write %d, of row %s/%s: %w", i, w.Partition, w.Row, err)
		}
		total += entitySize(columns)
		if w.Op == backup.Delete {
			continue
		}
		// Most bodies have no member that is null; then what is read back is what was written.
		if bodies[i] = bytes.Clone(w.Body); bytes.Contains(w.Body, []byte("null")) {
			if bodies[i], err = json.Marshal(members); err != nil {
				return nil, err
			}
		}
	}
	if total < maxTransactionBytes/8 { // far from what only the entities themselves can tell
		return bodies, nil
	}
	_, err := Encode(writes, "memory")
	return bodies, err
}

// columnsOf are the columns of the row that is written, and the members of its body.
func columnsOf(w backup.Write, writer string) (map[string]any, map[string]json.RawMessage, error) {
	columns := map[string]any{partitionColumn: w.Partition, rowColumn: w.Row}
	if w.Op == backup.Delete {
		return columns, nil, nil
	}
	columns[schemaColumn], columns[writerColumn] = Schema, writer
	members, err := addMembers(columns, w.Body)
	if err != nil {
		return nil, nil, err
	}
	if size := entitySize(columns); size > maxEntityBytes {
		return nil, nil, fmt.Errorf("a size of %d bytes: a row has at most %d", size, maxEntityBytes)
	}
	return columns, members, nil
}

// addMembers makes columns of the body's members, and returns those that are not null.
func addMembers(columns map[string]any, body json.RawMessage) (map[string]json.RawMessage, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return nil, fmt.Errorf("the body is not a JSON object: %w", err)
	}
	if members == nil {
		return nil, errors.New("the body is null, not a JSON object")
	}
	for name, value := range members {
		if string(value) == "null" {
			delete(members, name)
			continue
		}
		if err := addMember(columns, name, value); err != nil {
			return nil, fmt.Errorf("member %q: %w", name, err)
		}
	}
	if len(members) > maxMembers {
		return nil, fmt.Errorf("%d members: a row has at most %d", len(members), maxMembers)
	}
	return members, nil
}

func addMember(columns map[string]any, name string, value json.RawMessage) error {
	if err := checkName(name); err != nil {
		return err
	}
	switch value[0] {
	case '"':
		s := string(value[1 : len(value)-1])
		if strings.Contains(s, `\`) || !utf8.ValidString(s) {
			if err := json.Unmarshal(value, &s); err != nil {
				return err
			}
		}
		columns[name] = s
		return checkLength(s)
	case 't', 'f':
		columns[name] = value[0] == 't'
	case '{', '[':
		var compact bytes.Buffer
		if err := json.Compact(&compact, value); err != nil {
			return err
		}
		columns[name+jsonMark] = compact.String()
		return checkLength(compact.String())
	default:
		n, err := strconv.ParseInt(string(value), 10, 64)
		if err != nil {
			return fmt.Errorf("%s is not a whole number of 64 bits", value)
		}
		// A JSON number would lose digits on its way through readers that take it for a float.
		columns[name], columns[name+typeMark] = strconv.FormatInt(n, 10), "Edm.Int64"
	}
	return nil
}

// Decode reads an entity with minimal metadata, and the mark of its writer.
func Decode(entity []byte) (row backup.Row, writer string, err error) {
	var own struct {
		PartitionKey, RowKey, Writer string
		Schema                       int
		ETag                         string `json:"odata.etag"`
	}
	var columns map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(entity, &own), json.Unmarshal(entity, &columns)); err != nil {
		return row, "", fmt.Errorf("not a row of Lifeboat's: %w", err)
	}
	row.Key, row.ETag = backup.Key{Partition: own.PartitionKey, Row: own.RowKey}, own.ETag
	if err := checkSchema(own.Schema); err != nil {
		return row, "", fmt.Errorf("row %s/%s: %w", row.Partition, row.Row, err)
	}
	members := map[string]json.RawMessage{}
	for column, value := range columns {
		if isOwnColumn(column) || strings.Contains(column, "odata.") || string(value) == "null" {
			continue
		}
		name, value, err := member(column, value, columns[column+typeMark])
		if err != nil {
			return row, "", fmt.Errorf("row %s/%s, column %s: %w", row.Partition, row.Row, column, err)
		}
		members[name] = value
	}
	row.Body, err = json.Marshal(members)
	return row, own.Writer, err
}

// member turns a column back into the member it was made of.
func member(column string, value, columnType json.RawMessage) (name string, v json.RawMessage, err error) {
	inner, isJSON := strings.CutSuffix(column, jsonMark)
	isInt64 := string(columnType) == `"Edm.Int64"`
	if !isJSON && !isInt64 {
		return column, value, nil
	}
	var text string
	if err := json.Unmarshal(value, &text); err != nil {
		return column, nil, err
	}
	if isInt64 {
		_, err := strconv.ParseInt(text, 10, 64)
		return column, json.RawMessage(text), err
	}
	if !json.Valid([]byte(text)) {
		return column, nil, errors.New("its text is not JSON")
	}
	return inner, json.RawMessage(text), nil
}

func checkSchema(schema int) error {
	switch {
	case schema < 1:
		return errors.New("it has no schema version, so Lifeboat did not write it")
	case schema > Schema:
		return fmt.Errorf("a newer Lifeboat wrote it, with schema version %d; this one reads up to %d", schema, Schema)
	}
	return nil
}

// entitySize is what a row occupies, as Microsoft counts it ("Understanding Windows Azure Storage Billing", 2010): 4
// bytes, the keys' characters twice, and for each column 8 bytes, its name's characters twice, and its value.
func entitySize(columns map[string]any) int {
	size := 4
	for name, value := range columns {
		switch v := value.(type) {
		case string:
			switch {
			case strings.HasSuffix(name, typeMark):
				continue
			case name == partitionColumn || name == rowColumn:
				size += 2 * units(v)
				continue
			case columns[name+typeMark] != nil:
				size += 8
			default:
				size += 4 + 2*units(v)
			}
		case bool:
			size++
		case int:
			size += 4
		}
		size += 8 + 2*len(name)
	}
	return size
}

// units counts UTF-16 code units, in which Azure Table Storage measures text.
func units(s string) int {
	n := 0
	for _, r := range s {
		n += utf16.RuneLen(r)
	}
	return n
}
