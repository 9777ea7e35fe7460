package cli

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/cli/client"
	"lifeboat/internal/cli/names"
	"lifeboat/internal/cli/text"
)

// hurried returns a context that ends when a person does not want to wait any longer for a completion.
func (sh Shell) hurried(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, cmp.Or(sh.CompletionTime, 2*time.Second))
}

// completing returns a function that completes by the app's answers: words that may have a tab and a description. It completes
// nothing, and says nothing, if the app does not answer in time.
func (sh Shell) completing(ask func(ctx context.Context, r remote, args []string, typed string) []string) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		var found []string
		if r, err := sh.quiet(); err == nil {
			ctx, cancel := sh.hurried(c.Context())
			defer cancel()
			for _, word := range ask(ctx, r, args, typed) {
				word, about, _ := strings.Cut(word, "\t")
				if word = text.Plain(word); about != "" {
					word += "\t" + text.Plain(about)
				}
				if strings.HasPrefix(word, typed) && !slices.Contains(found, word) {
					found = append(found, word)
				}
			}
		}
		return found, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// first completes the first argument alone.
func (sh Shell) first(ask func(ctx context.Context, r remote, typed string) []string) cobra.CompletionFunc {
	return sh.completing(func(ctx context.Context, r remote, args []string, typed string) []string {
		if len(args) > 0 {
			return nil
		}
		return ask(ctx, r, typed)
	})
}

// files completes as many files as the command takes. It does not filter them by their endings: cobra's script for bash does that
// by the package bash-completion.
func files(n int) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= n {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return nil, cobra.ShellCompDirectiveDefault
	}
}

// describe returns the words for the targets, each with a description: their shortest names, and what the person has begun to
// type, a resource ID or a name with its group.
func describe(ids []string, typed string, description func(i int) string) []string {
	index := names.New(ids...)
	var words []string
	for i, id := range ids {
		about := "\t" + description(i)
		if strings.HasPrefix(typed, "/") {
			words = append(words, id+about)
			continue
		}
		if r, err := backup.ParseResource(id); err == nil && strings.Contains(typed, "/") && len(index.Find(r.Group+"/"+r.Name)) == 1 {
			words = append(words, r.Group+"/"+r.Name+about)
		}
		words = append(words, index.Label(id)+about)
	}
	return words
}

func targetWords(ctx context.Context, r remote, typed string) []string {
	all, _ := r.targets(ctx)
	return describe(all.ids(), typed, func(i int) string { return "plan " + all[i].Plan })
}

// intoWords are the services that the target in the arguments may be restored into.
func intoWords(ctx context.Context, r remote, args []string, typed string) []string {
	all, _ := r.targets(ctx)
	target := ""
	if len(args) > 0 && names.IsID(args[0]) {
		target = args[0]
	} else if len(args) > 0 {
		target, _ = names.Choose(args[0], all.ids())
	}
	return describe(all.into(target), typed, func(int) string { return "the plan allows it" })
}

func planWords(ctx context.Context, r remote, _ []string, _ string) []string {
	all, _ := r.targets(ctx)
	return all.plans()
}

// recent calls the list of the API for each target, and returns the newest entries of each.
func recent[T any](ctx context.Context, r remote, path string, ids []string, top int) []T {
	found := make([][]T, len(ids))
	var group sync.WaitGroup
	free := make(chan struct{}, looksAtOnce)
	for i, id := range ids {
		free <- struct{}{}
		group.Go(func() {
			defer func() { <-free }()
			query := url.Values{"target": {id}, "top": {strconv.Itoa(top)}}
			a, err := r.Do(ctx, client.Call{Method: http.MethodGet, Path: path + "?" + query.Encode(), Once: true})
			if err != nil {
				return
			}
			p, _ := read(a.Body, "", func(api.Page[T]) bool { return true })
			found[i] = p.Value
		})
	}
	group.Wait()
	return slices.Concat(found...)
}

// mostAsked is the number of targets whose lists a completion asks for.
const mostAsked = 40

// recentRuns returns the newest runs of all targets and destinations, and the names of these.
func recentRuns(ctx context.Context, r remote) ([]run, names.Index) {
	all, _ := r.targets(ctx)
	ids := slices.Concat(all.ids(), all.into(""))
	slices.Sort(ids)
	ids = slices.Compact(ids)
	runs := recent[run](ctx, r, "/api/runs", ids[:min(len(ids), mostAsked)], 5)
	sort.SliceStable(runs, func(i, j int) bool { return runs[i].Created.After(runs[j].Created) })
	return runs, names.New(ids...)
}

// runWords are the newest runs of each target that the condition holds for.
func runWords(wanted func(run) bool) func(ctx context.Context, r remote, typed string) []string {
	return func(ctx context.Context, r remote, _ string) []string {
		var words []string
		runs, index := recentRuns(ctx, r)
		for _, v := range runs {
			if wanted(v) {
				words = append(words, v.ID+"\t"+index.Label(v.Target)+", "+v.kind()+" "+string(v.State)+", "+r.clock.Age(v.Created)+" ago")
			}
		}
		return words
	}
}

// batchWords are the batches that the newest runs belong to: runs of one request are a batch.
func batchWords(ctx context.Context, r remote, _ string) []string {
	var words []string
	runs, _ := recentRuns(ctx, r)
	for i, v := range runs {
		if v.Request != "" && slices.ContainsFunc(runs[:i], func(other run) bool { return other.Request == v.Request }) {
			words = append(words, backup.Digest(v.Request, 32)+"\tplan "+v.Plan+", "+r.clock.Age(v.Created)+" ago")
		}
	}
	return words
}

// pointWords are recovery points of one of the states, of this target, or of all of them if it is "".
func pointWords(ctx context.Context, r remote, target string, states ...backup.PointState) []string {
	return pointsThat(ctx, r, target, func(p point) bool { return slices.Contains(states, p.State) })
}

// pointsThat are recovery points that the condition holds for.
func pointsThat(ctx context.Context, r remote, target string, wanted func(point) bool) []string {
	all, _ := r.targets(ctx)
	ids := all.ids()
	if target != "" {
		one, err := names.Choose(target, ids, all.into(""))
		if names.IsID(target) {
			one, err = target, nil
		}
		if err != nil {
			return nil
		}
		ids = []string{one}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	index := names.New(ids...)
	var words []string
	for _, p := range recent[point](ctx, r, "/api/recovery-points", ids[:min(len(ids), mostAsked)], 50) {
		if wanted(p) {
			words = append(words, p.ID+"\t"+index.Label(p.Target)+", "+r.clock.Age(p.Created)+" old")
		}
	}
	return words
}
