// Package names finds targets by the names that people write.
package names

import (
	"slices"
	"strings"

	"lifeboat/internal/backup"
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
func Labels(ids []string) []string {
	x := New(ids...)
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
