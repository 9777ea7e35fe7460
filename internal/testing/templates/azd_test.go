package templates_test

import (
	"encoding/json"
	"errors"
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

// project is azure.yaml, with each key that ours has.
type project struct {
	Name             string
	Metadata         struct{ Template string }
	RequiredVersions struct{ Azd string } `yaml:"requiredVersions"`
	Infra            struct{ Provider, Path, Module string }
	Services         map[string]struct{ Project, Host string }
	Workflows        struct {
		Up struct{ Steps []struct{ Azd string } }
	}
	Hooks map[string]map[string]struct {
		Shell, Run  string
		Interactive bool
	}
}

// readProject reads azure.yaml, and refuses a key that it does not know: the schema of azd takes most misspelled ones.
func readProject(text string) (p project, err error) {
	decoder := yaml.NewDecoder(strings.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&p); err != nil {
		return p, err
	}
	// azd finds the app by the tag azd-service-name, and packs a service with a language.
	if len(p.Services) != 1 || p.Services["app"].Host != "function" {
		return p, fmt.Errorf("the services are %v", p.Services)
	}
	if steps := p.Workflows.Up.Steps; len(steps) != 1 || steps[0].Azd != "provision" {
		return p, fmt.Errorf("azd up does %v", steps)
	}
	// The first version that leaves existing resource groups alone.
	if p.RequiredVersions.Azd != ">= 1.24.1" {
		return p, fmt.Errorf("azd may have the version %s", p.RequiredVersions.Azd)
	}
	return p, nil
}

// TestAzureYAMLKeys checks what the schema of azd leaves open: each of these changes is valid by it.
func TestAzureYAMLKeys(t *testing.T) {
	text := read(t, root+"/azure.yaml")
	if _, err := readProject(text); err != nil {
		t.Error(err)
	}
	for reason, change := range map[string][2]string{
		"field workflow not found": {"workflows:", "workflow:"},
		"field az not found":       {"- azd: provision", "- az: provision"},
		"field language not found": {"    host: function\n", "    host: function\n    language: go\n"},
		"the services are":         {"host: function", "host: functoin"},
		"azd may have the version": {">= 1.24.1", ">= 1.24.0"},
		"azd up does":              {"- azd: provision\n", "- azd: provision\n      - azd: deploy\n"},
	} {
		wrong := strings.Replace(text, change[0], change[1], 1)
		if _, err := readProject(wrong); wrong == text || err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: %v", reason, err)
		}
	}
}

