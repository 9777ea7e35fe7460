// Package repository holds the tests of the files beside the code: GitHub's workflows, the container, the release.
package repository

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

const root = "../../.."

// read returns a file of the repository.
func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// load reads a YAML file of the repository into the value.
func load(t *testing.T, path string, value any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(read(t, path)), value); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// files returns the paths of all files of the repository with that name, without what was built or installed.
func files(t *testing.T, name string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{"build", "node_modules", ".git", "testdata"}, d.Name()) {
			return filepath.SkipDir
		}
		if d.Name() == name {
			path, err = filepath.Rel(root, path)
			found = append(found, "/"+filepath.ToSlash(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// variable is the text of a variable of the Makefile.
func variable(t *testing.T, name string) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + name + ` := (.*)$`).FindStringSubmatch(read(t, "Makefile"))
	if m == nil {
		t.Fatalf("the Makefile has no variable %s", name)
	}
	return m[1]
}

type job struct {
	Uses        string
	Permissions map[string]string
	Timeout     int `yaml:"timeout-minutes"`
	Steps       []step
}

type step struct {
	Uses, Run, If, Shell string
	With, Env            map[string]any
	Continue             any `yaml:"continue-on-error"`
}

type workflow struct {
	On          any
	Permissions map[string]string
	Jobs        map[string]job
}

// writes are the rights to write that a job has, beside reading. No other job may write.
var writes = map[string]string{
	"release.yml publish": "attestations contents id-token",
	"tzdata.yml propose":  "contents pull-requests",
}

var (
	// unread matches what a shell takes as a text, and what it leaves out.
	unread = regexp.MustCompile(`\\(?s:.)|'[^']*'|"(?:\\(?s:.)|[^"\\])*"|(?m:(?:^|\s)#.*$)`)
	// ours matches a command that may run a file of the repository or of a package. It looks at each word of a script, since a command
	// may come after a variable, a keyword or another command. A § stands for a text in quotes.
	ours = regexp.MustCompile(`(?m)\b(?:make|go|npm|npx|node|pip3?|python3?|bash|sh|pwsh|source|eval)\b|\.ci/|(?:^|\s)\./` +
		`|(?:^|[;&|({!]\s*)(?:\S*/\S+|\.\s|\s*§)`)
)

// runsOurs says whether a script may run a file of the repository or of a package. The output of a command in a text could be anything.
func runsOurs(script string) bool {
	said := unread.ReplaceAllStringFunc(script, func(text string) string {
		switch text[0] {
		case '\'', '"':
			return "§"
		case '\\':
			return strings.TrimSpace(text[1:]) // a line goes on, or the next character is meant
		}
		return "\n"
	})
	inTexts := regexp.MustCompile(`\\(?s:.)`).ReplaceAllString(script, "")
	return strings.Contains(inTexts, "$(") || strings.Contains(inTexts, "`") || strings.Contains(said, "<(") || ours.MatchString(said)
}

// TestWhatMayWriteRunsNothing checks what no script may run in a job with a right to write.
func TestWhatMayWriteRunsNothing(t *testing.T) {
	for _, script := range []string{
		"make x", "make", "VERSION=1 make x", "if make x; then true; fi", "! make x", "true && make x", "true\nmake x", "x=1; { make x; }",
		"bash .ci/x", "sh -c 'x'", ".ci/x", ".ci/x y", "./x", "true && ./x", "git apply a && .ci/x", "VERSION=1 .ci/x", "build/lifeboat", "! build/lifeboat x",
		"source x", ". x", "true; . x", "eval x", "go run .", "npx x", "pip install x", "python3 x", "node x", "\"./x\"", "true && './x' y",
		"git tag \"$(make x)\"", "git tag \"a\" && make x && git tag \"b\"", "git tag \"`make x`\"", "diff <(x) y",
		"# it doesn't\nmake x # doesn't it", "git tag \\' && make x # '", "git tag \\\n  x && \\\n  make x",
	} {
		if !runsOurs(script) {
			t.Errorf("a job that may write could run %q", script)
		}
	}
	for _, script := range []string{
		"git tag x", "gh pr create --title 'make x'", "gh pr create --body \"by \\`make x\\`, and .ci/x\"", "git apply --include='internal/*' \"$A/x\"",
		"gh release create a \\\n  \"$B\" build/release/*", "# make x", "[[ $VERSION != *-* ]] || kind=--prerelease",
	} {
		if runsOurs(script) {
			t.Errorf("a job that may write cannot run %q", script)
		}
	}
}

// TestWorkflows checks that GitHub's workflows call what is there, run foreign actions by their commit, and may do no more than
// they need. actionlint checks their grammar in make check.
func TestWorkflows(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(root, ".github/workflows/*.yml"))
	if err != nil || len(paths) < 3 {
		t.Fatal(paths, err)
	}
	pinned := regexp.MustCompile(`^actions/[a-z-]+@[0-9a-f]{40}$`)
	makefile := read(t, "Makefile")
	seen := map[string]bool{}
	for _, path := range paths {
		name := filepath.Base(path)
		text := read(t, ".github/workflows/"+name)
		for line := range strings.Lines(text) {
			if strings.Contains(line, "uses: actions/") && !regexp.MustCompile(` # v\d+\.\d+\.\d+\n$`).MatchString(line) {
				t.Errorf("%s does not say the version of its action: %s", name, line)
			}
		}
		var w workflow
		load(t, ".github/workflows/"+name, &w)
		if !maps.Equal(w.Permissions, map[string]string{"contents": "read"}) {
			t.Errorf("%s gives its jobs %v", name, w.Permissions)
		}
		if strings.Contains(text, "pull_request_target") {
			t.Errorf("%s runs with secrets on the code of strangers", name)
		}
		for id, j := range w.Jobs {
			id = name + " " + id
			var may []string
			for right, level := range j.Permissions {
				if level != "read" {
					may = append(may, right)
				}
			}
			slices.Sort(may)
			if strings.Join(may, " ") != writes[id] {
				t.Errorf("%s may write %v, and is to write %q", id, may, writes[id])
			}
			seen[id] = true
			if j.Uses == "" && j.Timeout == 0 {
				t.Errorf("%s has no end", id)
			}
			for _, step := range j.Steps {
				if step.Uses != "" && !pinned.MatchString(step.Uses) {
					t.Errorf("%s runs %s, which may change", id, step.Uses)
				}
				if strings.HasPrefix(step.Uses, "actions/checkout@") && writes[id] == "" && step.With["persist-credentials"] != false {
					t.Errorf("%s leaves its token in .git, and pushes nothing", id)
				}
				if strings.HasPrefix(step.Uses, "actions/setup-go@") && (!strings.Contains(read(t, "go.mod"), fmt.Sprintf("\ngo %v.", step.With["go-version"])) ||
					step.With["check-latest"] != true) {
					t.Errorf("%s takes Go %v, and not the newest repairs of the version of go.mod", id, step.With["go-version"])
				}
				if writes[id] != "" && (strings.HasPrefix(step.Uses, "actions/setup-") || step.Shell != "" || runsOurs(step.Run)) {
					t.Errorf("%s may write, and runs what is in the repository or in a package: %s", id, step.Uses+step.Run)
				}
				if strings.Contains(step.Run, "${{") {
					t.Errorf("%s puts a text of GitHub's into a script: env has a safe place for it: %s", id, step.Run)
				}
				for _, m := range regexp.MustCompile(`(?m)(?:^|[;&|(]\s*)make ([a-z-]+)`).FindAllStringSubmatch(step.Run, -1) {
					if !strings.Contains(makefile, "\n"+m[1]+":") {
						t.Errorf("%s calls make %s, which the Makefile does not have", id, m[1])
					}
				}
				for _, script := range regexp.MustCompile(`\.ci/[a-z]+`).FindAllString(step.Run, -1) {
					if info, err := os.Stat(filepath.Join(root, script)); err != nil || info.Mode()&0o111 == 0 {
						t.Errorf("%s runs %s: %v", id, script, err)
					}
				}
			}
		}
	}
	for id := range writes {
		if !seen[id] {
			t.Errorf("there is no job %s", id)
		}
	}
}

