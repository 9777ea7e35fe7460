package ledger

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lifeboat/internal/cli/usage"
	"lifeboat/internal/services/ledger/ccf"
)

// read verifies a copy, while a watcher sees its transactions.
func (sh Shell) read(ctx context.Context, c copied, options ccf.Options, w ccf.Watcher) (ccf.Report, error) {
	return sh.progress(c.size()).read(ctx, c, options, w)
}

// read verifies a copy, and shows how far it is.
func (p *progress) read(ctx context.Context, c copied, options ccf.Options, w ccf.Watcher) (ccf.Report, error) {
	v, err := ccf.New(c.source, options, nil)
	if err != nil {
		return ccf.Report{}, err
	}
	v.Watch(w)
	_, err = v.Run(ctx, func() bool {
		p.show(v.Read())
		return ctx.Err() != nil
	})
	report := v.Report()
	if err == nil && ctx.Err() == nil {
		err = c.compare(ctx, &report, func(more int64) { p.show(v.Read() + more) })
	}
	p.clear()
	return report, failure(ctx, c, err)
}

// failure says which copy could not be read.
func failure(ctx context.Context, c copied, err error) error {
	if err != nil {
		err = fmt.Errorf("%s: %w", c.name, err)
	}
	return stopped(ctx, c.name, err)
}

// progress says on a terminal how far reading is, five times a second.
type progress struct {
	sh          Shell
	begun, last time.Time
	total       int64
	shown       bool
}

func (sh Shell) progress(total int64) *progress {
	return &progress{sh: sh, begun: sh.Now(), total: total}
}

func (p *progress) show(read int64) {
	now := p.sh.Now()
	if now.Sub(p.last) < 200*time.Millisecond || !p.sh.Watched() {
		return
	}
	p.last, p.shown = now, true
	speed := ""
	if seconds := now.Sub(p.begun).Seconds(); seconds > 0 {
		speed = fmt.Sprintf(", %.0f MB/s", float64(read)/1e6/seconds)
	}
	fmt.Fprintf(p.sh.Stderr, "\r\x1b[Kread %.1f of %.1f MB%s", float64(min(read, p.total))/1e6, float64(p.total)/1e6, speed)
}

// clear takes the line away: something else is printed there.
func (p *progress) clear() {
	if p.shown {
		p.shown = false
		fmt.Fprint(p.sh.Stderr, "\r\x1b[K")
	}
}

// aside is the standard output, whose lines may be on the same terminal.
type aside struct{ p *progress }

// Write prints where the progress was.
func (a aside) Write(b []byte) (int, error) {
	a.p.clear()
	return a.p.sh.Stdout.Write(b)
}

// folders completes so many folders.
func folders(n int) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= n {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return nil, cobra.ShellCompDirectiveFilterDirs
	}
}

// output adds the flag for the form of the answer.
func output(c *cobra.Command, form *string) {
	c.Flags().StringVarP(form, "output", "o", forms[0], strings.Join(forms, " or "))
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(forms, cobra.ShellCompDirectiveNoFileComp))
}

func formed(c *cobra.Command, form string) error {
	if slices.Contains(forms, form) {
		return nil
	}
	return usage.Misuse(c, "-o is one of %s", strings.Join(forms, ", "))
}

// official names the commands by which Microsoft's own reader checks a copy.
type official struct {
	// Download makes a folder of a recovery point: the reader reads no share.
	Download []string `json:"download,omitempty"`
	Install  string   `json:"install"`
	Commands []string `json:"commands"`
}

// officialReader is the official reader for a copy. It reads no folders below the named one.
func officialReader(c copied, r ccf.Report) *official {
	o, folder := &official{Install: "pip install ccf==7.0.22"}, c.name
	if c.point != nil {
		folder = "."
		o.Download = []string{"mkdir copy && cd copy", fmt.Sprintf("az storage file download-batch -d ./ -s %s --account-name %s --auth-mode login --backup-intent",
			quoted(c.point.Share), quoted(c.point.Storage.AccountName()))}
	}
	var found []string
	for _, f := range c.source.Files {
		if in, name := path.Split(f.Name); strings.HasPrefix(name, "ledger_") && !slices.Contains(found, in) {
			found = append(found, in)
			o.Commands = append(o.Commands, "read_ledger.py --quiet --uncommitted "+quoted(filepath.Join(folder, in)))
		}
	}
	for _, s := range r.Snapshots {
		if !strings.HasPrefix(s.Name, "…") {
			o.Commands = append(o.Commands, "read_ledger.py --quiet --snapshot "+quoted(filepath.Join(folder, filepath.FromSlash(s.Name))))
		}
	}
	if len(o.Commands) == 0 {
		return nil
	}
	return o
}

// quoted is a word for a shell.
func quoted(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+,:@\\", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
