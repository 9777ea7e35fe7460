// Command scrapers reads what the metrics of the real program say in every state, with the parsers of the programs that scrape: vmagent's,
// Telegraf's and Prometheus 3's. It fails if one of them warns, or reads another number of samples. It is a module of its own, since
// these need 30 others; Prometheus 2's is beside it, in prometheus2.
//
//	scrapers FOLDER
//
// The folder has the stories that make rules writes: each is a row of bodies, and a line before each tells the minute.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	vmagent "github.com/VictoriaMetrics/VictoriaMetrics/lib/protoparser/prometheus"
	"github.com/influxdata/telegraf"
	telegrafopen "github.com/influxdata/telegraf/plugins/parsers/openmetrics"
	telegraftext "github.com/influxdata/telegraf/plugins/parsers/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// readers return how many samples each parser finds in a body of the text format, or of OpenMetrics.
var readers = []struct {
	name string
	read func(body string, open bool) (int, error)
}{{"Prometheus 3", prometheus}, {"vmagent", vmagents}, {"Telegraf", telegrafs}}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: scrapers FOLDER")
	}
	files, err := filepath.Glob(filepath.Join(args[0], "*.txt"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("%s has no stories: make rules writes them", args[0])
	}
	bodies, samples := 0, 0
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
			for _, open := range []bool{false, true} {
				whole := body + "\n"
				if open {
					whole += "# EOF\n"
				}
				want := samplesOf(body)
				for _, reader := range readers {
					if n, err := reader.read(whole, open); err != nil || n != want || n == 0 {
						return fmt.Errorf("%s, body %d, OpenMetrics %t: %s reads %d samples of %d: %w", filepath.Base(file), at, open, reader.name, n, want, err)
					}
				}
				bodies, samples = bodies+1, samples+want
			}
		}
	}
	fmt.Printf("%d bodies of %d stories, %d samples: Prometheus 3, vmagent and Telegraf read them without a warning\n", bodies, len(files), samples)
	return nil
}

// samplesOf counts the lines that are no comments.
func samplesOf(body string) (n int) {
	for line := range strings.Lines(body) {
		if !strings.HasPrefix(line, "#") {
			n++
		}
	}
	return n
}

func prometheus(body string, open bool) (n int, err error) {
	p := textparse.NewPromParser([]byte(body), labels.NewSymbolTable(), false)
	if open {
		p = textparse.NewOpenMetricsParser([]byte(body), labels.NewSymbolTable())
	}
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

func vmagents(body string, _ bool) (int, error) {
	var warnings []error
	var rows vmagent.Rows
	rows.UnmarshalWithErrLogger(body, func(line string) { warnings = append(warnings, errors.New(line)) })
	return len(rows.Rows), errors.Join(warnings...)
}

func telegrafs(body string, open bool) (n int, err error) {
	var metrics []telegraf.Metric
	if open {
		metrics, err = (&telegrafopen.Parser{MetricVersion: 2}).Parse([]byte(body))
	} else {
		metrics, err = (&telegraftext.Parser{MetricVersion: 2}).Parse([]byte(body))
	}
	for _, m := range metrics {
		n += len(m.FieldList())
	}
	return n, err
}
