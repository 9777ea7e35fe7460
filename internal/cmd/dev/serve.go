package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// serve has every target backed up once, prints the available commands, and keeps the scene running. Until the context ends it
// prints the events.
func serve(ctx context.Context, s *scene) error {
	if !s.resumed {
		for _, t := range targets {
			if _, err := s.call(ctx, "POST", "/api/backups", []byte(`{"target": "`+t.id()+`"}`), &run{}); err != nil {
				return err
			}
		}
	}
	shell := filepath.Join(s.dir, "owner.sh")
	if err := os.WriteFile(shell, []byte(s.shell()), 0o600); err != nil {
		return err
	}
	s.say("running until Ctrl-C: %d targets, a scheduled time every minute, kept %s", len(targets), s.rhythm.within)
	fmt.Printf(`
  plan     %s (an edit counts from the next timer run on)
  log      %s, at most %d MiB, and as many in the older one, .1
  events   below, and in %s, likewise

  In another shell, bash, zsh or dash, be the owner of the services:

    . '%s'
`, s.app.PlanFile, s.log.path, logLimit>>20, s.eventsFile(), shell)
	for _, g := range s.guide() {
		fmt.Printf("\n  %s:\n\n", g.title)
		for _, command := range g.commands {
			fmt.Println("    " + strings.ReplaceAll(command, "\n", "\n    "))
		}
	}
	fmt.Println()
	return s.hearAll(ctx)
}

func (s *scene) eventsFile() string { return filepath.Join(s.dir, "events.jsonl") }

// lookPause is the time between two looks at the queue of events, and between two saves of Azure's side: a death of this process
// loses that much of it.
const lookPause = time.Second

// hearAll takes the events from their queue, prints them and writes them to a file, until the context ends.
func (s *scene) hearAll(ctx context.Context) (err error) {
	events, err := openLog(s.eventsFile())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, events.Close()) }()
	look, failed := time.NewTicker(lookPause), ""
	defer look.Stop()
	for {
		select {
		case <-look.C:
		case <-ctx.Done():
			return nil
		case <-s.app.Done():
			return errors.New("the Functions host shut itself down: see " + s.log.path)
		}
		heard, err := s.receive(ctx, eventsQueue)
		for _, e := range heard {
			events.say(e.text)
			fmt.Printf("%s  %-14s %s\n", time.Now().Format("15:04:05"), named(e.Subject).name, e.line())
		}
		if s.keep != "" {
			err = errors.Join(err, s.Sim.Save())
		}
		if err != nil && ctx.Err() == nil && err.Error() != failed { // it may pass; say it once
			failed = err.Error()
			s.say("%s", failed)
		}
	}
}

// line returns the event in words.
func (e event) line() string {
	text := strings.TrimPrefix(e.Type, "lifeboat.")
	if strings.HasPrefix(text, "restore.") {
		text += "  " + e.Data.Request
	}
	for _, word := range []string{e.Data.Reason.Code, e.Data.Reason.Message} {
		if word != "" {
			text += "  " + word
		}
	}
	return text
}

// chapter is a part of the guide. A command may have several lines; each works in bash, zsh and dash: a URL stands in quotes, since
// zsh looks for files behind a question mark.
type chapter struct {
	title    string
	commands []string
}

