package entity

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"lifeboat/internal/backup"
)

// These are limits of Azure Table Storage (Azure's documentation "Understanding the Table service data model" and "Performing
// entity group transactions").
const (
	maxTransactionBytes = 4 << 20
	maxEntityBytes      = 1 << 20
	maxText             = 32_768 // UTF-16 code units, 64 KiB
	maxKey              = 512    // UTF-16 code units, 1 KiB
	maxName             = 255
	// maxMembers leaves some of Azure's 252 columns for Lifeboat's own.
	maxMembers = 240
	// maxList is the highest number of rows in one response.
	maxList = 1000
	// writeOverhead is a generous bound of the bytes that a transaction adds to an entity: part and request headers.
	writeOverhead = 1024
)

// ownColumns are names that a member of a body may not have.
var ownColumns = []string{partitionColumn, rowColumn, timestampColumn, schemaColumn, writerColumn}

func isOwnColumn(name string) bool { return slices.Contains(ownColumns, name) }

// isColumnName accepts fewer names than Azure does. Azure allows C# identifiers, with letters beyond ASCII.
func isColumnName(name string) bool {
	for i, c := range []byte(name) {
		letter := c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

func checkName(name string) error {
	collides := func(own string) bool { return strings.EqualFold(name, own) }
	switch {
	case !isColumnName(name) || len(name)+len(jsonMark) > maxName:
		return fmt.Errorf("not a column's name: letters, digits and _, at most %d of them", maxName-len(jsonMark))
	case strings.HasSuffix(name, jsonMark):
		return fmt.Errorf("the ending %s is reserved", jsonMark)
	case slices.ContainsFunc(ownColumns, collides):
		return errors.New("the name is reserved")
	}
	return nil
}

func checkLength(text string) error {
	if n := units(text); n > maxText {
		return fmt.Errorf("%d UTF-16 code units: a column has at most %d", n, maxText)
	}
	return nil
}

// checkTransaction refuses the transactions that Azure refuses and Azurite accepts: writes in several partitions, or two of
// one row.
func checkTransaction(writes []backup.Write) error {
	if len(writes) == 0 || len(writes) > backup.MostWrites {
		return fmt.Errorf("%d writes: there must be 1 to %d", len(writes), backup.MostWrites)
	}
	for i, w := range writes {
		if err := checkWrite(w); err != nil {
			return fmt.Errorf("write %d: %w", i, err)
		}
		if w.Partition != writes[0].Partition {
			return fmt.Errorf("write %d is in partition %s, the first in %s: a transaction has one partition", i, w.Partition,
				writes[0].Partition)
		}
		if slices.ContainsFunc(writes[:i], func(o backup.Write) bool { return o.Row == w.Row }) {
			return fmt.Errorf("write %d is of row %s/%s, which another one is of too", i, w.Partition, w.Row)
		}
	}
	return nil
}

func checkWrite(w backup.Write) error {
	if err := CheckKey(w.Key); err != nil {
		return err
	}
	switch {
	case w.Op == backup.Replace && (w.ETag == "" || w.ETag == "*"):
		return fmt.Errorf("row %s/%s: a Replace needs the row's ETag, not %q", w.Partition, w.Row, w.ETag)
	case w.Op == backup.Delete && w.ETag == "":
		return fmt.Errorf("row %s/%s: a Delete needs an ETag, or * for any", w.Partition, w.Row)
	case w.Op < backup.Insert || w.Op > backup.Delete:
		return fmt.Errorf("row %s/%s: unknown operation %d", w.Partition, w.Row, w.Op)
	}
	return nil
}

// CheckKey refuses a key that [backup.Key] does not allow.
func CheckKey(k backup.Key) error {
	for _, part := range []string{k.Partition, k.Row} {
		if part == "" {
			return fmt.Errorf("key %q/%q: a part is empty", k.Partition, k.Row)
		}
		if err := checkText(part); err != nil {
			return fmt.Errorf("key %q/%q: %w", k.Partition, k.Row, err)
		}
	}
	return nil
}

// CheckList refuses arguments that a listing cannot have. The bounds are not keys: they may be empty.
func CheckList(partition, from, to string, limit int) error {
	if err := CheckKey(backup.Key{Partition: partition, Row: "-"}); err != nil {
		return err
	}
	for _, bound := range []string{from, to} {
		if err := checkText(bound); err != nil {
			return fmt.Errorf("bound %q: %w", bound, err)
		}
	}
	if limit < 1 || limit > maxList {
		return fmt.Errorf("limit %d: it must be 1 to %d", limit, maxList)
	}
	return nil
}

// checkText refuses characters that a key may not have. Azure forbids / \ # ? and control characters; Lifeboat also forbids
// the quote, since the SDK's escaping of it cannot be relied on (aztables EDMEntity, seen 2026-11).
func checkText(s string) error {
	count := 0
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !utf8.ValidString(s[i:]):
			return errors.New("it is not UTF-8")
		case unicode.IsControl(r), r == '/', r == '\\', r == '#', r == '?', r == '\'':
			return errors.New(`it has a control character or one of / \ # ? '`)
		}
		count += utf16.RuneLen(r)
	}
	if count > maxKey {
		return fmt.Errorf("more than %d UTF-16 code units", maxKey)
	}
	return nil
}
