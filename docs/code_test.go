package docs_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lifeboat/docs"
	"lifeboat/handler"
	"lifeboat/internal/backup"
	"lifeboat/internal/cli"
	"lifeboat/internal/config"
	"lifeboat/internal/engine"
	"lifeboat/internal/health"
	"lifeboat/internal/request"
	"lifeboat/internal/restore"
	"lifeboat/internal/services"
	"lifeboat/internal/storage"
)

// source is the text of the program's files that the patterns name, without tests.
func source(t *testing.T, patterns ...string) string {
	t.Helper()
	var all strings.Builder
	for path, text := range pages(t, patterns...) {
		if !strings.HasSuffix(path, "_test.go") {
			all.WriteString(text)
		}
	}
	return all.String()
}

// TestSettings checks that the program asks for each setting of the pages, and that a table has each setting of the program.
func TestSettings(t *testing.T) {
	asked := map[string]bool{}
	given := func(values ...string) func(string) string {
		return func(name string) string {
			if strings.HasPrefix(name, "LIFEBOAT_") || strings.HasPrefix(name, "AzureWebJobsStorage") {
				asked[name] = true
			}
			if i := slices.Index(values, name); i >= 0 {
				return values[i+1]
			}
			return ""
		}
	}
	if _, err := config.FromEnvironment(given("LIFEBOAT_PLAN", "plan.yaml")); err != nil {
		t.Fatal(err)
	}
	if _, err := storage.Credential(given("AzureWebJobsStorage__credential", "managedidentity"), azcore.ClientOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := storage.Open(given(), nil, azcore.ClientOptions{}); err == nil {
		t.Fatal("storage without settings")
	}
	for _, command := range [][]string{{"health"}, {"run", "ID"}} {
		cli.Run(t.Context(), command, cli.Shell{Getenv: given(), Stdout: io.Discard, Stderr: io.Discard})
	}
	reported := map[string]bool{}
	cli.Run(t.Context(), []string{"support"}, cli.Shell{
		Getenv: func(name string) string { reported[name] = true; return "" }, Stdout: io.Discard, Stderr: io.Discard,
	})
	for setting := range asked {
		if !reported[setting] {
			t.Errorf("lifeboat support does not know the setting %s", setting)
		}
	}
	const name = `\b(LIFEBOAT_[A-Z_]+|AzureWebJobsStorage(?:__\w+)?)\b`
	outputs := set(`(?m)^output (LIFEBOAT_[A-Z_]+) `, page(t, "../infra/main.bicep"))
	const hosts = "AzureWebJobsStorage__blobServiceUri" // only the Functions host reads it
	azd := page(t, "../infra/main.parameters.json")     // the template reads its variables
	for path, text := range pages(t, "../README.md", "*.md", "runbooks/*.md") {
		if path == "design.md" || path == "reliability.md" {
			continue // for contributors, with the settings of tests
		}
		for setting := range set(name, text) {
			output := path == "deploy.md" && outputs[setting] // the deployment gives them
			if !asked[setting] && setting != hosts && !output && !strings.Contains(azd, "${"+setting+"}") && !strings.Contains(azd, "${"+setting+"=") {
				t.Errorf("%s names the setting %s, which nothing reads", path, setting)
			}
		}
	}
	listed := map[string]bool{}
	for _, row := range cells(page(t, "get-started.md") + page(t, "operate.md")) {
		listed[strings.Trim(row[0], "`")] = true
	}
	asked[hosts] = true
	for setting := range asked {
		if !listed[setting] && setting != "LIFEBOAT_WAIT_FACTOR" { // for tests and the demo: a sentence says so
			t.Errorf("no table has the setting %s", setting)
		}
	}
}

// TestCommands checks that the program has each command of the pages, with its flags, and that a table has each command.
func TestCommands(t *testing.T) {
	word := regexp.MustCompile(`^(?:\./)?lifeboat (plan [a-z]+|ledger [a-z]+|retention [a-z]+|security-domain [a-z]+|[a-z]+)`)
	flag := regexp.MustCompile(`(?:^|[ \[])(--?[a-z][a-z-]*)`)
	flags := map[string]map[string]bool{}
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			visit(sub)
		}
		if name := strings.TrimPrefix(c.CommandPath(), "lifeboat "); !c.HasSubCommands() {
			flags[name] = map[string]bool{}
			c.LocalFlags().VisitAll(func(f *pflag.Flag) {
				flags[name]["--"+f.Name] = true
				if f.Shorthand != "" {
					flags[name]["-"+f.Shorthand] = true
				}
			})
		}
	}
	visit(cli.Commands(cli.Shell{}))
	if len(flags) < 14 {
		t.Fatalf("only %d commands: %v", len(flags), flags)
	}
	shown := regexp.MustCompile("(?m)^((?:\\./)?lifeboat [a-z].*)$|`(lifeboat [a-z][^`]*)`")
	for path, text := range pages(t, "../README.md", "*.md", "runbooks/*.md") {
		for _, m := range shown.FindAllStringSubmatch(text, -1) {
			line, _, _ := strings.Cut(m[1]+m[2], " #")
			command := word.FindStringSubmatch(line)
			if command == nil || flags[command[1]] == nil {
				t.Errorf("%s: there is no command %q", path, line)
				continue
			}
			for _, f := range flag.FindAllStringSubmatch(line, -1) {
				if !flags[command[1]][f[1]] {
					t.Errorf("%s: lifeboat %s has no flag %s", path, command[1], f[1])
				}
			}
		}
	}
	listed, text := map[string]bool{}, page(t, "operate.md")+page(t, "plan.md")+page(t, "restore.md")+page(t, "cli.md")
	for _, row := range cells(text) {
		if m := word.FindStringSubmatch(strings.Trim(row[0], "`")); m != nil {
			listed[m[1]] = true
		}
	}
	for command := range flags {
		if !listed[command] {
			t.Errorf("no table has the command lifeboat %s", command)
		}
		for f := range flags[command] {
			if !regexp.MustCompile(regexp.QuoteMeta(f) + `\b`).MatchString(text) {
				t.Errorf("no page has the flag %s of lifeboat %s", f, command)
			}
		}
	}
}

