// Package entity converts a row of the catalog to its form in Azure Table Storage, and checks the limits there. It makes no
// requests, so that a catalog in memory can keep its rows in the same form and refuse the same rows.
//
// The members of a row's JSON body become columns, so that people can read and filter the table:
//
//	"text"            Edm.String, times as RFC 3339 text among them
//	true, false       Edm.Boolean
//	12                Edm.Int64; only whole numbers that fit one, without exponent
//	{…}, […]          Edm.String with the JSON text, in a column named after the member with "_json" at its end
//	null              no column: a member that is null is not there when the row is read back
//
// Encode adds two columns. Schema is the version of the mapping; Writer holds the mark of the last writer of the row.
//
// Another program may add a column that no member becomes. Decode puts it into the member Foreign as it stands in the entity,
// and Encode takes it out again, so the column is kept.
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

// Schema is the version of the mapping that Encode writes. Decode reads this version and older ones.
const Schema = 1

// These are the columns that every row has besides the columns of its body.
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
	// foreign is the member that holds columns of other programs: an object with their names and values, and with their types
	// under the names with typeMark.
	foreign = "Foreign"
)

// Encode checks the writes of one transaction as Azure Table Storage would. It returns the entity of each write as JSON with
// minimal metadata; the entity of a Delete has the keys alone. The error names the write, counted from 0, and its row.
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
	columns, err := columnsOf(w, writer)
	if err != nil {
		return nil, err
	}
	entity := []byte{'{'}
	for i, c := range columns {
		if i > 0 {
			entity = append(entity, ',')
		}
		entity = append(strconv.AppendQuote(entity, c.name), ':')
		switch c.kind {
		case ofText:
			entity = append(entity, backup.Encode(c.value)...)
		case ofInt64: // a JSON number would lose digits on its way through readers that take it for a float
			entity = append(strconv.AppendQuote(entity, c.value), ',')
			entity = append(strconv.AppendQuote(entity, c.name+typeMark), `:"Edm.Int64"`...)
		case ofRest:
			entity = append(entity, c.value...)
		}
	}
	return append(entity, '}'), nil
}

// Keep checks the writes as Encode does, and returns the bodies as Decode would return them, without making an entity. The
// body of a Delete is nil.
func Keep(writes []backup.Write) ([]json.RawMessage, error) {
	if err := checkTransaction(writes); err != nil {
		return nil, err
	}
	bodies, total := make([]json.RawMessage, len(writes)), 0
	for i, w := range writes {
		if w.Op == backup.Delete {
			continue
		}
		if size := 2 * len(w.Body); isPlain(w.Body) {
			total += size
		} else if columns, err := columnsOf(w, "memory"); err == nil {
			total += entitySize(columns)
		} else {
			return nil, fmt.Errorf("write %d, of row %s/%s: %w", i, w.Partition, w.Row, err)
		}
		bodies[i] = withoutNulls(w.Body)
	}
	if total < maxTransactionBytes/8 { // far from what only the entities themselves can tell
		return bodies, nil
	}
	_, err := Encode(writes, "memory")
	return bodies, err
}

// isPlain says of most bodies that columnsOf takes them: they are too short for any limit of a size.
func isPlain(body []byte) bool {
	if len(body) >= maxText || !json.Valid(body) || body[0] != '{' {
		return false
	}
	n := 0
	for quotedName, value := range members(body) {
		name := string(quotedName[1 : len(quotedName)-1])
		if strings.IndexByte(`"tfn{[`, value[0]) < 0 {
			if _, err := strconv.ParseInt(string(value), 10, 64); err != nil {
				return false
			}
		}
		if n++; n > maxMembers || name == foreign || checkName(name) != nil {
			return false
		}
	}
	return true
}

// withoutNulls returns a copy of the object without the members that are null.
func withoutNulls(object []byte) json.RawMessage {
	if !bytes.Contains(object, []byte("null")) {
		return bytes.Clone(object)
	}
	kept := []byte{'{'}
	for name, value := range members(object) {
		if string(value) == "null" {
			continue
		}
		if len(kept) > 1 {
			kept = append(kept, ',')
		}
		kept = append(append(append(kept, name...), ':'), value...)
	}
	return append(kept, '}')
}

// column is a column of a row, as it stands in the entity.
type column struct {
	name string
	kind kind
	// value is the text, the digits of an Edm.Int64, or else JSON.
	value string
	// size is the number of bytes of the value, as entitySize counts them.
	size int
}

type kind int

const (
	ofText kind = iota
	ofInt64
	ofRest
)

// columnsOf returns the columns of the row of the write, the columns of its keys first.
func columnsOf(w backup.Write, writer string) ([]column, error) {
	columns := append(make([]column, 0, 48),
		column{name: partitionColumn, value: w.Partition, size: 2 * units(w.Partition)},
		column{name: rowColumn, value: w.Row, size: 2 * units(w.Row)})
	if w.Op == backup.Delete {
		return columns, nil
	}
	columns = append(columns,
		column{name: schemaColumn, kind: ofRest, value: strconv.Itoa(Schema), size: 4},
		column{name: writerColumn, value: writer, size: 4 + 2*units(writer)})
	columns, err := addMembers(columns, w.Body)
	if err != nil {
		return nil, err
	}
	if size := entitySize(columns); size > maxEntityBytes {
		return nil, fmt.Errorf("a size of %d bytes: a row has at most %d", size, maxEntityBytes)
	}
	return columns, nil
}