// TestAzureYAMLFiles checks that the files which azure.yaml names are there, and that it names each hook.
func TestAzureYAMLFiles(t *testing.T) {
	project, err := readProject(read(t, root+"/azure.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	read(t, filepath.Join(root, project.Infra.Path, project.Infra.Module+".bicep"))
	read(t, filepath.Join(root, project.Infra.Path, project.Infra.Module+".parameters.json"))
	if site := of(predicted(t, "azd"), "Microsoft.Web/sites"); len(site) != 1 || site[0].Tags["azd-service-name"] != "app" {
		t.Errorf("azd does not find the app among %v", site)
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

// texts are the files that must go together.
type texts struct{ parameters, main, app, form, template string }

func together(t *testing.T) texts {
	t.Helper()
	return texts{
		read(t, root+"/infra/main.parameters.json"), read(t, root+"/infra/main.bicep"), read(t, root+"/infra/app.bicep"),
		read(t, root+"/createUiDefinition.json"), read(t, root+"/azuredeploy.json"),
	}
}

var (
	declaration = regexp.MustCompile(`(?m)^param (\w+) (\S+)(?: = (.*))?$`)
	output      = regexp.MustCompile(`(?m)^output (\w+)`)
	variable    = regexp.MustCompile(`^\$\{([A-Z_]+)(?:=(.+))?\}$`)
)

// parameter is a parameter of a Bicep file, with its type and its default.
type parameter struct{ kind, value string }

func parametersOf(text string) map[string]parameter {
	found := map[string]parameter{}
	for _, m := range declaration.FindAllStringSubmatch(text, -1) {
		found[m[1]] = parameter{m[2], m[3]}
	}
	return found
}

func outputsOf(text string) map[string]bool {
	found := map[string]bool{}
	for _, m := range output.FindAllStringSubmatch(text, -1) {
		found[m[1]] = true
	}
	return found
}

// compareParameters compares the parameters that azd gives with those of main.bicep and of app.bicep, in both directions.
func compareParameters(x texts) error {
	var file struct {
		Parameters map[string]struct{ Value string }
	}
	if err := json.Unmarshal([]byte(x.parameters), &file); err != nil {
		return err
	}
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	main, app, outputs := parametersOf(x.main), parametersOf(x.app), outputsOf(x.main)
	for name, of := range main {
		given, ok := file.Parameters[name]
		m := variable.FindStringSubmatch(given.Value)
		switch {
		case strings.Contains(of.value, "environment()"): // Azure knows it better than a person
			if ok {
				wrong("main.parameters.json has %s, whose default depends on where it is deployed", name)
			}
		case m == nil:
			wrong("main.parameters.json: %s is %q", name, given.Value)
		// azd gives the empty text for a variable that is not set, even where the template has a default.
		case m[2] != strings.Trim(of.value, "'"):
			wrong("%s is %q without %s, and the default of main.bicep is %s", name, m[2], m[1], of.value)
		// azd writes the outputs into the environment: a parameter of the same name would be the output of the last deployment.
		case outputs[m[1]] && m[1] != "AZURE_LOCATION":
			wrong("%s is of %s, which is an output too", name, m[1])
		}
		there, ok := app[name]
		switch {
		case name == "resourceGroupName":
		case !ok:
			wrong("main.bicep has the parameter %s, and app.bicep has not", name)
		case of.value != there.value && of.value != "''" && of.value != "": // the empty text stands for the default, or is asked for
			wrong("the default of %s is %s for azd, and %s otherwise", name, of.value, there.value)
		}
	}
	for name := range file.Parameters {
		if _, ok := main[name]; !ok {
			wrong("main.bicep has no parameter %s", name)
		}
	}
	for name := range app {
		if _, ok := main[name]; !ok {
			wrong("app.bicep has the parameter %s, and main.bicep has not", name)
		}
	}
	if has := outputsOf(x.app); !maps.Equal(outputs, has) {
		wrong("main.bicep has the outputs %v, and app.bicep has %v", outputs, has)
	}
	return errors.Join(errs...)
}

func TestParameters(t *testing.T) {
	right := together(t)
	if err := compareParameters(right); err != nil {
		t.Error(err)
	}
	for reason, change := range map[string]func(*texts){
		"main.bicep has no parameter concurrence": replace(func(x *texts) *string { return &x.parameters }, `"concurrency"`, `"concurrence"`),
		"main.parameters.json: stopped":           replace(func(x *texts) *string { return &x.parameters }, `${LIFEBOAT_STOPPED}`, `$LIFEBOAT_STOPPED`),
		"the default of main.bicep is 50":         replace(func(x *texts) *string { return &x.parameters }, `LIFEBOAT_CONCURRENCY=50`, `LIFEBOAT_CONCURRENCY=49`),
		"which is an output too":                  replace(func(x *texts) *string { return &x.parameters }, `${LIFEBOAT_PLAN}`, `${LIFEBOAT_PLAN_URL}`),
		"app.bicep has the parameter more":        replace(func(x *texts) *string { return &x.app }, "\nparam stopped ", "\nparam more string = ''\nparam stopped "),
		"app.bicep has not":                       replace(func(x *texts) *string { return &x.app }, "\nparam stopped ", "\nparam stop "),
		"for azd, and 60 otherwise":               replace(func(x *texts) *string { return &x.app }, "param concurrency int = 50", "param concurrency int = 60"),
		"main.bicep has the outputs":              replace(func(x *texts) *string { return &x.app }, "\noutput LIFEBOAT_APP ", "\noutput LIFEBOAT_SITE "),
	} {
		wrong := right
		change(&wrong)
		if err := compareParameters(wrong); wrong == right || err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("it was not seen that %s: %v", reason, err)
		}
	}
}

// replace returns a change of one of the texts.
func replace(which func(*texts) *string, old, changed string) func(*texts) {
	return func(x *texts) { *which(x) = strings.Replace(*which(x), old, changed, 1) }
}

// TestVariables checks that something sets each variable that a hook reads: azd, a person, or an output.
func TestVariables(t *testing.T) {
	x := together(t)
	outputs := outputsOf(x.main)
	known := map[string]bool{"AZURE_SUBSCRIPTION_ID": true, "AZURE_ENV_NAME": true, "AZURE_LOCATION": true, "LIFEBOAT_HOOK_PAUSE": true, "LIFEBOAT_KEY": true}
	for _, m := range regexp.MustCompile(`\$\{([A-Z_]+)`).FindAllStringSubmatch(x.parameters, -1) {
		known[m[1]] = true
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

// compareForm checks that the form of the portal gives parameters of the template, from elements of its own, and each that has no default.
func compareForm(x texts) error {
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
	var template struct {
		Parameters map[string]struct {
			DefaultValue, AllowedValues any
			MinValue, MaxValue          *int
		}
	}
	if err := errors.Join(json.Unmarshal([]byte(x.form), &form), json.Unmarshal([]byte(x.template), &template)); err != nil {
		return err
	}
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
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
			wrong("the template has no parameter %s", name)
		}
		for _, source := range from.FindAllString(value, -1) {
			e, ok := elements[source]
			if !ok {
				wrong("%s comes from %s, which the form has not got", name, source)
			}
			used[source] = true
			allowed, _ := p.AllowedValues.([]any)
			for _, v := range e.Constraints.AllowedValues {
				if len(allowed) > 0 && !slices.Contains(allowed, v.Value) && strings.HasSuffix(source, name) {
					wrong("%s cannot be %v", name, v.Value)
				}
			}
			if e.Type == "Microsoft.Common.Slider" && (p.MinValue == nil || e.Min < *p.MinValue || e.Max > *p.MaxValue) {
				wrong("%s is %d to %d in the form", name, e.Min, e.Max)
			}
		}
	}
	for source := range elements {
		if !used[source] {
			wrong("the form asks for %s, and does nothing with it", source)
		}
	}
	for name, p := range template.Parameters {
		if _, ok := form.Parameters.Outputs[name]; !ok && p.DefaultValue == nil {
			wrong("the form does not give %s", name)
		}
	}
	return errors.Join(errs...)
}

func TestPortal(t *testing.T) {
	right := together(t)
	if err := compareForm(right); err != nil {
		t.Error(err)
	}
	form := func(x *texts) *string { return &x.form }
	for reason, change := range map[string]func(*texts){
		"the template has no parameter concurrence": replace(form, `"concurrency": "[`, `"concurrence": "[`),
		"which the form has not got":                replace(form, `[basics('packageUri')]`, `[basics('package')]`),
		"does nothing with it":                      replace(form, `[steps('app').concurrency]`, `50`),
		"concurrency is 1 to 501 in the form":       replace(form, `"max": 500`, `"max": 501`),
		"storageSku cannot be Premium_LRS":          replace(form, `"Standard_LRS"`, `"Premium_LRS"`),
		"the form does not give more":               replace(func(x *texts) *string { return &x.template }, `"parameters": {`, `"parameters": {"more": {"type": "string"},`),
	} {
		wrong := right
		change(&wrong)
		if err := compareForm(wrong); wrong == right || err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("it was not seen that %s: %v", reason, err)
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