// TestCalls checks that api.md has each call of the API, that no page has another call, and that each function has a key there.
func TestCalls(t *testing.T) {
	calls, functions := map[string]bool{}, map[string]bool{"host": true}
	for _, f := range handler.HTTPFunctions() {
		functions[f.Name] = true
		for _, route := range f.Routes {
			calls[route.Method+" "+route.Path] = true
		}
	}
	const call = `\b((?:GET|POST) /api/[A-Za-z/{}-]+)`
	same(t, "the call", set("(?m)^\\| `"+call[2:], page(t, "api.md")), calls)
	for path, text := range pages(t, "../*.md", "*.md", "runbooks/*.md") {
		for shown := range set(call, strings.ReplaceAll(text, "/ID", "/{id}")) {
			if !calls[shown] {
				t.Errorf("%s: there is no call %s", path, shown)
			}
		}
	}
	keys := map[string]bool{}
	for _, row := range cells(section(t, page(t, "api.md"), "Keys")) {
		keys[strings.Trim(strings.TrimPrefix(strings.TrimPrefix(row[0], "the "), "function "), "`")] = true
	}
	same(t, "the key of", keys, functions)
}

// TestErrorCodes checks that api.md has the code of each refused call, under its status.
func TestErrorCodes(t *testing.T) {
	coded := map[string]bool{}
	refusals := regexp.MustCompile(`refuse\(http\.Status(\w+), (?:"|request\.)(\w+)`)
	for _, m := range refusals.FindAllStringSubmatch(source(t, "../handler/*.go"), -1) {
		status := 100
		for strings.ReplaceAll(http.StatusText(status), " ", "") != m[1] {
			if status++; status == 600 {
				t.Fatalf("which status is %s?", m[1])
			}
		}
		if status >= 300 { // else the code belongs to a batch
			coded[fmt.Sprint(status, " ", m[2])] = true
		}
	}
	for code := range set(`backup\.Refuse\("(\w+)"`, source(t, "../internal/request/*.go", "../internal/engine/order.go")) {
		coded["400 "+code] = true // a plan does not fit the request for a backup
	}
	documented := map[string]bool{}
	for _, row := range cells(section(t, page(t, "api.md"), "Errors")) {
		for code := range set("`([A-Z]\\w+)`", row[1]) {
			documented[row[0]+" "+code] = true
		}
	}
	same(t, "the error", documented, coded)
}

