package names_test

import (
	"slices"
	"strings"
	"testing"

	"lifeboat/internal/cli/names"
)

// id returns a resource ID in the subscription with the number; kind is the namespace and type.
func id(subscription, group, kind, name string) string {
	return "/subscriptions/" + sub(subscription) + "/resourceGroups/" + group + "/providers/" + kind + "/" + name
}

func sub(number string) string { return "0c0ffee0-0000-4000-8000-00000000000" + number }

const (
	apim = "Microsoft.ApiManagement/service"
	hsm  = "Microsoft.KeyVault/managedHSMs"
)

// TestLabels checks that each label is the shortest name that means its target alone, and that every label finds its target.
func TestLabels(t *testing.T) {
	one, two, three, other := id("1", "g", apim, "twin"), id("2", "g", apim, "twin"), id("3", "g", apim, "twin"), id("1", "g", apim, "other")
	long := func(number string) string { return sub(number) + "/g/service/twin" }
	for name, c := range map[string]struct{ targets, want []string }{
		"all differ":          {[]string{one, other}, []string{"twin", "other"}},
		"by their groups":     {[]string{one, id("1", "h", apim, "twin"), other}, []string{"g/twin", "h/twin", "other"}},
		"by their types":      {[]string{one, id("1", "g", hsm, "twin")}, []string{"g/service/twin", "g/managedHSMs/twin"}},
		"two are alike":       {[]string{one, other, two}, []string{long("1"), "other", long("2")}},
		"three are alike":     {[]string{one, two, three}, []string{long("1"), long("2"), long("3")}},
		"by their namespaces": {[]string{one, id("1", "g", "Contoso.Other/service", "twin")}, []string{one, id("1", "g", "Contoso.Other/service", "twin")}},
		"by their subscriptions": {
			[]string{one, strings.Replace(two, "0c0ffee0", "1dea5000", 1)}, []string{"0c0ffee0/g/twin", "1dea5000/g/twin"},
		},
		"alike but for case":   {[]string{one, strings.ToUpper(two)}, []string{long("1"), strings.ToUpper(long("2"))}},
		"the same one twice":   {[]string{one, other, one}, []string{"twin", "other", "twin"}},
		"the same in capitals": {[]string{one, strings.ToUpper(one)}, []string{"twin", "TWIN"}},
		"a group like a type":  {[]string{id("1", "service", apim, "a"), id("1", "g", apim, "a")}, []string{"service/service/a", "g/a"}},
		"no resource IDs":      {[]string{"x", "y", one}, []string{"x", "y", "twin"}},
		"a name like a type":   {[]string{id("1", "g", apim, "service"), one}, []string{"service", "twin"}},
		"nothing":              {nil, []string{}},
	} {
		got := names.Labels(c.targets)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		index := names.New(c.targets...)
		for i, label := range got {
			found := index.Find(label)
			if label != c.targets[i] && (len(found) != 1 || !strings.EqualFold(found[0], c.targets[i])) {
				t.Errorf("%s: %q finds %q", name, label, found)
			}
		}
	}
}

// TestFind checks each form of a name, in any case, and that an ambiguous one finds all candidates in their order.
func TestFind(t *testing.T) {
	one, two := id("1", "prod", apim, "contoso"), id("2", "dev", hsm, "contoso")
	index := names.New(one, two, id("1", "prod", apim, "other"))
	for name, want := range map[string][]string{
		"contoso": {one, two}, "CONTOSO": {one, two}, "prod/contoso": {one}, "dev/contoso": {two}, "managedhsms/contoso": {two},
		"Microsoft.ApiManagement/service/contoso": {one}, sub("2") + "/contoso": {two}, "0c0ffee0/contoso": {one, two}, "0C0FFEE0/dev/contoso": {two}, "prod/service/contoso": {one},
		"conto": nil, "": nil, "service/prod/contoso": nil, "/contoso": nil, "prod/": nil, "prod": nil, "other/contoso": nil,
	} {
		if got := index.Find(name); !slices.Equal(got, want) {
			t.Errorf("%q finds %q, want %q", name, got, want)
		}
	}
}

// TestChoose checks that the first list with the name counts, and the words about an ambiguous or unknown one.
func TestChoose(t *testing.T) {
	one, two, three := id("1", "prod", apim, "contoso-eu"), id("1", "dev", apim, "contoso-eu"), id("1", "prod", apim, "contoso-standby")
	own, others := []string{one, two, one}, []string{three, two}
	for name, want := range map[string]string{
		"prod/contoso-eu": one, "contoso-standby": three, "dev/contoso-eu": two, "…d/contoso-eu": one, "…ndby": three,
		"contoso-eu":      "\"contoso-eu\" may mean\n  prod/contoso-eu\n  dev/contoso-eu",
		"…contoso-eu":     "\"…contoso-eu\" may mean\n  dev/contoso-eu\n  prod/contoso-eu",
		"contoso-standbi": "no target is called \"contoso-standbi\": did you mean contoso-standby?",
		"x":               "no target is called \"x\": lifeboat health lists the targets",
		"…":               "no target is called \"…\": lifeboat health lists the targets",
		"x\x1b":           "no target is called \"x \": lifeboat health lists the targets",
	} {
		got, err := names.Choose(name, own, others)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	if _, err := names.Choose("x"); err == nil {
		t.Error("a name among nothing")
	}
}

// TestIsID checks which texts the app is to judge as resource IDs.
func TestIsID(t *testing.T) {
	for text, want := range map[string]bool{
		"/subscriptions/x": true, "/x": true, "C:/Program Files/Git/subscriptions/x": true, "https://portal.azure.com/#@x/resource": true,
		"contoso": false, "prod/contoso": false, "subscriptions/contoso": false,
	} {
		if names.IsID(text) != want {
			t.Errorf("%q: not %t", text, want)
		}
	}
}
