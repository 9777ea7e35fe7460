package docs_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"lifeboat/internal/backup"
	"lifeboat/internal/services"
)

var update = flag.Bool("update", false, "write the tables that the code makes into the pages")

// TestRoles: services.md has the table of the roles of each service, as its descriptor makes it.
func TestRoles(t *testing.T) {
	text := page(t, "services.md")
	for heading, titles := range map[string][]string{
		"API Management": {"API Management"}, "Managed HSM": {"Managed HSM"}, "Managed CCF and Confidential Ledger": {"Managed CCF", "Confidential Ledger"},
	} {
		want, known := "| identity | role | on | for |\n|---|---|---|---|\n", map[string]bool{}
		for _, s := range services.All() {
			for _, g := range s.Grants {
				for _, g := range []backup.Grant{g, g.InVault()} {
					row := fmt.Sprintf("| %s | %s | %s | %s |\n", g.IdentityWords(), g.Role.Name, g.PlaceWords(), g.PurposeWords())
					if (s.Title == titles[0] || s.Title == titles[len(titles)-1]) && !known[row] {
						known[row] = true
						want += row
					}
				}
			}
		}
		_, behind, _ := strings.Cut(text, "\n## "+heading+"\n")
		_, table, found := strings.Cut(behind, "| identity | role |")
		table, _, _ = strings.Cut(table, "\n\n")
		if table = "| identity | role |" + table + "\n"; !found || table == want {
			continue
		}
		if !*update {
			t.Errorf("%s has another table of roles, make it with go test ./docs -run TestRoles -update:\n%s", heading, want)
			continue
		}
		text = strings.Replace(text, table, want, 1)
		if err := os.WriteFile("services.md", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range services.All() {
		if len(s.Grants) < 3 {
			t.Errorf("%s wants %d roles", s.Title, len(s.Grants))
		}
		for _, g := range s.Grants {
			for _, role := range []backup.Role{g.Role, g.InVault().Role} {
				for _, action := range append(role.Actions, role.DataActions...) {
					words := strings.Split(action, "/")
					if !role.BuiltIn() && !strings.Contains(text, strings.Join(words[len(words)-2:], "/")+"`") {
						t.Errorf("services.md does not say that %s permits %s", role.Name, action)
					}
				}
			}
		}
	}
}
