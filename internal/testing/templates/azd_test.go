package templates_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"
)

// stubs stands for the schemas that azd's own refers to elsewhere: they are of hosts that Lifeboat does not have.
type stubs struct{ asked *int }

func (s stubs) Load(url string) (any, error) {
	if !strings.HasPrefix(url, "https://raw.githubusercontent.com/Azure/azure-dev/") || !strings.Contains(url, "/cli/azd/extensions/") {
		return nil, fmt.Errorf("the schema refers to %s", url)
	}
	*s.asked++
	return true, nil
}

// TestAzureYAML checks azure.yaml against the schema of azd itself, and that the schema would refuse what is wrong.
func TestAzureYAML(t *testing.T) {
	kept, err := jsonschema.UnmarshalJSON(strings.NewReader(read(t, root+"/infra/testdata/azd/azure.yaml.schema.json")))
	if err != nil {
		t.Fatal(err)
	}
	const id = "https://raw.githubusercontent.com/Azure/azure-dev/main/schemas/v1.0/azure.yaml.json"
	asked := 0
	c := jsonschema.NewCompiler()
	c.UseLoader(stubs{&asked})
	if err := c.AddResource(id, kept); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile(id)
	if err != nil || asked != 7 {
		t.Fatal(asked, "schemas of elsewhere:", err)
	}
	text := read(t, root+"/azure.yaml")
	if err := validYAML(schema, text); err != nil {
		t.Error(err)
	}
	for name, change := range map[string][2]string{
		"name":             {"name: lifeboat\n", "name: Lifeboat!\n"},
		"host":             {"    host: function\n", ""},
		"docker":           {"    host: function\n", "    host: function\n    docker: {path: Dockerfile}\n"},
		"steps":            {"      - azd: provision\n", "      - azd: 1\n"},
		"preprovisions":    {"  preprovision:\n", "  preprovisions:\n"},
		"shell":            {"      shell: sh\n", "      shell: bash\n"},
		"run":              {"      run: infra/hooks/predown.sh\n", ""},
		"requiredVersions": {`  azd: ">= 1.24.1"`, "  azd: 1"},
		"workflows":        {"workflows:\n  up:", "workflows:\n  down:"},
	} {
		wrong := strings.Replace(text, change[0], change[1], 1)
		if wrong == text {
			t.Fatal(name, "is no change")
		}
		if validYAML(schema, wrong) == nil {
			t.Errorf("%s: the schema takes it", name)
		}
	}
}

func validYAML(schema *jsonschema.Schema, text string) error {
	var value any
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		return err
	}
	return schema.Validate(value)
}

