// Simulate runs the deterministic simulation of the engine: many seeds, one seed with its trace, or deliberate bugs.
package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"lifeboat/internal/testing/simulation"
)

func main() {
	debug.SetGCPercent(400) // worlds make much garbage and keep little
	seeds := flag.Uint64("seeds", 1000, "how many seeds to run, from the first one on")
	first := flag.Uint64("from", 1, "the first seed")
	days := flag.Int("days", 60, "the days that each world lasts")
	seed := flag.Uint64("seed", 0, "replay this seed alone, and shrink it if it breaks a promise")
	tries := flag.Int("tries", 3000, "how many worlds the shrinking may try")
	plain := flag.Bool("json", false, "tell only the first broken promise, as JSON; nothing if all were kept")
	bugs := flag.Bool("mutants", false, "apply deliberate bugs one at a time, and see that each is caught")
	only := flag.String("only", "", "with -mutants: those with this in their names")
	quick := flag.Bool("quick", false, "with -mutants: those alone that a test catches, and no world")
	whole := flag.Bool("trace", false, "with -seed: print the whole trace, not shrunk")
	flag.Parse()
	if *seed != 0 {
		os.Exit(replay(*seed, *days, *tries, *whole))
	}
	if *bugs {
		os.Exit(tryMutants(context.Background(), *only, *quick, *seeds, *days, *tries))
	}
	os.Exit(many(*first, *seeds, *days, *tries, *plain))
}

// many runs seeds on all processors, and prints its progress.
func many(first, seeds uint64, days, tries int, plain bool) int {
	began := time.Now()
	var mu sync.Mutex
	var figures simulation.Figures
	var broken []simulation.Result
	digests := map[uint64]string{} // by seed
	next, done := first, uint64(0)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				mu.Lock()
				seed := next
				if seed >= first+seeds || len(broken) > 0 {
					mu.Unlock()
					return
				}
				next++
				mu.Unlock()
				r := simulation.Run(seed, simulation.Options{Days: days})
				mu.Lock()
				figures.Add(r.Figures)
				digests[seed] = r.Digest
				done++
				if r.Violation != nil {
					broken = append(broken, r)
				}
				mu.Unlock()
			}
		})
	}
	stop := make(chan struct{})
	go func() {
		for !plain {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Second):
				mu.Lock()
				spent := time.Since(began)
				rate := float64(done) / spent.Seconds()
				left := "?"
				if rate > 0 {
					left = (time.Duration(float64(seeds-done)/rate) * time.Second).Round(time.Second).String()
				}
				fmt.Printf("%8d of %d seeds  %5.1f a second  %7d runs  %6d crashes  %s left\n", done, seeds, rate, figures.Runs,
					figures.Crashes, left)
				mu.Unlock()
			}
		}
	}()
	wg.Wait()
	close(stop)
	// Seeds start in their order, so the first broken one is the same however many run at once.
	slices.SortFunc(broken, func(a, b simulation.Result) int { return cmp.Compare(a.Seed, b.Seed) })
	if plain {
		if len(broken) > 0 {
			tellPlain(broken[0], tries)
		}
		return 0
	}
	fmt.Printf("\n%d seeds of %d days in %s\n\n", done, days, time.Since(began).Round(time.Second))
	figures.Print(os.Stdout)
	if len(broken) == 0 {
		sum := sha256.New()
		for _, seed := range slices.Sorted(maps.Keys(digests)) {
			fmt.Fprintln(sum, seed, digests[seed])
		}
		fmt.Printf("\nno promise was broken; what is left in storage has the digest %x\n", sum.Sum(nil)[:8])
		return 0
	}
	tell(broken[0], tries)
	return 1
}

// replay runs one seed.
func replay(seed uint64, days, tries int, whole bool) int {
	r := simulation.Run(seed, simulation.Options{Days: days, Trace: whole})
	if whole {
		for _, line := range simulation.Story(r.Trace) {
			fmt.Println(line)
		}
	}
	r.Figures.Worlds = 1
	r.Figures.Print(os.Stdout)
	if r.Violation == nil {
		fmt.Printf("\nseed %d keeps every promise for %d days; what is left in storage has the digest %s\n", seed, days, r.Digest)
		return 0
	}
	if whole {
		fmt.Println(r.Violation)
		return 1
	}
	tell(r, tries)
	return 1
}

// tellPlain shrinks the trace of a broken world, and prints its figures.
func tellPlain(r simulation.Result, tries int) {
	whole := simulation.Run(r.Seed, simulation.Options{Days: r.Days, Trace: true})
	small := simulation.Shrink(r, tries)
	_ = json.NewEncoder(os.Stdout).Encode(caught{
		Invariant: r.Violation.Invariant, Seed: r.Seed, Days: r.Days,
		Lines: len(simulation.Story(whole.Trace)), Shrunk: len(simulation.Story(small.Trace)),
	})
}

// tell shrinks the trace of a broken world, and prints it.
func tell(r simulation.Result, tries int) {
	fmt.Printf("\nseed %d breaks a promise on %s\n  %s\nshrinking …\n\n", r.Seed, r.Violation.At.Format(time.RFC3339), r.Violation)
	small := simulation.Shrink(r, tries)
	story := simulation.Story(small.Trace)
	for _, line := range story {
		fmt.Println(line)
	}
	fmt.Printf("\n%s\n%d lines, %d days; make simulate SEED=%d DAYS=%d shows this again\n\n", small.Violation, len(story), small.Days,
		r.Seed, r.Days)
}
