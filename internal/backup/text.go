package backup

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/bits"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// ColumnRunes is a number of runes that always fit into a column: a rune is at most two UTF-16 units.
const ColumnRunes = 16_000

// IsUnreadable says that a person cannot read the character.
func IsUnreadable(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' || r == utf8.RuneError
}

// Fraction is a part of the whole, below it: always the same for a text, and spread evenly over texts.
func Fraction(text string, whole uint64) uint64 {
	sum := sha256.Sum256([]byte(text))
	part, _ := bits.Mul64(binary.BigEndian.Uint64(sum[:]), whole) // the hash is below 2^64
	return part
}

// Later returns the later of two times.
func Later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// columnsPerRow keeps a row of any text below the 1 MiB that Azure Table Storage allows one.
const columnsPerRow = 16

func textColumn(i int) string { return fmt.Sprintf("Text%02d", i) }

// Pages returns the bodies of rows that hold a text too long for a column.
func Pages(text string) []json.RawMessage {
	var bodies []json.RawMessage
	for runes := []rune(text); len(runes) > 0; {
		columns := map[string]string{}
		for i := 0; i < columnsPerRow && len(runes) > 0; i++ {
			n := min(len(runes), ColumnRunes)
			columns[textColumn(i)], runes = string(runes[:n]), runes[n:]
		}
		bodies = append(bodies, Encode(columns))
	}
	return bodies
}

// JoinPages returns the text of the pages, in the order of their rows.
func JoinPages(rows []Row) (string, error) {
	var b strings.Builder
	for _, row := range rows {
		columns, err := Decode[map[string]string](row)
		if err != nil {
			return "", err
		}
		for i := range columnsPerRow {
			b.WriteString(columns[textColumn(i)])
		}
	}
	return b.String(), nil
}
