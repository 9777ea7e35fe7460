// Mutate puts mechanical bugs into the product, one at a time, drawn by a seed, and says how many the tests catch: conditions negated,
// bounds off by one, statements dropped. Each bug meets the tests of its own package, then the tests of its importers; the first
// failure ends it. A bug that does not compile is drawn again.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// leastCaught is the part of the bugs, in percent, that the tests must catch.
const leastCaught = 90

func main() {
	n := flag.Int("n", 300, "how many bugs to try")
	seed := flag.Uint64("seed", 1, "the seed of the draw")
	only := flag.String("only", "", "only bugs with this in their names, such as internal/health/")
	last := flag.String("last", "", "the tests that a bug meets behind all others, since they take minutes, as for go test -run")
	quick := flag.Bool("quick", false, "leave these tests out: a bug that survives may be caught by them")
	kept := flag.String("log", os.DevNull, "a file that keeps the results: a run that was cut off goes on with it")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ok, err := run(ctx, *n, *seed, *only, parts(*last, *quick), *kept, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

// result is a bug, and the package whose tests caught it; "" if none did.
type result struct {
	site   site
	caught string
}

func run(ctx context.Context, n int, seed uint64, only string, parts [][]string, kept string, out io.Writer) (ok bool, err error) {
	packages, err := product(ctx)
	if err != nil {
		return false, err
	}
	var all []site
	meets := map[string][]string{}
	for _, p := range packages {
		sites, err := read(p.path)
		if err != nil {
			return false, err
		}
		for _, s := range sites {
			if strings.Contains(s.name(), only) {
				all = append(all, s)
			}
		}
		meets[p.path] = p.meets
	}
	draw := rand.New(rand.NewPCG(seed, seed))
	draw.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	dir, err := os.MkdirTemp("", "mutate-*")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	earlier, err := openLog(kept)
	if err != nil {
		return false, err
	}
	defer earlier.file.Close()
	results, err := try(ctx, all, n, func(ctx context.Context, i int) (string, error) {
		return earlier.meet(ctx, all[i], func(ctx context.Context) (string, error) {
			return all[i].meet(ctx, filepath.Join(dir, fmt.Sprint(i)), meets[all[i].pkg], parts)
		})
	})
	if err != nil {
		return false, err
	}
	return report(out, packages, results)
}

// try tries the bugs in their order until n have compiled, as many at once as there are processors. So the same seed tries the same
// bugs, whatever takes longer.
func try(ctx context.Context, all []site, n int, meet func(ctx context.Context, i int) (string, error)) ([]result, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var mu sync.Mutex
	next, done, broken := 0, map[int]result{}, 0
	began := time.Now()
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for {
				mu.Lock()
				i := next
				if ctx.Err() != nil || i >= len(all) || i-broken >= n {
					mu.Unlock()
					return
				}
				next++
				mu.Unlock()
				caught, err := meet(ctx, i)
				mu.Lock()
				switch {
				case errors.Is(err, errNoGo):
					broken++
				case err != nil:
					stop(fmt.Errorf("%s: %w", all[i].name(), err))
				default:
					done[i] = result{all[i], caught}
					fmt.Fprintf(os.Stderr, "%d of %d, %s: %s … %s\n", len(done), n, time.Since(began).Round(time.Second), all[i].name(), orNone(caught))
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	var results []result
	for i := range all {
		if r, ok := done[i]; ok && len(results) < n {
			results = append(results, r)
		}
	}
	return results, context.Cause(ctx)
}

func orNone(caught string) string {
	if caught == "" {
		return "NOT CAUGHT"
	}
	return "caught by " + caught
}

// report prints the rate of each package and the bugs that survived, and says whether enough were caught and each survivor has its
// reason in survivors.txt.
func report(out io.Writer, packages []tested, results []result) (ok bool, err error) {
	reasons, err := readReasons()
	if err != nil {
		return false, err
	}
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "package\tbugs\tcaught\t")
	total, caught := 0, 0
	for _, p := range packages {
		bugs, found := 0, 0
		for _, r := range results {
			if r.site.pkg == p.path {
				bugs++
				if r.caught != "" {
					found++
				}
			}
		}
		if bugs > 0 {
			fmt.Fprintf(table, "%s\t%d\t%d\t%d%%\n", strings.TrimPrefix(p.path, "./"), bugs, found, 100*found/bugs)
		}
		total, caught = total+bugs, caught+found
	}
	if total == 0 {
		return false, fmt.Errorf("there is no place for such a bug")
	}
	fmt.Fprintf(table, "all\t%d\t%d\t%d%%\n", total, caught, 100*caught/total)
	if err := table.Flush(); err != nil {
		return false, err
	}
	ok = 100*caught >= leastCaught*total
	for _, r := range results {
		if r.caught != "" {
			continue
		}
		line, err := r.site.source()
		if err != nil {
			return false, err
		}
		reason := reasons[survivor{r.site.file, r.site.kind, line}]
		if reason == "" {
			ok, reason = false, "NO REASON"
		}
		fmt.Fprintf(out, "\nsurvived: %s\n  %s\n  %s\n", r.site.name(), line, reason)
	}
	return ok, nil
}