// addMembers adds columns for the body's members.
func addMembers(columns []column, body json.RawMessage) ([]column, error) {
	if !json.Valid(body) || bytes.TrimLeft(body, " \t\r\n")[0] != '{' {
		return nil, errors.New("the body is not a JSON object")
	}
	before := len(columns)
	for quotedName, value := range members(body) {
		if string(value) == "null" {
			continue
		}
		name := string(quotedName[1 : len(quotedName)-1])
		if name == foreign {
			if value[0] != '{' {
				return nil, fmt.Errorf("member %q: the name is reserved", name)
			}
			columns = addForeign(columns, value)
			continue
		}
		c, err := columnOf(name, value)
		if err != nil {
			return nil, fmt.Errorf("member %q: %w", name, err)
		}
		columns = append(columns, c)
	}
	if n := len(columns) - before; n > maxMembers {
		return nil, fmt.Errorf("%d members: a row has at most %d", n, maxMembers)
	}
	return columns, nil
}

// addForeign adds the columns of other programs unchanged.
func addForeign(columns []column, object json.RawMessage) []column {
	for quotedName, value := range members(object) {
		name := string(quotedName[1 : len(quotedName)-1])
		columns = append(columns, column{name: name, kind: ofRest, value: string(value), size: 4 + 2*len(value)})
	}
	return columns
}

// columnOf makes a column of a member that is not null.
func columnOf(name string, value json.RawMessage) (column, error) {
	if err := checkName(name); err != nil {
		return column{}, err
	}
	text := ""
	switch value[0] {
	case '"':
		text = string(value[1 : len(value)-1])
		if strings.Contains(text, `\`) || !utf8.ValidString(text) {
			if err := json.Unmarshal(value, &text); err != nil {
				return column{}, err
			}
		}
	case 't', 'f':
		return column{name: name, kind: ofRest, value: string(value), size: 1}, nil
	case '{', '[':
		var compact bytes.Buffer
		if err := json.Compact(&compact, value); err != nil {
			return column{}, err
		}
		name, text = name+jsonMark, compact.String()
	default:
		n, err := strconv.ParseInt(string(value), 10, 64)
		if err != nil {
			return column{}, fmt.Errorf("%s is not a whole number of 64 bits", value)
		}
		return column{name: name, kind: ofInt64, value: strconv.FormatInt(n, 10), size: 8}, nil
	}
	return column{name: name, value: text, size: 4 + 2*units(text)}, checkLength(text)
}

// Decode reads an entity with minimal metadata, and the mark of its writer. If this version cannot read the entity, Decode
// returns the keys, the ETag and a [backup.ErrUnreadable] with the reason.
func Decode(entity []byte) (row backup.Row, writer string, err error) {
	var columns map[string]json.RawMessage
	if err := json.Unmarshal(entity, &columns); err != nil {
		return row, "", fmt.Errorf("not an entity: %w", err)
	}
	for column, text := range map[string]*string{
		partitionColumn: &row.Partition, rowColumn: &row.Row, "odata.etag": &row.ETag, writerColumn: &writer,
	} {
		_ = json.Unmarshal(columns[column], text) // another program's row may lack it, or not have a text
	}
	var schema int
	_ = json.Unmarshal(columns[schemaColumn], &schema)
	if err := checkSchema(schema); err != nil {
		return row, "", fmt.Errorf("%w: row %s/%s: %w", backup.ErrUnreadable, row.Partition, row.Row, err)
	}
	members, others := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	for column, value := range columns {
		if isOwnColumn(column) || strings.Contains(column, "odata.") || string(value) == "null" {
			continue
		}
		if isForeign(column, value, columns[column+typeMark]) {
			others[column] = value
			if columnType := columns[column+typeMark]; columnType != nil {
				others[column+typeMark] = columnType
			}
			continue
		}
		name, value, err := member(column, value, columns[column+typeMark])
		if err != nil {
			return row, "", fmt.Errorf("%w: row %s/%s, column %s: %w", backup.ErrUnreadable, row.Partition, row.Row, column, err)
		}
		members[name] = value
	}
	if len(others) > 0 {
		if members[foreign], err = json.Marshal(others); err != nil {
			return row, "", err
		}
	}
	row.Body, err = json.Marshal(members)
	return row, writer, err
}

// isForeign tells whether Encode cannot have made the column, by its name, its type, or its value.
func isForeign(column string, value, columnType json.RawMessage) bool {
	name := strings.TrimSuffix(column, jsonMark)
	switch string(columnType) {
	case "", `"Edm.String"`, `"Edm.Boolean"`, `"Edm.Int32"`, `"Edm.Int64"`:
	default:
		return true
	}
	if checkName(name) != nil || name == foreign {
		return true
	}
	switch value[0] {
	case '"', 't', 'f':
		return false
	}
	_, err := strconv.ParseInt(string(value), 10, 64)
	return err != nil
}

// member turns a column back into the member that it was made from.
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

// entitySize returns the size of a row as Microsoft counts it ("Understanding Windows Azure Storage Billing", 2010): 4 bytes,
// the keys' characters twice, and for each column 8 bytes, its name's characters twice, and its value.
func entitySize(columns []column) int {
	size := 4
	for _, c := range columns {
		if size += c.size; c.name != partitionColumn && c.name != rowColumn {
			size += 8 + 2*len(c.name)
		}
	}
	return size
}

// units counts UTF-16 code units. Azure Table Storage measures text in them.
func units(s string) int {
	n := 0
	for _, r := range s {
		n += utf16.RuneLen(r)
	}
	return n
}
