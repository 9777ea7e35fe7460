package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// TestNoKeyInAURL checks that no page and no help text puts a key into a URL: the host, proxies and logs keep URLs.
func TestNoKeyInAURL(t *testing.T) {
	var pages []string
	for _, pattern := range []string{"../*.md", "*.md", "runbooks/*.md", "../internal/cli/*.go"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatal(pattern, found, err)
		}
		pages = append(pages, found...)
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(page, "_test.go") || strings.HasSuffix(page, "CHANGELOG.md") {
			continue
		}
		if found := regexp.MustCompile(`[?&]code=|params:.*\bcode\b`).FindString(string(text)); found != "" {
			t.Errorf("%s has %q", page, found)
		}
	}
}

// TestPrometheusSendsTheKeyAsAHeader checks the scrape configuration of metrics.md, which has the keys of Prometheus 2.55 (its
// page Configuration, http_headers).
func TestPrometheusSendsTheKeyAsAHeader(t *testing.T) {
	page, err := os.ReadFile("metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(page), "```yaml\n")
	block, _, _ = strings.Cut(block, "```")
	var scrape struct {
		Configs []struct {
			Path    string `yaml:"metrics_path"`
			Params  any
			Headers map[string]struct{ Files, Secrets []string } `yaml:"http_headers"`
		} `yaml:"scrape_configs"`
	}
	if err := yaml.Unmarshal([]byte(block), &scrape); err != nil || len(scrape.Configs) != 1 {
		t.Fatal(err, block)
	}
	job := scrape.Configs[0]
	if key := job.Headers["x-functions-key"]; len(key.Files)+len(key.Secrets) != 1 || job.Params != nil || job.Path != "/api/metrics" {
		t.Errorf("got %+v", job)
	}
}
