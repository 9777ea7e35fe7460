package text

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Column is a column of a table.
type Column struct {
	Name string
	// Rank says how soon the column goes where the table is too wide for the terminal: the greatest first, and 0 never.
	Rank int
	// Cut says that its cells may be shortened at their ends. Distinct says that they are shortened at their beginnings, and that
	// different ones stay different; that is done only if the columns of rank 0 do not fit.
	Cut, Distinct bool
}

// Table is a table that fits a width.
type Table struct {
	columns []Column
	rows    [][]string
}

// NewTable returns a table with these columns.
func NewTable(columns ...Column) *Table { return &Table{columns: columns} }

// Row adds a row, with a cell for each column.
func (t *Table) Row(cells ...string) { t.rows = append(t.rows, cells) }

// shortest is the fewest characters that a cut column has.
const shortest = 12

const gap = 2 // spaces between columns

// Print writes the table, no line wider than width, unless the columns of rank 0 are; 0 means any width. It leaves out empty
// columns.
func (t *Table) Print(to io.Writer, width int) error {
	most := make([]int, len(t.columns)) // the width of each column, 0 if it is empty
	for i, c := range t.columns {
		for _, row := range t.rows {
			most[i] = max(most[i], utf8.RuneCountInString(row[i]))
		}
		if most[i] > 0 || c.Rank == 0 {
			most[i] = max(most[i], len(c.Name))
		}
	}
	widths := most
	if width > 0 {
		widths = t.fit(most, width)
	}
	line := func(cells []string) error {
		var b strings.Builder
		space := 0
		for i, cell := range cells {
			if widths[i] == 0 {
				continue
			}
			cell = t.columns[i].shortened(cell, widths[i])
			b.WriteString(strings.Repeat(" ", space) + cell)
			space = widths[i] - utf8.RuneCountInString(cell) + gap
		}
		_, err := fmt.Fprintln(to, strings.TrimRight(b.String(), " "))
		return err
	}
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.Name
	}
	if strings.Join(names, "") != "" {
		if err := line(names); err != nil {
			return err
		}
	}
	for _, row := range t.rows {
		if err := line(row); err != nil {
			return err
		}
	}
	return nil
}

// fit chooses the columns for the width, by their ranks, and then gives cut columns the rest of it.
func (t *Table) fit(most []int, width int) []int {
	order := make([]int, len(t.columns))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return t.columns[a].Rank - t.columns[b].Rank })
	widths, left := make([]int, len(most)), width+gap
	names := 0 // the width of the columns that never go
	for i, c := range t.columns {
		if c.Rank == 0 {
			names += most[i] + gap
		}
	}
	for _, i := range order {
		least := most[i]
		if c := t.columns[i]; c.Cut && (!c.Distinct || names > width+gap) {
			least = t.least(i, most[i])
		}
		if most[i] > 0 && (least+gap <= left || t.columns[i].Rank == 0) {
			widths[i] = least
			left -= least + gap
		}
	}
	for _, i := range order {
		if more := min(most[i]-widths[i], left); widths[i] > 0 && more > 0 {
			widths[i] += more
			left -= more
		}
	}
	return widths
}

// least returns the fewest characters, of most, that the cells of the column may be shortened to.
func (t *Table) least(column, most int) int {
	for n := min(most, max(shortest, len(t.columns[column].Name))); n < most; n++ {
		short := map[string]string{}
		same := t.columns[column].Distinct && slices.ContainsFunc(t.rows, func(row []string) bool {
			cell := row[column]
			key := t.columns[column].shortened(cell, n)
			other, ok := short[key]
			short[key] = cell
			return ok && other != cell
		})
		if !same {
			return n
		}
	}
	return most
}

// shortened returns the cell in n characters.
func (c Column) shortened(text string, n int) string {
	all := utf8.RuneCountInString(text)
	if all <= n {
		return text
	}
	if c.Distinct {
		return "…" + string([]rune(text)[all-n+1:])
	}
	return strings.TrimRight(string([]rune(text)[:n-1]), " ") + "…"
}

// Details is a list of names with a value each, one below the other.
type Details struct{ rows [][2]string }

// Row adds a name with its values, one below the other; it leaves out empty ones.
func (d *Details) Row(name string, values ...string) {
	for _, value := range values {
		if value = strings.TrimSpace(Plain(value)); value != "" {
			d.rows = append(d.rows, [2]string{name, value})
			name = ""
		}
	}
}

// Print writes the list. It folds values between words, so that no line is wider than width, unless a word is; 0 means any width.
func (d *Details) Print(to io.Writer, width int) error {
	names := 0
	for _, row := range d.rows {
		names = max(names, len(row[0]))
	}
	for _, row := range d.rows {
		name, line := row[0], ""
		print := func() error {
			_, err := fmt.Fprintf(to, "%-*s%s\n", names+gap, name, line)
			name, line = "", ""
			return err
		}
		for _, word := range strings.Split(row[1], " ") {
			switch {
			case line == "":
				line = word
				continue
			case width > 0 && names+gap+utf8.RuneCountInString(line+" "+word) > width && names+gap+utf8.RuneCountInString(word) <= width:
				if err := print(); err != nil {
					return err
				}
				line = word
			default:
				line += " " + word
			}
		}
		if err := print(); err != nil {
			return err
		}
	}
	return nil
}
