package handler

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
)

// TestStatementsOverHTTP checks which requests with a statement are refused, and the answers to the others.
func TestStatementsOverHTTP(t *testing.T) {
	asks := false
	d := newApp(func(c *Config) {
		parse := c.Plans.Parse
		c.Plans.Parse = func(text []byte) ([]backup.Plan, error) {
			plans, err := parse(text)
			for i := range plans {
				plans[i].Settings.Blocks = `{"safe":{}}`
			}
			return plans, err
		}
		c.Engine.Services = slices.Clone(c.Engine.Services)
		for i := range c.Engine.Services {
			c.Engine.Services[i].Custody = &backup.Custody{
				Title: "key", Asks: func(backup.Blocks) bool { return asks },
				Add: func(record json.RawMessage, statement []byte, _ time.Time) (json.RawMessage, error) {
					if !strings.Contains(string(statement), "signed") {
						return nil, errors.New("nobody signed it")
					}
					return statement, nil
				},
				Judge: func(_ backup.Blocks, record json.RawMessage, _ time.Time) backup.Proof {
					if record == nil {
						return backup.Proof{Status: backup.ProofUnknown, Reason: backup.NewReason("KeyUnknown", "nobody has looked", "Look.")}
					}
					return backup.Proof{Status: backup.Proven, Holders: 2, Quorum: 2, Of: 3}
				},
			}
		}
	})
	body := func(fields string) string { return `{"target":"` + target + `",` + fields + `}` }
	post := func(text string, status int, want string) {
		t.Helper()
		if w := d.call("POST", "/api/security-domains", text); w.Code != status || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s, want %d with %s", text, w.Code, w.Body, status, want)
		}
	}
	post(body(`"statement":{"signed":1}`), 409, "StatementNotAsked")
	asks = true
	if w := d.call("GET", "/api/health", ""); !strings.Contains(w.Body.String(), `"custody":{"status":"unknown","reason":{"code":"KeyUnknown"`) {
		t.Errorf("%s", w.Body)
	}
	post(body(`"statement":{"x":1}`), 400, `InvalidStatement","message":"the statement is not stored: nobody signed it`)
	post(body(`"statement":"signed"`), 400, "it is no JSON object")
	post(body(`"anew":true`), 400, "it is no JSON object")
	post(body(`"statement":{"signed":1},"anew":"yes"`), 400, "anew")
	post(body(`"statement":{"signed":1},"more":1`), 400, "more")
	post(`{"target":"contoso","statement":{"signed":1}}`, 400, "target")
	post(`{"target":"`+target+`-none","statement":{"signed":1}}`, 400, "UnknownTarget")
	for range 2 {
		post(body(`"statement":{"signed":1}`), 200, `"custody":{"status":"proven","holders":2,"quorum":2,"of":3}`)
	}
	if w := d.call("GET", "/api/health", ""); !strings.Contains(w.Body.String(), `"custody":{"status":"proven"`) {
		t.Errorf("%s", w.Body)
	}
	if w := d.call("GET", "/api/metrics", ""); !strings.Contains(w.Body.String(), `lifeboat_plan_custody{plan="nightly",status="proven"} 1`) ||
		!strings.Contains(w.Body.String(), `lifeboat_plan_custody{plan="nightly",status="late"} 0`) {
		t.Errorf("%s", w.Body)
	}
	rows, _, err := d.catalog.List(t.Context(), backup.SchedulePartition, backup.OutboxPrefix, backup.Behind(backup.OutboxPrefix), 10)
	if err != nil || len(rows) != 1 || !strings.Contains(string(rows[0].Body), "lifeboat.custody.changed") {
		t.Errorf("%v, %v", rows, err)
	}
}
