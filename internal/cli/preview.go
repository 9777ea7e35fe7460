package cli

import (
	"fmt"
	"strings"

	"lifeboat/internal/cli/client"
	"lifeboat/internal/cli/text"
	"lifeboat/internal/restore"
)

func readPreview(text []byte) (restore.Preview, error) {
	return read(text, "is no preview of a restore", func(p restore.Preview) bool { return p.Hash != "" })
}

// dryRun prints the preview of a restore; the error says why it may not be made.
func (r remote) dryRun(a client.Answer) error {
	p, err := readPreview(a.Body)
	if err != nil {
		return err
	}
	if err := r.show(a.Body, []string{p.Destination}, func() error { return r.previewTable(p) }); err != nil {
		return err
	}
	return refusal(p)
}

// refusal says why the restore may not be made.
func refusal(p restore.Preview) error {
	if why := p.Refusal(); why != nil {
		return fmt.Errorf("this restore would be refused: %s", text.Plain(why.Code))
	}
	return nil
}

// previewTable shows a preview, and the possible loss first.
func (r remote) previewTable(p restore.Preview) error {
	var details text.Details
	row := details.Row
	row("restores into", p.Destination)
	row("overwrites", p.Overwrites...)
	row("not restored", p.NotIncluded...)
	row("from", p.Target)
	if q := p.Point; q != nil {
		row("recovery point", q.ID+", "+string(q.State))
		row("written", r.clock.At(q.Written)+", "+text.Age(q.Age)+" ago")
		row("size", text.Size(q.Size))
	}
	row("allowed by plan", p.Plan)
	if c := p.Custody; c != nil {
		proof := []string{r.custody(c.Proof)}
		if why := c.Reason.Message; why != "" {
			proof = append(proof, why)
		}
		row(c.Title, proof...)
	}
	row("kind", strings.TrimSpace(string(p.Kind)+" "+p.Key))
	row("region", p.Region)
	safety := "none"
	if p.Safety {
		safety = "first, and held for 7 days unless confirmed"
	}
	if p.NoSafety {
		safety = "none, as the request wants: nothing brings back what is overwritten"
	}
	row("safety backup", safety)
	row("calls", p.Calls...)
	if err := details.Print(r.Stdout, r.width); err != nil {
		return err
	}
	fmt.Fprintln(r.Stdout)
	table := text.NewTable(text.Column{Name: "GUARD", Cut: true}, text.Column{Name: "OUTCOME"})
	var words strings.Builder // below the table: they are long
	for _, g := range p.Guards {
		table.Row(text.Plain(g.Name), text.Plain(g.Outcome))
		if g.Reason != nil {
			fmt.Fprintf(&words, "\n%s: %s: %s\n", text.Plain(g.Name), text.Plain(g.Reason.Code), text.Plain(g.Reason.Message))
			if g.Reason.Hint != "" {
				fmt.Fprintf(&words, "  %s\n", text.Plain(g.Reason.Hint))
			}
		}
	}
	if err := r.print(table); err != nil {
		return err
	}
	_, err := fmt.Fprint(r.Stdout, words.String())
	return err
}