// TestGuards checks that restore.md has each code by which a guard refuses a restore.
func TestGuards(t *testing.T) {
	files := []string{"../internal/restore/*.go"}
	for _, name := range []string{"preview", "order", "restores", "restoring", "step"} {
		files = append(files, "../internal/engine/"+name+".go")
	}
	coded := set(`backup\.Refuse\("(\w+)"`, source(t, files...))
	for _, no := range []string{"NotAllChecked", "NotAsked", "TakesLonger"} { // warnings, and a guard that is asked later
		delete(coded, no)
	}
	for _, other := range []string{request.InvalidRequest, "RequestIdReused", engine.CarriedOut, backup.UnreadableRow(io.EOF).Code} {
		coded[other] = true
	}
	same(t, "the guard's code", set("`([A-Z][a-z]+[A-Z]\\w+)`", section(t, page(t, "restore.md"), "Guards")), coded)
}

// TestWarningsOfALook checks that restore.md has each warning of a dry run, and plan.md each warning of plan check --live.
func TestWarningsOfALook(t *testing.T) {
	for _, c := range []struct {
		page, section string
		files         []string
	}{
		{"restore.md", "Left to do by hand", []string{"../internal/services/apim/compare.go", "../internal/services/managedhsm/restore.go"}},
		{"plan.md", "Check an edit", []string{"../internal/azure/region.go", "../internal/azure/vault.go", "../internal/services/ledger/room.go"}},
	} {
		coded := set(`(?:backup\.Refuse|pair\.warn(?:OfLack)?)\("(\w+)"`, source(t, c.files...))
		documented := map[string]bool{}
		for _, row := range cells(section(t, page(t, c.page), c.section)) {
			for code := range set("^`([A-Z]\\w+)`$", row[0]) {
				documented[code] = true
			}
		}
		if !maps.Equal(documented, coded) || len(coded) == 0 {
			t.Errorf("%s has the warnings %v, and the code %v", c.page, documented, coded)
		}
	}
}

