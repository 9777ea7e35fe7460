package backup

import (
	"encoding/json"
	"fmt"
	"strings"
)

// columnsPerRow keeps a row of a text below the 1 MiB that Azure Table Storage allows one, whatever the text is.
const columnsPerRow = 16

func textColumn(i int) string { return fmt.Sprintf("Text%02d", i) }

// pages are the bodies of rows that hold a text too long for a column.
func pages(text string) []json.RawMessage {
	var bodies []json.RawMessage
	for runes := []rune(text); len(runes) > 0; {
		columns := map[string]string{}
		for i := 0; i < columnsPerRow && len(runes) > 0; i++ {
			n := min(len(runes), columnRunes)
			columns[textColumn(i)], runes = string(runes[:n]), runes[n:]
		}
		bodies = append(bodies, encode(columns))
	}
	return bodies
}

// text is that of the pages, in the order of their rows.
func text(rows []Row) (string, error) {
	var b strings.Builder
	for _, row := range rows {
		columns, err := decode[map[string]string](row)
		if err != nil {
			return "", err
		}
		for i := range columnsPerRow {
			b.WriteString(columns[textColumn(i)])
		}
	}
	return b.String(), nil
}