// TestAzureYAMLFiles checks that the files which azure.yaml names are there, and that it names each hook.
func TestAzureYAMLFiles(t *testing.T) {
	var project struct {
		Infra    struct{ Path, Module string }
		Services map[string]struct{ Project, Host, Language string }
		Hooks    map[string]map[string]struct {
			Shell, Run  string
			Interactive bool
		}
		Workflows map[string]struct{ Steps []map[string]string }
	}
	if err := yaml.Unmarshal([]byte(read(t, root+"/azure.yaml")), &project); err != nil {
		t.Fatal(err)
	}
	read(t, filepath.Join(root, project.Infra.Path, project.Infra.Module+".bicep"))
	read(t, filepath.Join(root, project.Infra.Path, project.Infra.Module+".parameters.json"))
	if len(project.Services) != 1 || project.Services["app"].Language != "" || !strings.Contains(read(t, root+"/infra/modules/site.bicep"), "'azd-service-name': 'app'") {
		t.Errorf("azd finds the app by its tag, and packs what has a language: %v", project.Services)
	}
	if up := project.Workflows["up"].Steps; len(up) != 1 || up[0]["azd"] != "provision" {
		t.Errorf("azd up does %v", up)
	}
	named := map[string]bool{}
	for hook, systems := range project.Hooks {
		for system, h := range systems {
			if want := map[string]string{"posix": "sh", "windows": "pwsh"}[system]; h.Shell != want || !h.Interactive {
				t.Errorf("%s on %s: %+v", hook, system, h)
			}
			info, err := os.Stat(filepath.Join(root, h.Run))
			if err != nil || h.Shell == "sh" && info.Mode()&0o111 == 0 {
				t.Errorf("%s on %s: %v", hook, system, err)
			}
			named[filepath.Base(h.Run)] = true
		}
	}
	paths, err := filepath.Glob(root + "/infra/hooks/*")
	if err != nil || len(paths) != len(named) {
		t.Errorf("%v, of which azure.yaml names %v: %v", paths, slices.Sorted(maps.Keys(named)), err)
	}
	command := regexp.MustCompile(`^(az|lifeboat|if|foreach|exit|Write-Host|\}|\$|#)`)
	for _, path := range paths {
		if filepath.Ext(path) != ".ps1" {
			continue
		}
		lines := strings.Split(strings.TrimSpace(read(t, path)), "\n")
		if len(lines) > 10 || !strings.HasPrefix(lines[0], "# Never run") {
			t.Errorf("%s has %d lines, and begins with %q", path, len(lines), lines[0])
		}
		for _, line := range lines {
			if !command.MatchString(strings.TrimSpace(line)) {
				t.Errorf("%s does more than call az: %s", path, line)
			}
		}
	}
}