// ofMain says whether the steps make a release of a commit of main alone: with all of the history at hand they ask for that, and each
// of them ends the job if it fails.
func ofMain(steps []step) bool {
	fetched, asked := false, false
	for _, step := range steps {
		always := step.If == "" && step.Continue == nil && step.Shell == ""
		switch run := strings.TrimSpace(step.Run); {
		case strings.HasPrefix(step.Uses, "actions/checkout@"):
			fetched, asked = always && step.With["fetch-depth"] == 0 && step.With["ref"] == nil, false
		case run == "git merge-base --is-ancestor HEAD origin/main":
			asked = fetched && always
		case strings.Contains(run, "make release"):
			return asked
		}
	}
	return false
}

// TestReleasesAreOfMain checks that a tag elsewhere makes no release.
func TestReleasesAreOfMain(t *testing.T) {
	var w workflow
	load(t, ".github/workflows/release.yml", &w)
	steps := w.Jobs["files"].Steps
	if !ofMain(steps) {
		t.Error("release.yml makes a release without having seen that its commit is one of main")
	}
	for n, s := range steps {
		if !strings.HasPrefix(s.Uses, "actions/checkout@") && !strings.Contains(s.Run, "merge-base") {
			continue
		}
		without := slices.Delete(slices.Clone(steps), n, n+1)
		sometimes, whatever := slices.Clone(steps), slices.Clone(steps)
		sometimes[n].If, whatever[n].Continue = "false", true
		for _, other := range [][]step{without, append(without, s), sometimes, whatever} {
			if ofMain(other) {
				t.Errorf("a release of a commit elsewhere is not seen: %+v", other)
			}
		}
	}
}

