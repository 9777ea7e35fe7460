// Command prometheus2 reads stories of metrics as command scrapers does, with the parsers of Prometheus 2.42.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/prometheus/prometheus/model/textparse"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: prometheus2 FOLDER")
	}
	files, err := filepath.Glob(filepath.Join(args[0], "*.txt"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("%s has no stories: make rules writes them", args[0])
	}
	bodies := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		for at, body := range strings.Split("\n"+string(text), "\n# minute ")[1:] {
			_, body, _ = strings.Cut(body, "\n")
			if body = strings.TrimRight(body, "\n"); body == "" {
				continue // the program did not run
			}
			lines := 0
			for line := range strings.Lines(body) {
				if !strings.HasPrefix(line, "#") {
					lines++
				}
			}
			for name, p := range map[string]textparse.Parser{
				"text": textparse.NewPromParser([]byte(body + "\n")), "OpenMetrics": textparse.NewOpenMetricsParser([]byte(body + "\n# EOF\n")),
			} {
				if n, err := samples(p); err != nil || n != lines || n == 0 {
					return fmt.Errorf("%s, body %d, as %s: %d samples of %d: %w", filepath.Base(file), at, name, n, lines, err)
				}
				bodies++
			}
		}
	}
	fmt.Printf("%d bodies: Prometheus 2.42 reads them\n", bodies)
	return nil
}

func samples(p textparse.Parser) (n int, err error) {
	for {
		switch entry, err := p.Next(); {
		case errors.Is(err, io.EOF):
			return n, nil
		case err != nil:
			return n, err
		case entry == textparse.EntrySeries:
			n++
		}
	}
}
