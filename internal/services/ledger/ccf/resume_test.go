package ccf_test

import (
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lifeboat/internal/services/ledger/ccf"
	"lifeboat/internal/testing/fakeazure/ccfwriter"
)

// counting counts the bytes of the ledger's files that were asked for, by their offset.
func counting(s ccf.Source, times map[string][]int) ccf.Source {
	open := s.Open
	s.Open = func(ctx context.Context, name string, offset int64) (io.ReadCloser, error) {
		r, err := open(ctx, name, offset)
		return &counter{r, name, int(offset), times}, err
	}
	return s
}

type counter struct {
	io.ReadCloser
	name  string
	at    int
	times map[string][]int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	for len(c.times[c.name]) < c.at+n {
		c.times[c.name] = append(c.times[c.name], 0)
	}
	for i := range n {
		c.times[c.name][c.at+i]++
	}
	c.at += n
	return n, err
}

// resumed verifies files in one process after another, as it pauses at the nth signature.
func resumed(t *testing.T, files []ccfwriter.File, options ccf.Options, pause func(n int) bool) (r ccf.Report, pauses int) {
	t.Helper()
	var saved []byte
	for {
		v, err := ccf.New(source(files), options, saved)
		if err != nil {
			t.Fatal(err)
		}
		done, err := v.Run(t.Context(), func() bool { pauses++; return pause(pauses - 1) })
		if err != nil {
			t.Fatal(err)
		}
		if saved, err = v.Checkpoint(); err != nil {
			t.Fatal(err)
		}
		if len(saved) > 8<<10 || !json.Valid(saved) {
			t.Fatalf("a checkpoint of %d bytes: %s", len(saved), saved)
		}
		if done {
			ended, err := ccf.New(source(files), options, saved)
			if err != nil {
				t.Fatal(err)
			}
			if done, err := ended.Run(t.Context(), never); !done || err != nil || !cmp.Equal(ended.Report(), v.Report()) {
				t.Error("the last checkpoint does not hold the report", done, err)
			}
			return v.Report(), pauses
		}
	}
}

func TestResumesAtEachSignature(t *testing.T) {
	for i, c := range damages {
		d := base()
		c.damage(d)
		want := verify(t, d.files, ccf.Options{})
		got, pauses := resumed(t, d.files, ccf.Options{}, func(n int) bool { return n%4 == i%4 })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		if pauses < 1 && want.Signed != "" {
			t.Error("it never paused")
		}
	}
	for i, form := range forms {
		files := life(form, forms[max(i, 1)], 3).Files()
		want := verify(t, files, ccf.Options{EverySignature: true})
		all, pauses := resumed(t, files, ccf.Options{EverySignature: true}, func(int) bool { return true })
		if diff := cmp.Diff(want, all); diff != "" {
			t.Errorf("%d: %s", form, diff)
		}
		want = verify(t, files, ccf.Options{})
		for n := range pauses {
			if one, _ := resumed(t, files, ccf.Options{}, func(i int) bool { return i == n }); !cmp.Equal(want, one) {
				t.Errorf("%d, paused at the signature %d: %s", form, n, cmp.Diff(want, one))
			}
		}
	}
}

// TestResumingReadsNothingTwice but the file in which it paused, and the newest snapshot.
func TestResumingReadsNothingTwice(t *testing.T) {
	files := whole()
	times := map[string][]int{}
	counted := counting(source(files), times)
	for n, saved := 0, []byte(nil); ; {
		v, err := ccf.New(counted, ccf.Options{}, saved)
		if err != nil {
			t.Fatal(err)
		}
		done, err := v.Run(t.Context(), func() bool { n++; return n == 5 })
		if err != nil {
			t.Fatal(err)
		}
		if done {
			break
		}
		if saved, err = v.Checkpoint(); err != nil {
			t.Fatal(err)
		}
	}
	again := 0
	for name, bytes := range times {
		most := slices.Max(bytes[8:])
		if slices.Min(bytes) < 1 {
			t.Error(name, "was not read whole")
		}
		if table := (&damaged{files}).file(name).Table(); table > 0 && !strings.Contains(name, "snapshot") {
			most = slices.Max(bytes[8:table])
		}
		switch {
		case most == 1:
		case most > 2 && !strings.Contains(name, "snapshot"):
			t.Errorf("a byte of %s was read %d times", name, most)
		default:
			again++
		}
	}
	if again > 2 {
		t.Errorf("%d files were read again", again)
	}
}