// TestUpdates checks that each file which pins packages of others is in a folder that Dependabot looks into, and no other folder.
func TestUpdates(t *testing.T) {
	var d struct {
		Updates []struct {
			Ecosystem   string `yaml:"package-ecosystem"`
			Directories []string
		}
	}
	load(t, ".github/dependabot.yml", &d)
	pins := map[string]string{"gomod": "go.mod", "npm": "package.json", "pip": "requirements.txt", "maven": "pom.xml", "docker": "Dockerfile"}
	for _, u := range d.Updates {
		if u.Ecosystem == "github-actions" {
			continue
		}
		var want []string
		for _, file := range files(t, pins[u.Ecosystem]) {
			want = append(want, filepath.ToSlash(filepath.Dir(file)))
		}
		slices.Sort(want)
		if !slices.Equal(u.Directories, want) {
			t.Errorf("%s looks into %v, and %s is in %v", u.Ecosystem, u.Directories, pins[u.Ecosystem], want)
		}
		delete(pins, u.Ecosystem)
	}
	if len(pins) > 0 {
		t.Errorf("no update looks for %v", pins)
	}
}

// TestZonesAreLookedFor checks which version of the time zones a workflow proposes, for what PyPI may say.
func TestZonesAreLookedFor(t *testing.T) {
	for _, c := range []struct{ built, newest, want string }{
		{"2026.6", "2026.6", ""},
		{"2026.6", "2026.7", "2026g"},
		{"2026.9", "2026.10", "2026j"},
		{"2026.10", "2026.9", ""}, // an older one, as a mirror may have it
		{"2026.6", "2027.1", "2027a"},
		{"2026.6", "2026.27", "fails"},
		{"2026.6", "2026.7.post0", "fails"},
		{"2026.6", "", "fails"},
	} {
		folder := t.TempDir()
		for path, text := range map[string]string{
			".ci/tzdata":  read(t, ".ci/tzdata"),
			"bin/python3": fmt.Sprintf("#!/bin/sh\n[ \"$*\" = '-m pip index versions tzdata' ] || exit 3\necho 'tzdata (%s)'\necho 'Available versions: 1.1'\n", c.newest),
			"internal/tzdata/tzdata-" + c.built + "-py2.py3-none-any.whl": "",
		} {
			path = filepath.Join(folder, path)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o755); err != nil { //nolint:gosec // it is run
				t.Fatal(err)
			}
		}
		command := exec.Command(filepath.Join(folder, ".ci/tzdata"))
		command.Env = append(os.Environ(), "PATH="+filepath.Join(folder, "bin")+":"+os.Getenv("PATH"))
		said, err := command.Output()
		got := strings.TrimSuffix(string(said), "\n")
		if err != nil {
			got += "fails"
		}
		if got != c.want {
			t.Errorf("with %s built in and %q on PyPI it proposes %q, want %q", c.built, c.newest, got, c.want)
		}
	}
}

