// Package names finds targets by the names that people write.
package names

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"lifeboat/internal/backup"
	"lifeboat/internal/cli/text"
)

// Index has the resource IDs that each name may mean. The name of a resource may follow its subscription, resource group,
// namespace and type, or any of them, in this order: contoso-eu, prod/contoso-eu, prod/service/contoso-eu. The first
// eight digits of the subscription are enough. Case does not count.
type Index map[string][]string

// New returns the index of these resource IDs.
func New(ids ...string) Index {
	x := Index{}
	for _, id := range ids {
		p := parts(id)
		for chosen := range 1 << (len(p) - 1) {
			word := p[len(p)-1]
			for i := len(p) - 2; i >= 0; i-- {
				if chosen>>i&1 == 1 {
					word = p[i] + "/" + word
				}
			}
			x.add(word, id)
			if chosen&1 == 1 {
				x.add(word[:digits]+word[len(p[0]):], id)
			}
		}
	}
	return x
}

// digits is the number of a subscription's digits that are enough.
const digits = 8

func (x Index) add(word, id string) {
	word = strings.ToLower(word)
	if !slices.ContainsFunc(x[word], func(other string) bool { return backup.Same(other, id) }) {
		x[word] = append(x[word], id)
	}
}

// Find returns the resource IDs that the name may mean, in the order of the index.
func (x Index) Find(name string) []string { return x[strings.ToLower(name)] }

// Label returns the shortest name that means this resource ID alone; the ID itself if there is none.
func (x Index) Label(id string) string {
	p := parts(id)
	if len(p) == 1 {
		return id
	}
	subscription, group, kind, name := p[0], p[1], p[3], p[4]
	typed := kind + "/" + name
	for _, label := range []string{
		name, group + "/" + name, group + "/" + typed, subscription[:digits] + "/" + group + "/" + name,
		subscription[:digits] + "/" + group + "/" + typed, subscription + "/" + group + "/" + typed,
	} {
		if len(x.Find(label)) == 1 {
			return label
		}
	}
	return id
}

// Labels returns the shortest names of these resource IDs, among themselves.
func Labels(ids []string) []string { return New(ids...).labels(ids) }

func (x Index) labels(ids []string) []string {
	labels := make([]string, len(ids))
	for i, id := range ids {
		labels[i] = x.Label(id)
	}
	return labels
}

// parts returns the subscription, resource group, namespace, type and name in a resource ID; the text itself if it is none.
func parts(id string) []string {
	r, err := backup.ParseResource(id)
	if err != nil {
		return []string{id}
	}
	namespace, kind, _ := strings.Cut(r.Type, "/")
	return []string{r.Subscription, r.Group, namespace, kind, r.Name}
}

// IsID tells whether the text is meant as a resource ID. Git Bash on Windows puts a folder of its own before one.
func IsID(text string) bool {
	return strings.HasPrefix(text, "/") || strings.Contains(strings.ToLower(text), "/subscriptions/") || strings.Contains(text, "://")
}

// Choose returns the one resource ID of the first list that has the name. The error lists the resource IDs that the name may mean, or
// names the nearest ones.
func Choose(name string, lists ...[]string) (string, error) {
	var all []string
	for _, list := range lists {
		index := New(list...)
		found := index.Find(name)
		if end, cut := strings.CutPrefix(name, "…"); cut { // as a table shortens it
			found = slices.DeleteFunc(slices.Clone(list), func(id string) bool { return end == "" || !strings.HasSuffix(index.Label(id), end) })
			slices.Sort(found)
			found = slices.Compact(found)
		}
		if len(found) == 1 {
			return found[0], nil
		}
		if len(found) > 1 {
			return "", fmt.Errorf("%q may mean\n  %s", text.Plain(name), strings.Join(index.labels(found), "\n  "))
		}
		all = append(all, list...)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	hint := "lifeboat health lists the targets"
	if near := Nearest(name, Labels(all)); len(near) > 0 {
		hint = "did you mean " + strings.Join(near, " or ") + "?"
	}
	return "", fmt.Errorf("no target is called %q: %s", text.Plain(name), hint)
}

// mostMeant is the number of words that are suggested for a wrong one.
const mostMeant = 5

// Nearest returns the words that differ from this one by two characters at the most, or begin with it. cobra knows them of commands
// alone, so they become commands.
func Nearest(word string, words []string) []string {
	c := &cobra.Command{SuggestionsMinimumDistance: 2}
	for _, one := range words {
		c.AddCommand(&cobra.Command{Use: one, Run: func(*cobra.Command, []string) {}})
	}
	found := c.SuggestionsFor(word)
	return found[:min(len(found), mostMeant)]
}
