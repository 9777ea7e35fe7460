package docs_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// TestRules checks that metrics.md has each alert of lifeboat.rules.yml, with its severity and its runbook, and no other. The tests of the
// rules themselves are make rules.
func TestRules(t *testing.T) {
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert       string
				Labels      map[string]string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(page(t, "lifeboat.rules.yml")), &file); err != nil {
		t.Fatal(err)
	}
	listed := map[string][2]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(Lifeboat[A-Za-z]+)` \\| (\\w+) \\|.*\\]\\((\\S+)\\) \\|$").FindAllStringSubmatch(page(t, "metrics.md"), -1) {
		listed[row[1]] = [2]string{row[2], row[3]}
	}
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			if rule.Alert == "" {
				continue // a recording rule, for the others
			}
			runbook := strings.TrimPrefix(rule.Annotations["runbook"], "docs/")
			if listed[rule.Alert] != [2]string{rule.Labels["severity"], runbook} {
				t.Errorf("metrics.md says %q of %s, and the file %s, %s", listed[rule.Alert], rule.Alert, rule.Labels["severity"], runbook)
			}
			if _, err := os.Stat(runbook); err != nil || rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
				t.Errorf("%s: %v, %v", rule.Alert, rule.Annotations, err)
			}
			delete(listed, rule.Alert)
		}
	}
	for alert := range listed {
		t.Errorf("the file has no %s", alert)
	}
}