// TestParameters compares main.parameters.json with the parameters of main.bicep and of app.bicep, in both directions.
func TestParameters(t *testing.T) {
	var file struct {
		Parameters map[string]struct{ Value string }
	}
	if err := json.Unmarshal([]byte(read(t, root+"/infra/main.parameters.json")), &file); err != nil {
		t.Fatal(err)
	}
	declared := regexp.MustCompile(`(?m)^param (\w+) (\S+)(?: = (.*))?$`)
	defaults := func(path string) map[string][2]string {
		found := map[string][2]string{}
		for _, m := range declared.FindAllStringSubmatch(read(t, path), -1) {
			found[m[1]] = [2]string{m[2], m[3]}
		}
		return found
	}
	main, app := defaults(root+"/infra/main.bicep"), defaults(root+"/infra/app.bicep")
	value := regexp.MustCompile(`^\$\{([A-Z_]+)(?:=(.+))?\}$`)
	outputs := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^output (\w+)`).FindAllStringSubmatch(read(t, root+"/infra/main.bicep"), -1) {
		outputs[m[1]] = true
	}
	for name, of := range main {
		if strings.Contains(of[1], "environment()") { // Azure knows it better than a person
			if _, ok := file.Parameters[name]; ok {
				t.Errorf("main.parameters.json has %s, whose default depends on where it is deployed", name)
			}
			continue
		}
		m := value.FindStringSubmatch(file.Parameters[name].Value)
		if m == nil {
			t.Errorf("main.parameters.json: %s is %q", name, file.Parameters[name].Value)
			continue
		}
		// azd writes the outputs into the environment: a parameter of the same name would be what the last deployment said.
		if outputs[m[1]] && m[1] != "AZURE_LOCATION" {
			t.Errorf("%s is of %s, which is an output too", name, m[1])
		}
		// azd gives the empty text for a value that is not set, even where the template has a default.
		unset := strings.Trim(of[1], "'")
		if of[0] == "string" && unset == "" || of[1] == "" {
			unset = ""
		}
		if m[2] != unset {
			t.Errorf("%s is %q without %s, and the default of main.bicep is %q", name, m[2], m[1], unset)
		}
	}
	for name := range file.Parameters {
		if main[name] == [2]string{} {
			t.Errorf("main.bicep has no parameter %s", name)
		}
	}
	for name := range app {
		if main[name] == [2]string{} {
			t.Errorf("app.bicep has the parameter %s, and main.bicep has not", name)
		}
	}
	for name, of := range main {
		if name != "resourceGroupName" && app[name] == [2]string{} {
			t.Errorf("main.bicep has the parameter %s, and app.bicep has not", name)
		}
		same := of[1] == app[name][1] || of[1] == "''" || of[1] == "" // "" stands for the default, or asks the person
		if name != "resourceGroupName" && !same {
			t.Errorf("the default of %s is %s for azd, and %s otherwise", name, of[1], app[name][1])
		}
	}
	// The hooks read the environment as well.
	known := map[string]bool{"AZURE_SUBSCRIPTION_ID": true, "AZURE_ENV_NAME": true, "AZURE_LOCATION": true, "LIFEBOAT_HOOK_PAUSE": true, "LIFEBOAT_KEY": true}
	for _, p := range file.Parameters {
		if m := value.FindStringSubmatch(p.Value); m != nil {
			known[m[1]] = true
		}
	}
	paths, err := filepath.Glob(root + "/infra/hooks/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(paths, root+"/azure.yaml") {
		for _, name := range regexp.MustCompile(`\b(?:LIFEBOAT|AZURE)_[A-Z_]+\b`).FindAllString(read(t, path), -1) {
			if !known[name] && !outputs[name] {
				t.Errorf("%s reads %s, which nothing sets", path, name)
			}
		}
	}
}

// TestPortal checks that the form of the portal gives parameters of the template, from elements of its own, and each that has no default.
func TestPortal(t *testing.T) {
	var form struct {
		Parameters struct {
			Basics []element
			Steps  []struct {
				Name     string
				Elements []element
			}
			Outputs map[string]string
		}
	}
	if err := json.Unmarshal([]byte(read(t, root+"/createUiDefinition.json")), &form); err != nil {
		t.Fatal(err)
	}
	var template struct {
		Parameters map[string]struct {
			DefaultValue, AllowedValues any
			MinValue, MaxValue          *int
		}
	}
	if err := json.Unmarshal([]byte(read(t, root+"/azuredeploy.json")), &template); err != nil {
		t.Fatal(err)
	}
	elements := map[string]element{}
	for _, e := range form.Parameters.Basics {
		elements["basics('"+e.Name+"')"] = e
	}
	for _, step := range form.Parameters.Steps {
		for _, e := range step.Elements {
			elements["steps('"+step.Name+"')."+e.Name] = e
		}
	}
	used := map[string]bool{}
	from := regexp.MustCompile(`basics\('\w+'\)|steps\('\w+'\)\.\w+`)
	for name, value := range form.Parameters.Outputs {
		p, ok := template.Parameters[name]
		if !ok {
			t.Errorf("the template has no parameter %s", name)
		}
		for _, source := range from.FindAllString(value, -1) {
			e, ok := elements[source]
			if !ok {
				t.Errorf("%s comes from %s, which the form has not got", name, source)
			}
			used[source] = true
			allowed, _ := p.AllowedValues.([]any)
			for _, v := range e.Constraints.AllowedValues {
				if len(allowed) > 0 && !slices.Contains(allowed, v.Value) && strings.HasSuffix(source, name) {
					t.Errorf("%s cannot be %v", name, v.Value)
				}
			}
			if e.Type == "Microsoft.Common.Slider" && (p.MinValue == nil || e.Min < *p.MinValue || e.Max > *p.MaxValue) {
				t.Errorf("%s is %d to %d in the form", name, e.Min, e.Max)
			}
		}
	}
	for source := range elements {
		if !used[source] {
			t.Errorf("the form asks for %s, and does nothing with it", source)
		}
	}
	for name, p := range template.Parameters {
		if _, ok := form.Parameters.Outputs[name]; !ok && p.DefaultValue == nil {
			t.Errorf("the form does not give %s", name)
		}
	}
}

// element is a field of the portal's form.
type element struct {
	Name, Type  string
	Min, Max    int
	Constraints struct {
		AllowedValues []struct{ Value any }
	}
}