// TestImage checks that the container has what is deployed, and no other file: what make stage puts into build/app.
func TestImage(t *testing.T) {
	assemble := regexp.MustCompile(`(?s)\ndefine assemble\n(.*?)endef`).FindStringSubmatch(read(t, "Makefile"))
	if assemble == nil || strings.Count(assemble[1], "$(1)/") != 2 || !strings.Contains(assemble[1], "cp -R functions/. $(1)/") ||
		!strings.Contains(assemble[1], "cp host.json $(wildcard plan.yaml) $(1)/") {
		t.Errorf("make stage assembles something else than functions, host.json and plan.yaml: does the container have it? %v", assemble)
	}
	if stage := read(t, "Makefile"); !strings.Contains(stage, "$(call assemble,build/app)\n\t$(deployed) -o build/app/lifeboat .\n") {
		t.Error("make stage makes another folder than build/app")
	}
	var copies []string
	where, user, port, home := "", "", "", ""
	for line := range strings.Lines(strings.ReplaceAll(read(t, "Dockerfile"), "\\\n", "")) {
		line = strings.TrimSpace(line)
		switch word, rest, _ := strings.Cut(line, " "); word {
		case "COPY", "ADD":
			copies = append(copies, line)
		case "USER":
			user = rest
		case "ENV":
			for _, pair := range strings.Fields(rest) {
				if value, ok := strings.CutPrefix(pair, "AzureWebJobsScriptRoot="); ok {
					where = value
				}
				if value, ok := strings.CutPrefix(pair, "ASPNETCORE_URLS=http://+:"); ok {
					port = value
				}
				if value, ok := strings.CutPrefix(pair, "HOME="); ok {
					home = value
				}
			}
		}
	}
	// The bits of the files are set here: Windows has none.
	if want := "COPY --chmod=0755 build/app/ " + where + "/"; where == "" || !slices.Equal(copies, []string{want}) {
		t.Errorf("the container copies %q, want %q", copies, want)
	}
	if user != "1654:1654" || port != "8080" || !strings.Contains(read(t, "Dockerfile"), " && chown -R "+user+" "+home+"\n") {
		t.Errorf("the container runs as %q, writes to %q, and listens on %q: root alone may listen below 1024 everywhere", user, home, port)
	}
	if release := read(t, "Makefile"); !strings.Contains(release, "cp build/app.zip Dockerfile $(parts)/files/") {
		t.Error("a release has no Dockerfile beside app.zip")
	}
	zip := regexp.MustCompile(`--src (\S+/app\.zip)\n`).FindStringSubmatch(read(t, "docs/deploy.md"))
	for _, path := range []string{"Dockerfile", "docs/get-started.md"} {
		if zip == nil || !strings.Contains(read(t, path), "unzip -q "+zip[1]+" -d build/app\n") {
			t.Errorf("%s unpacks another app.zip than docs/deploy.md deploys: %q", path, zip)
		}
	}
	var sees []string
	for line := range strings.Lines(read(t, ".dockerignore")) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			sees = append(sees, line)
		}
	}
	if !slices.Equal(sees, []string{"*", "!build/app"}) {
		t.Errorf("Docker sees %q", sees)
	}
}