// guide returns the commands for the owner of the services.
func (s *scene) guide() []chapter {
	azure := func(method, url string) string { return "azure " + method + ` "` + url + `"` }
	const arm = "https://management.azure.com"
	return []chapter{
		{"Look, and back up", []string{
			"lifeboat health",
			"lifeboat points $APIM",
			"lifeboat backup $HSM --wait",
			`curl -sS -H "x-functions-key: $LIFEBOAT_KEY" "$LIFEBOAT_URL/api/runs?target=$CCF"`,
		}},
		{"What Lifeboat tells other systems", []string{
			"events",
			"deadletters",
			"metrics",
		}},
		{"Damage something; Azure is behind its own host names, with a token and an api-version as ever", []string{
			"BEFORE=$(date -u +%Y-%m-%dT%H:%M:%SZ)",
			azure("GET", arm+"$APIM/apis"+apimVersion),
			azure("DELETE", arm+"$APIM/apis/payments"+apimVersion),
			azure("DELETE", hsm.host()+"/keys/"+key+hsmVersion),
			azure("DELETE", hsm.host()+"/deletedkeys/"+key+hsmVersion),
			azure("DELETE", arm+"$CCF"+ccfVersion),
		}},
		{"Bring it back, by a command, by HTTP, or by a message of the queue " + requestsQueue + ", as other systems do", []string{
			"lifeboat restore $APIM --before $BEFORE --dry-run",
			"lifeboat restore $HSM --before $BEFORE --key " + key + " --yes --wait",
			`curl -sS -H "x-functions-key: $LIFEBOAT_KEY" -H 'Content-Type: application/json' "$LIFEBOAT_URL/api/restores" \` + "\n" +
				`  -d '{"id": "http-'$(date +%s)'", "target": "'$CCF'", "recoveryPoint": "latest before '$BEFORE'"}'`,
			`ask '{"id": "queue-'$(date +%s)'", "target": "'$APIM'", "recoveryPoint": "latest before '$BEFORE'", "replyTo": "` + answersQueue + `"}'`,
			"answers",
		}},
	}
}

// shell returns settings that make a shell act as the owner of the services: addresses that lead clients to the fakes of
// Azure, the settings of lifeboat's commands, the program itself, and functions on curl.
func (s *scene) shell() string {
	var b strings.Builder
	for _, v := range s.Sim.EnvFor(owner) {
		name, value, _ := strings.Cut(v, "=")
		fmt.Fprintf(&b, "export %s='%s'\n", name, value)
	}
	for _, v := range [][2]string{
		{"LIFEBOAT_URL", s.app.URL()},
		{"LIFEBOAT_KEY", s.app.Key("api")},
		{"LIFEBOAT_HEALTH_KEY", s.app.Key("health")},
		{"APIM", apim.id()},
		{"STANDBY", standby.id()},
		{"HSM", hsm.id()},
		{"CCF", ccf.id()},
		{"LEDGER", ledger.id()},
		{"QUEUES", "https://" + appAccount + ".queue.core.windows.net"},
		{"TABLES", "https://" + appAccount + ".table.core.windows.net"},
	} {
		fmt.Fprintf(&b, "export %s='%s'\n", v[0], v[1])
	}
	fmt.Fprintf(&b, "export PATH='%s':\"$PATH\"\n", s.dir)
	return b.String() + strings.NewReplacer("EVENTS", s.eventsFile(), "METRICS_KEY", s.app.Key("metrics")).Replace(shellFunctions)
}

// shellFunctions need only curl and the features that bash, zsh and dash have alike. The api-version of the storage services is a
// header.
const shellFunctions = `
# azure METHOD URL [BODY]: a call with a token for the service that the URL is of.
azure() (
  method=$1 url=$2 type=json
  case $url in
    *.managedhsm.azure.net/*) audience=https://managedhsm.azure.net ;;
    *.table.core.windows.net/*) audience=https://storage.azure.com ;;
    *.core.windows.net/*) audience=https://storage.azure.com type=xml ;;
    *) audience=https://management.azure.com ;;
  esac
  token=$(curl -sS -H "X-IDENTITY-HEADER: $IDENTITY_HEADER" "$IDENTITY_ENDPOINT?api-version=2019-08-01&resource=$audience" |
    sed 's/.*"access_token":"\([^"]*\)".*/\1/')
  shift 2
  for body; do set -- -d "$body"; done
  curl -sS --cacert "$SSL_CERT_FILE" -X "$method" "$url" -H "Authorization: Bearer $token" -H "Content-Type: application/$type" \
    -H "Accept: application/$type" -H 'If-Match: *' -H 'x-ms-version: 2021-12-02' "$@" -w '\n%{http_code}\n'
)

# ask JSON: a message for the queue of requests, in base64 as most clients write it.
ask() {
  azure POST "$QUEUES/restore-requests/messages" \
    "<QueueMessage><MessageText>$(printf %s "$1" | base64 | tr -d '\n')</MessageText></QueueMessage>"
}

# answers: what came to the queue of answers, a line each; it stays there.
answers() {
  azure GET "$QUEUES/answers/messages?peekonly=true&numofmessages=32" |
    grep -o '<MessageText>[^<]*' | sed 's/<MessageText>//; s/&quot;/"/g'
}

# events [N]: the last 20, or N, events of lifeboat-events, a line each.
events() { tail -n "${1:-20}" 'EVENTS'; }

# deadletters: the rows of the messages that could not be read, or failed too often.
deadletters() {
  azure GET "$TABLES/lifeboat()?%24filter=PartitionKey%20eq%20%27deadletter%27"
}

# metrics: what a scraper gets.
metrics() { curl -sS -H 'x-functions-key: METRICS_KEY' "$LIFEBOAT_URL/api/metrics"; }
`
