package monitors

import (
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
)

// stories is the folder into which TestStories of the package handler has written what the real program says; make rules does so.
const stories = "../../../build/stories"

type sample struct {
	labels labels.Labels
	value  float64
}

// story has the answers of the program, by minutes; an answer stays until the next one. No sample is no answer.
type story struct {
	minutes []int
	samples [][]sample
}

// at returns what the program says in the minute.
func (s *story) at(minute int) []sample {
	last := 0
	for i, from := range s.minutes {
		if from <= minute {
			last = i
		}
	}
	return s.samples[last]
}

var read sync.Map

// storyOf reads the story. Its times count from its beginning, and its targets have the last words of their resource IDs, for short.
func storyOf(t *testing.T, name string) *story {
	t.Helper()
	once, _ := read.LoadOrStore(name, sync.OnceValues(func() (*story, error) { return readStory(name) }))
	s, err := once.(func() (*story, error))()
	if err != nil {
		t.Fatalf("%v: make rules writes the stories", err)
	}
	return s
}

func readStory(name string) (*story, error) {
	text, err := os.ReadFile(filepath.Join(stories, name+".txt"))
	if err != nil {
		return nil, err
	}
	s, begun := new(story), 0.0
	for _, part := range strings.Split("\n"+string(text), "\n# ")[1:] {
		line, _, _ := strings.Cut(part, "\n")
		word, value, _ := strings.Cut(line, " ")
		switch word {
		case "begun":
			if begun, err = strconv.ParseFloat(value, 64); err != nil {
				return nil, err
			}
		case "minute":
			minute, err := strconv.Atoi(value)
			if err != nil {
				return nil, err
			}
			s.minutes, s.samples = append(s.minutes, minute), append(s.samples, nil)
		}
		if len(s.samples) == 0 {
			continue
		}
		samples, err := parse("# " + part + "\n")
		if err != nil {
			return nil, err
		}
		for _, sample := range samples {
			l := sample.labels
			if strings.HasSuffix(l.Get("__name__"), "_timestamp_seconds") {
				sample.value -= begun
			}
			if target := l.Get("target"); target != "" {
				sample.labels = labels.NewBuilder(l).Set("target", path.Base(target)).Labels()
			}
			s.samples[len(s.samples)-1] = append(s.samples[len(s.samples)-1], sample)
		}
	}
	return s, nil
}

// parse reads a body as Prometheus does.
func parse(body string) (all []sample, err error) {
	p := textparse.NewPromParser([]byte(body), labels.NewSymbolTable(), false)
	for {
		entry, err := p.Next()
		switch {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, err
		case entry == textparse.EntrySeries:
			var l labels.Labels
			p.Labels(&l)
			_, _, v := p.Series()
			all = append(all, sample{l, v})
		}
	}
}
