package backup_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"lifeboat/internal/backup"
)

const (
	target  = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rg/providers/Microsoft.ApiManagement/service/contoso"
	account = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/contosobackups"
)

func TestParseResource(t *testing.T) {
	r, err := backup.ParseResource(target)
	if err != nil || r.Subscription != "00000000-0000-4000-8000-000000000001" || r.Group != "rg" || r.Name != "contoso" ||
		r.Type != "Microsoft.ApiManagement/service" {
		t.Errorf("%+v, %v", r, err)
	}
	sub := "/subscriptions/00000000-0000-4000-8000-000000000001"
	rest := "/providers/Microsoft.ApiManagement/service/contoso"
	for _, id := range []string{
		"", "/", "contoso", sub, sub + "/resourceGroups/rg", target + "/", target + "/apis/x", target[1:],
		sub + "/resourceGroups/" + rest, sub + "/groups/rg" + rest, "/subscriptions/dev/resourceGroups/rg" + rest,
		"/subscriptions/00000000-0000-4000-8000-00000000000g/resourceGroups/rg" + rest,
		"/subscriptions/000000000000-4000-8000-0000-00000001/resourceGroups/rg" + rest,
		sub + "/resourceGroups/r g" + rest, sub + "/resourceGroups/r#g" + rest, sub + "/resourceGroups/r%2fg" + rest,
	} {
		if _, err := backup.ParseResource(id); err == nil {
			t.Errorf("%q is taken for a resource ID", id)
		}
	}
}

// TestSame checks that case does not count, and that letters which only strings.EqualFold takes for equal are different.
func TestSame(t *testing.T) {
	in := func(group string) string { return strings.Replace(target, "/rg/", "/"+group+"/", 1) }
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{target, target, true},
		{target, strings.ToUpper(target), true},
		{target, target + "2", false},
		{in("a.b"), in("A.B"), true},
		{in("πσ"), in("ΠΣ"), true},
		{in("πσ"), in("πς"), false},
		{in("sales"), in("ſales"), false},
	} {
		if backup.Same(c.a, c.b) != c.same || backup.Same(c.b, c.a) != c.same || (backup.Partition(c.a) == backup.Partition(c.b)) != c.same {
			t.Errorf("%s and %s: the same is not %t", c.a, c.b, c.same)
		}
		if !c.same && c.b != target+"2" && !strings.EqualFold(c.a, c.b) {
			t.Errorf("%s and %s show nothing: EqualFold tells them apart too", c.a, c.b)
		}
	}
}

func TestAccountName(t *testing.T) {
	if name := (backup.Storage{Account: account}).AccountName(); name != "contosobackups" {
		t.Errorf("got %q", name)
	}
	if name := (backup.Storage{Account: "contosobackups"}).AccountName(); name != "" {
		t.Errorf("got %q", name)
	}
}

func TestAsFault(t *testing.T) {
	f := &backup.Fault{Kind: backup.Unobservable, Code: "Forbidden"}
	if got := backup.AsFault(fmt.Errorf("wrapped: %w", f)); got != f {
		t.Errorf("got %+v", got)
	}
	if got := backup.AsFault(errors.New("reset by peer")); got.Kind != backup.Ambiguous || got.Message != "reset by peer" {
		t.Errorf("got %+v", got)
	}
	if backup.AsFault(nil) != nil {
		t.Error("no error is a fault")
	}
}
