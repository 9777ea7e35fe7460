package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
)

// serve has every target backed up once, prints the available commands, and keeps the scene running.
func serve(ctx context.Context, s *scene) error {
	for _, t := range targets {
		if _, err := s.call(ctx, "POST", "/api/backups", []byte(`{"target": "`+t.id()+`"}`), &run{}); err != nil {
			return err
		}
	}
	shell := s.dir + "/owner.sh"
	if err := os.WriteFile(shell, []byte(s.shell()), 0o600); err != nil {
		return err
	}
	s.say("running until Ctrl-C: %d targets, a scheduled time every minute, kept %s", len(targets), s.rhythm.within)
	fmt.Printf(`
  plan     %[1]s (an edit counts from the next timer run on)
  log      %[2]s
  health   curl -H 'x-functions-key: %[3]s' %[4]s/api/health

  In another shell, in this folder, be the owner of the services:

    . %[5]s

  Look, and back up:

    go run . health
    go run . points $APIM
    go run . backup $HSM --wait
    curl -H "x-functions-key: $LIFEBOAT_KEY" "$LIFEBOAT_URL/api/runs?target=$CCF"

  Damage something. Azure is behind its own host names, with a token and an api-version as ever:

    BEFORE=$(date -u +%%Y-%%m-%%dT%%H:%%M:%%SZ)
    azure GET    https://management.azure.com$APIM/apis%[6]s
    azure DELETE https://management.azure.com$APIM/apis/payments%[6]s
    azure DELETE %[7]s/keys/%[8]s%[9]s
    azure DELETE %[7]s/deletedkeys/%[8]s%[9]s
    azure DELETE https://management.azure.com$CCF%[10]s

  Bring it back, by a command, by HTTP, or by a message of the queue %[11]s, as other systems do:

    go run . restore $APIM --before $BEFORE --dry-run
    go run . restore $HSM --before $BEFORE --key %[8]s --yes --wait
    curl -H "x-functions-key: $LIFEBOAT_KEY" -H 'Content-Type: application/json' "$LIFEBOAT_URL/api/restores" \
      -d '{"id": "mine-1", "target": "'$CCF'", "recoveryPoint": "latest before '$BEFORE'"}'
    ask '{"id": "mine-2", "target": "'$APIM'", "recoveryPoint": "latest before '$BEFORE'", "replyTo": "%[12]s"}'
    answers

`, s.app.PlanFile, s.log.Name(), s.app.Key("health"), s.app.URL(), shell, apimVersion, hsm.host(), key, hsmVersion, ccfVersion,
		requestsQueue, answersQueue)
	select {
	case <-ctx.Done():
		return nil
	case <-s.app.Done():
		return errors.New("the Functions host shut itself down: see " + s.log.Name())
	}
}

// shell returns settings that make a shell act as the owner of the services: addresses that lead clients to the fakes of
// Azure, the settings of lifeboat's commands, and three functions on curl.
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
	} {
		fmt.Fprintf(&b, "export %s='%s'\n", v[0], v[1])
	}
	return b.String() + shellFunctions
}

// shellFunctions need only curl and features of every shell. The api-version of the queue service is a header.
const shellFunctions = `
# azure METHOD URL [BODY]: a call with a token for the service that the URL is of.
azure() {
  type=json
  case $2 in
    *.managedhsm.azure.net/*) audience=https://managedhsm.azure.net ;;
    *.core.windows.net/*) audience=https://storage.azure.com type=xml ;;
    *) audience=https://management.azure.com ;;
  esac
  token=$(curl -s -H "X-IDENTITY-HEADER: $IDENTITY_HEADER" "$IDENTITY_ENDPOINT?api-version=2019-08-01&resource=$audience" |
    sed 's/.*"access_token":"\([^"]*\)".*/\1/')
  curl -sS --cacert "$SSL_CERT_FILE" -X "$1" "$2" -H "Authorization: Bearer $token" -H "Content-Type: application/$type" \
    -H 'If-Match: *' -H 'x-ms-version: 2021-12-02' ${3:+-d "$3"} -w '\n%{http_code}\n'
}

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
`