// leaves are the paths of the values that a schema allows in a document, without the indexes of lists.
func leaves(t *testing.T, schema map[string]any, path string, all map[string]any, found map[string]bool) {
	t.Helper()
	if ref, ok := schema["$ref"].(string); ok {
		schema = all["$defs"].(map[string]any)[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
	}
	if items, ok := schema["items"].(map[string]any); ok && items["$ref"] == "#/$defs/plan" {
		schema, path = all["$defs"].(map[string]any)["plan"].(map[string]any), ""
	}
	properties, ok := schema["properties"].(map[string]any)
	if !ok {
		found[path] = true
		return
	}
	for name, below := range properties {
		leaves(t, below.(map[string]any), strings.TrimPrefix(path+"."+name, "."), all, found)
	}
}

// TestPlanKeys checks that plan.md has each key of the schema, and no other, and that its example is a valid plan.
func TestPlanKeys(t *testing.T) {
	var schema map[string]any
	if err := json.Unmarshal(docs.PlanSchema, &schema); err != nil {
		t.Fatal(err)
	}
	coded, documented := map[string]bool{}, map[string]bool{}
	leaves(t, schema, "", schema, coded)
	for _, row := range cells(section(t, page(t, "plan.md"), "The keys")) {
		documented[strings.Trim(row[0], "`")] = true
	}
	same(t, "the key", documented, coded)

	_, example, _ := strings.Cut(section(t, page(t, "plan.md"), "An example"), "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	n := 0
	example = regexp.MustCompile(`<[a-z]+>`).ReplaceAllStringFunc(example, func(name string) string {
		if name == "<uuid>" {
			return "0c0ffee0-0000-4000-8000-000000000001"
		}
		n++
		return "contoso" + strconv.Itoa(n)
	})
	plans, warnings, err := config.NewReader(services.All().Known()).Parse("plan.md", []byte(example))
	if err != nil || len(plans) != 3 || len(warnings) != 1 || !strings.Contains(warnings[0], "Confidential Ledger") {
		t.Errorf("%d plans, %q, %v", len(plans), warnings, err)
	}
}

// TestRequestFields checks that restore.md has each field of a request, and no other, and that its example is a valid request.
func TestRequestFields(t *testing.T) {
	var document struct {
		Defs struct {
			Request struct{ Properties map[string]any }
		} `json:"$defs"`
	}
	if err := json.Unmarshal([]byte(page(t, "restore.schema.json")), &document); err != nil {
		t.Fatal(err)
	}
	coded, documented := map[string]bool{}, map[string]bool{}
	for name := range document.Defs.Request.Properties {
		coded[name] = true
	}
	text := section(t, page(t, "restore.md"), "Ask by a message")
	for _, row := range cells(text) {
		documented[strings.Trim(row[0], "`")] = true
	}
	same(t, "the field", documented, coded)

	_, example, _ := strings.Cut(text, "```json\n")
	example, _, _ = strings.Cut(example, "```")
	example = strings.ReplaceAll(example, "…", "0c0ffee0-0000-4000-8000-000000000001/resourceGroups/g/providers/Microsoft.ApiManagement")
	if _, err := restore.ParseRequest([]byte(example), ""); err != nil || allows(published(t), example) != nil {
		t.Errorf("%v, %v", err, allows(published(t), example))
	}
}

// TestServices checks that services.md lists what each service's backups do not contain, how long Azure restores them, and
// the versions.
func TestServices(t *testing.T) {
	text := page(t, "services.md")
	for _, service := range services.All() {
		for _, lack := range service.NotIncluded {
			if !strings.Contains(text, "\n- "+lack+"\n") {
				t.Errorf("services.md does not say that a backup of %s lacks %q", service.Title, lack)
			}
		}
		within := "without end"
		switch {
		case service.CopyOnly != nil:
			within = "never"
		case service.Restorable > 0:
			within = fmt.Sprintf("for %d days", int(service.Restorable.Hours()/24))
		}
		if !slices.ContainsFunc(cells(section(t, text, "At a glance")), func(row []string) bool {
			return row[0] == service.Title && row[len(row)-1] == within
		}) {
			t.Errorf("services.md does not say that Azure restores %s %s", service.Title, within)
		}
	}
	for version := range set(`version\w+ += "([0-9a-z-]+)"`, page(t, filepath.Join("..", "internal", "services", "ledger", "provider.go"))) {
		if !strings.Contains(text, version) {
			t.Errorf("services.md has no api-version %s", version)
		}
	}
}

// TestStatuses checks that operate.md has each status of a target.
func TestStatuses(t *testing.T) {
	coded, documented := map[string]bool{}, map[string]bool{}
	for _, status := range []health.Protection{health.Protected, health.Copied, health.Pending, health.Late, health.Unprotected} {
		coded[string(status)] = true
	}
	for _, row := range cells(section(t, page(t, "operate.md"), "Health")) {
		documented[strings.Trim(row[0], "`")] = true
	}
	same(t, "the status", documented, coded)
}
