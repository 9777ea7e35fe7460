package docs_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"lifeboat/internal/request"
)

// TestBackupSchema compares the schema of requests for backups with the program: on each message here, and on its own examples.
// api.md has each of its fields, and no other.
func TestBackupSchema(t *testing.T) {
	const target = "/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/g/providers/Microsoft.ApiManagement/service/contoso"
	schema := compiled(t, "backup.schema.json")
	var document struct {
		Examples []json.RawMessage
		Defs     struct {
			Request struct{ Properties map[string]any }
		} `json:"$defs"`
	}
	if err := json.Unmarshal([]byte(page(t, "backup.schema.json")), &document); err != nil || len(document.Examples) < 3 {
		t.Fatalf("%d examples, %v", len(document.Examples), err)
	}
	messages := map[string]bool{ // and whether they are valid
		`{"id":"i","target":"` + target + `"}`:                                                        true,
		`{"id":"i","target":"` + target + `/","plan":"p","requestedBy":"","reason":"x","replyTo":""}`: true,
		`{"id":"i","plan":"p"}`:                          true,
		`{"id":"i","eventType":"t","data":{"plan":"p"}}`: true,
		`{"id":"i","plan":""}`:                           false,
		`{"id":"i"}`:                                     false,
		`{"plan":"p"}`:                                   false,
		`{"id":"","plan":"p"}`:                           false,
		`{"id":7,"plan":"p"}`:                            false,
		`{"id":"i","plan":"` + strings.Repeat("p", 64) + `"}`:                false,
		`{"id":"i","target":"","plan":"p"}`:                                  false,
		`{"id":"i","target":null,"plan":"p"}`:                                false,
		`{"id":"i","target":"contoso"}`:                                      false,
		`{"id":"i","plan":"p","Plan":"q"}`:                                   false,
		`{"id":"i","plan":"p","replyTo":"a--b"}`:                             false,
		`{"id":"i","plan":"p","reason":"` + strings.Repeat("x", 1001) + `"}`: false,
		`{"specversion":"0.3","id":"e","source":"s","data":{"plan":"p"}}`:    false,
		`[{"id":"i","plan":"p"}]`:                                            false,
	}
	for _, example := range document.Examples {
		messages[string(example)] = true
	}
	for message, valid := range messages {
		_, err := request.ParseBackup([]byte(message), "")
		if invalid := allows(schema, message); (err == nil) != valid || (invalid == nil) != valid {
			t.Errorf("%s: the program says %v, the schema %v", message, err, invalid)
		}
	}
	coded, documented := map[string]bool{}, map[string]bool{}
	for name := range document.Defs.Request.Properties {
		coded[name] = true
	}
	text := section(t, page(t, "api.md"), "Backups by a message")
	for _, row := range cells(text) {
		documented[strings.Trim(row[0], "`")] = true
	}
	same(t, "the field", documented, coded)
	_, example, _ := strings.Cut(text, "```json\n")
	example, _, _ = strings.Cut(example, "```")
	example = strings.ReplaceAll(example, "…", "0c0ffee0-0000-4000-8000-000000000001/resourceGroups/g/providers/Microsoft.ApiManagement")
	if _, err := request.ParseBackup([]byte(example), ""); err != nil || allows(schema, example) != nil {
		t.Errorf("%v, %v", err, allows(schema, example))
	}
}

// az answers as azure-cli does: it keeps a message that is put, and gives the answers out of the file, one at a time.
const az = `#!/bin/bash
while [ $# -gt 0 ]; do
	case $1 in
	put | get | delete) verb=$1 ;;
	--content) content=$2 ;;
	--queue-name) queue=$2 ;;
	esac
	shift
done
case $verb in
put) printf '%s' "$content" > "$queue" ;;
delete) echo "$queue" >> deleted ;;
get)
	if [ "$(wc -l < answers)" = 0 ]; then
		echo '[]'
	else
		head -n 1 answers | jq -c '[{id: "1", popReceipt: "r", content: .}]'
		sed -i 1d answers
	fi
	;;
esac
`

// TestWorkflow runs the steps of the example workflow in bash, with azure-cli replaced: the request is valid, and the deployment
// goes on only if the backup of this very request has succeeded.
func TestWorkflow(t *testing.T) {
	for _, tool := range []string{"bash", "jq"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("the workflow needs %s: %v", tool, err)
		}
	}
	var workflow struct {
		Env  map[string]string
		Jobs map[string]struct {
			Steps []struct{ Name, Run string }
		}
	}
	if err := yaml.Unmarshal([]byte(page(t, "examples/backup-then-deploy.yml")), &workflow); err != nil {
		t.Fatal(err)
	}
	scripts := map[string]string{}
	for _, step := range workflow.Jobs["deploy"].Steps {
		scripts[step.Name] = step.Run
	}
	run := func(t *testing.T, dir, script string) error {
		command := exec.CommandContext(t.Context(), "bash", "-e", "-o", "pipefail", "-c", script)
		command.Dir = dir
		command.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "PAUSE=0", "REQUEST=deploy-1-1"}
		for name, value := range workflow.Env {
			if name != "REQUEST" {
				command.Env = append(command.Env, name+"="+value)
			}
		}
		out, err := command.CombinedOutput()
		t.Logf("%s", out)
		return err
	}
	state := "live"
	said := func(kind, request string) string {
		text, err := json.Marshal(`{"type":"lifeboat.` + kind + `","data":{"request":"` + request + `","recoveryPointState":"` + state + `"}}`)
		if err != nil {
			t.Fatal(err)
		}
		return string(text) + "\n"
	}
	live := said("run.succeeded", "deploy-1-1")
	state = "suspect"
	suspect := said("run.succeeded", "deploy-1-1")
	for _, c := range []struct {
		name, answers string
		goes          bool
		deleted       int
	}{
		{"it is suspect", said("backup.accepted", "deploy-1-1") + suspect, false, 2},
		{"it succeeds", said("backup.accepted", "deploy-1-1") + live, true, 2},
		{"another one has succeeded", said("run.succeeded", "deploy-0-1") + said("run.failed", "deploy-1-1"), false, 2},
		{"it is refused", said("backup.refused", "deploy-1-1") + said("run.succeeded", "deploy-1-1"), false, 1},
		{"no answer", "", false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range map[string]string{"az": az, "answers": c.answers, "deleted": ""} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			if err := run(t, dir, scripts["Ask for a backup"]); err != nil {
				t.Fatal(err)
			}
			message, err := os.ReadFile(filepath.Join(dir, "backup-requests"))
			if err != nil {
				t.Fatal(err)
			}
			if q, err := request.ParseBackup(message, ""); err != nil || q.ID != "deploy-1-1" || q.ReplyTo != workflow.Env["ANSWERS"] {
				t.Errorf("%s: %+v, %v", message, q, err)
			}
			wait := strings.Replace(scripts["Wait for its end"], "tries < 1000", "tries < 9", 1)
			if err := run(t, dir, wait); (err == nil) != c.goes {
				t.Errorf("the deployment goes on: %v", err)
			}
			deleted, err := os.ReadFile(filepath.Join(dir, "deleted"))
			if n := strings.Count(string(deleted), workflow.Env["ANSWERS"]); err != nil || n != c.deleted {
				t.Errorf("%d answers were deleted, %v", n, err)
			}
		})
	}
}
