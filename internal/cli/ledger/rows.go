package ledger

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"lifeboat/internal/cli/text"
)

// tableRows prints one row after the other: a ledger may have millions.
type tableRows struct {
	to    io.Writer
	width int
	begun bool
}

func (r *tableRows) row(e entry) error {
	if !r.begun {
		r.begun = true
		if err := r.line("transaction", "size", "tables"); err != nil {
			return err
		}
	}
	var parts []string
	if word := words[e.State]; word != "" {
		parts = append(parts, strings.ToUpper(word))
	}
	if e.Private > 0 {
		parts = append(parts, text.Size(e.Private)+" private")
	}
	for _, t := range e.Tables {
		count := ""
		if n := t.Writes + t.Removals; n > 1 {
			count = fmt.Sprintf(" (%d)", n)
		}
		parts = append(parts, text.Plain(t.Name)+count)
	}
	return r.line(e.ID, text.Size(e.Bytes), strings.Join(parts, ", "))
}

func (r *tableRows) line(id, size, tables string) error {
	line := []rune(strings.TrimRight(fmt.Sprintf("%-12s  %-9s  %s", id, size, tables), " "))
	if r.width > 0 && len(line) > r.width {
		line = append(line[:r.width-1], '…')
	}
	_, err := fmt.Fprintln(r.to, string(line))
	return err
}

// jsonRows prints one JSON object as the transactions come.
type jsonRows struct {
	to    io.Writer
	begun bool
}

func (r *jsonRows) row(e entry) error {
	content, err := json.Marshal(e)
	if err != nil {
		return err
	}
	start := ",\n  "
	if !r.begun {
		start, r.begun = "{\"transactions\": [\n  ", true
	}
	_, err = fmt.Fprintf(r.to, "%s%s", start, content)
	return err
}

func (r *jsonRows) end(rest logEnd) error {
	start := "\n], "
	if !r.begun {
		start = "{\"transactions\": [], "
	}
	content, err := json.Marshal(rest)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(r.to, "%s%s\n", start, content[1:])
	return err
}
