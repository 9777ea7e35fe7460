package ledger_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"lifeboat/internal/backup"
)

// TestThePreflightOfAPersonLooksAtTheNewestShare: it counts what that share uses of its quota, and reads every page of the list. A run
// asks for no share.
func TestThePreflightOfAPersonLooksAtTheNewestShare(t *testing.T) {
	const first = `{"value":[{"name":"contoso-20261101023001","properties":{"shareQuota":10,"lastModifiedTime":"2026-11-01T02:30:01Z"}},` +
		`{"name":"contoso-2-20261109023001","properties":{"shareQuota":10,"lastModifiedTime":"2026-11-09T02:30:01Z"}}],` +
		`"nextLink":"https://management.azure.com` + account + `/fileServices/default/shares?api-version=2024-01-01&$skipToken=more"}`
	const second = `{"value":[{"name":"contoso-20261103023001","properties":{"shareQuota":10,"lastModifiedTime":"2026-11-03T02:30:01Z"}}]}`
	uses := func(bytes int64) reply {
		return answers(200, fmt.Sprintf(`{"name":"%s","properties":{"shareQuota":10,"shareUsageBytes":%d}}`, share, bytes))
	}
	for name, c := range map[string]struct {
		list, stats  reply
		warns, blind bool
	}{
		"room":               {stats: uses(8<<30 - 1)},
		"nearly full":        {stats: uses(8 << 30), warns: true},
		"full":               {stats: uses(10 << 30), warns: true},
		"no quota is shown":  {stats: answers(200, `{"name":"x","properties":{"shareUsageBytes":9999999999}}`)},
		"no share yet":       {list: answers(200, `{"value":[]}`)},
		"no right to list":   {list: answers(403, `{"error":{"code":"AuthorizationFailed","message":"No."}}`), blind: true},
		"no right to look":   {stats: answers(403, `{"error":{"code":"AuthorizationFailed","message":"No."}}`), blind: true},
		"Azure fails":        {list: answers(500, `{"error":{"code":"InternalServerError","message":"Sorry."}}`), blind: true},
		"it was deleted now": {stats: answers(404, `{"error":{"code":"ShareNotFound","message":"Gone."}}`), blind: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWire()
			w.replies[inspect] = answers(200, `{"kind":"StorageV2","location":"northeurope","properties":{}}`)
			shares := 0
			w.replies[get] = func(r *http.Request) (*http.Response, error) {
				switch _, path, below := strings.Cut(r.URL.Path, "/fileServices/default/shares"); {
				case !below:
					return answers(200, `{"location":"West Europe","properties":{"provisioningState":"Succeeded"}}`)(r)
				case path == "/"+share && r.URL.Query().Get("$expand") == "stats":
					shares++
					return c.stats(r)
				case path != "":
					t.Errorf("asked for %s", r.URL)
				case r.URL.Query().Get("$skipToken") == "more":
					shares++
					return answers(200, second)(r)
				case c.list != nil:
					shares++
					return c.list(r)
				}
				shares++
				return answers(200, first)(r)
			}
			if err := w.provider().Preflight(t.Context(), attempt()); err != nil || shares != 0 {
				t.Fatalf("a run asked for shares %d times, %v", shares, err)
			}
			ctx, notes := backup.Watch(t.Context())
			if err := w.provider().Preflight(ctx, attempt()); err != nil {
				t.Fatal(err)
			}
			warnings := notes.Warnings()
			if (len(warnings) == 1 && warnings[0].Code == "ShareFills" && strings.Contains(warnings[0].Message, "of the 10 GiB that its share "+share)) !=
				c.warns || !c.warns && len(warnings) > 0 {
				t.Errorf("%+v", warnings)
			}
			if unseen := notes.Unseen(); (len(unseen) == 1 && strings.Contains(unseen[0], account+"/fileServices/default/shares") &&
				!strings.Contains(unseen[0], "?")) != c.blind || !c.blind && len(unseen) > 0 {
				t.Errorf("not seen: %q", unseen)
			}
		})
	}
}

// TestPreflightWarnsOfOneRegion: of a ledger as of any other service.
func TestPreflightWarnsOfOneRegion(t *testing.T) {
	for region, want := range map[string]int{"westeurope": 1, "northeurope": 0} {
		w := newWire()
		w.replies[inspect] = answers(200, `{"kind":"StorageV2","location":"`+region+`","properties":{}}`)
		w.replies[get] = func(r *http.Request) (*http.Response, error) {
			if strings.Contains(r.URL.Path, "/fileServices/") {
				return answers(200, `{"value":[]}`)(r)
			}
			return answers(200, `{"location":"West Europe","properties":{"provisioningState":"Succeeded"}}`)(r)
		}
		ctx, notes := backup.Watch(t.Context())
		must(t, w.provider().Preflight(ctx, attempt()))
		if n := notes.Warnings(); len(n) != want || want == 1 && n[0].Code != "SameRegion" {
			t.Errorf("%s: %+v", region, n)
		}
	}
}