// TestArchives checks that the command line of a release is built as the deployed program is, for all systems, with times of the
// commit alone.
func TestArchives(t *testing.T) {
	var g struct {
		Builds []struct {
			Goos, Goarch, Flags, Ldflags, Env []string
			Timestamp                         string `yaml:"mod_timestamp"`
		}
		Archives []struct {
			Info  struct{ Mtime string } `yaml:"builds_info"`
			Files []struct {
				Src  string
				Info struct{ Mtime, Mode string }
			}
		}
	}
	load(t, ".goreleaser.yaml", &g)
	if len(g.Builds) != 1 || len(g.Archives) != 1 {
		t.Fatalf("there are %d builds and %d archives", len(g.Builds), len(g.Archives))
	}
	b, a := g.Builds[0], g.Archives[0]
	if !slices.Equal(b.Goos, []string{"linux", "darwin", "windows"}) || !slices.Equal(b.Goarch, []string{"amd64", "arm64"}) {
		t.Errorf("built for %v on %v", b.Goos, b.Goarch)
	}
	ldflags := strings.ReplaceAll(strings.Join(b.Ldflags, " "), "{{ .Env.VERSION }}", "$(VERSION)")
	built := fmt.Sprintf("%s GOOS=linux GOARCH=amd64 go build %s -ldflags=%q", strings.Join(b.Env, " "), strings.Join(b.Flags, " "), ldflags)
	if deployed := variable(t, "deployed"); built != deployed {
		t.Errorf("the command line is built with %s, and the deployed program with %s", built, deployed)
	}
	if b.Timestamp != "{{ .CommitTimestamp }}" || a.Info.Mtime != "{{ .CommitDate }}" {
		t.Errorf("the times are %q and %q", b.Timestamp, a.Info.Mtime)
	}
	packed := map[string]string{}
	for _, f := range a.Files {
		if f.Info.Mtime != "{{ .CommitDate }}" {
			t.Errorf("%s has the time %q", f.Src, f.Info.Mtime)
		}
		for _, pattern := range braces(f.Src) {
			found, err := filepath.Glob(filepath.Join(root, pattern))
			if err != nil || len(found) == 0 && !strings.HasPrefix(pattern, "build/") {
				t.Errorf("%s names no file: %v", pattern, err)
			}
			for _, path := range found {
				packed[filepath.ToSlash(strings.TrimPrefix(path, filepath.Clean(root)+"/"))] = f.Info.Mode
			}
		}
	}
	// A person with an archive alone has the pages, and deploys with them. An ignored file is none of a release.
	known, err := exec.Command("git", "-C", root, "ls-files", "-z", "docs", "infra").Output()
	if err != nil || len(known) == 0 {
		t.Fatal("git lists no files: ", err)
	}
	for _, path := range strings.Split(strings.TrimSuffix(string(known), "\x00"), "\x00") {
		if strings.Contains(path, "/testdata/") || filepath.Ext(path) == ".go" {
			if _, is := packed[path]; is {
				t.Errorf("an archive has %s", path)
			}
			continue
		}
		want := map[bool]string{true: "0o755", false: "0o644"}[filepath.Ext(path) == ".sh"]
		if mode, is := packed[path]; !is || mode != want {
			t.Errorf("an archive has %s: %t, with the mode %s, want %s", path, is, mode, want)
		}
	}
	for _, file := range []string{"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE", "azure.yaml", "bicepconfig.json"} {
		if _, is := packed[file]; !is {
			t.Errorf("an archive has no %s", file)
		}
	}
}

// TestReleasesHaveNoOtherFiles checks that make release looks for files of which git knows nothing, also ignored ones, wherever a package
// or an archive takes all that it finds.
func TestReleasesHaveNoOtherFiles(t *testing.T) {
	m := regexp.MustCompile(`(?m)changed=\$\$\(\{ git status --porcelain; git status --porcelain --ignored ([^;]*); \}`).FindStringSubmatch(read(t, "Makefile"))
	if m == nil {
		t.Fatal("make release looks for no ignored files")
	}
	looks := strings.Fields(m[1])
	var g struct {
		Archives []struct{ Files []struct{ Src string } }
	}
	load(t, ".goreleaser.yaml", &g)
	packs := []string{"functions", "plan.yaml"} // see TestImage
	for _, f := range g.Archives[0].Files {
		folder, _, deep := strings.Cut(f.Src, "/")
		switch {
		case deep && folder != "build":
			packs = append(packs, folder)
		case strings.Contains(f.Src, "*") && !deep:
			packs = append(packs, "':(glob)"+f.Src+"'")
		}
	}
	slices.Sort(packs)
	slices.Sort(looks)
	if packs = slices.Compact(packs); !slices.Equal(looks, packs) {
		t.Errorf("make release looks for ignored files in %q, and packs %q", looks, packs)
	}
}

// braces returns the patterns that a pattern with words in braces stands for.
func braces(pattern string) (all []string) {
	before, rest, found := strings.Cut(pattern, "{")
	words, after, closed := strings.Cut(rest, "}")
	if !found || !closed {
		return []string{pattern}
	}
	for _, word := range strings.Split(words, ",") {
		all = append(all, before+word+after)
	}
	return all
}

// TestNoBuiltProgram finds a program that was built into the tree and committed: no source or text of the repository has a megabyte.
func TestNoBuiltProgram(t *testing.T) {
	list, err := exec.CommandContext(t.Context(), "git", "-C", root, "ls-files", "-z").Output()
	if err != nil {
		t.Fatal(err)
	}
	names := strings.Split(strings.TrimSuffix(string(list), "\x00"), "\x00")
	if len(names) < 500 {
		t.Fatalf("git lists %d files", len(names))
	}
	for _, name := range names {
		if info, err := os.Lstat(filepath.Join(root, name)); err == nil && info.Size() > 1<<20 {
			t.Errorf("%s has %d bytes: git rm it if a build made it", name, info.Size())
		}
	}
}
