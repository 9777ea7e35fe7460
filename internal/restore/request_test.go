package restore_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"lifeboat/internal/backup"
	"lifeboat/internal/request"
	"lifeboat/internal/restore"
)

const (
	target = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rg/providers/Microsoft.ApiManagement/service/contoso"
	vault  = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rg/providers/Microsoft.KeyVault/managedHSMs/contoso"
)

// requestText is the message that asks for the restore.
func requestText(q restore.Request) []byte {
	fields := map[string]any{"id": q.ID, "target": q.Target, "kind": q.Kind, "dryRun": q.DryRun, "preempt": q.Preempt, "noSafetyBackup": q.NoSafety, "recoveryPoint": "latest"}
	for name, text := range map[string]string{
		"into": q.Into, "key": q.Key, "restoreRegion": q.Region, "requestedBy": q.RequestedBy, "reason": q.Reason, "replyTo": q.ReplyTo,
		"recoveryPoint": q.Point,
	} {
		if text != "" {
			fields[name] = text
		}
	}
	if !q.Before.IsZero() {
		fields["recoveryPoint"] = "latest before " + q.Before.Format(time.RFC3339Nano)
	}
	if !q.Expires.IsZero() {
		fields["expires"] = q.Expires
	}
	text, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	return text
}

func TestParseRestoreRequest(t *testing.T) {
	full := restore.Request{
		ID: "incident 4711", Target: vault, Point: "0123456789abcdef-0123456789-0123456789ab", Into: vault + "-2", Kind: backup.RestoreKey,
		Key: "rsa-1", Region: "westeurope", RequestedBy: "é", Reason: "two\nlines", ReplyTo: "answers-1",
		Expires: time.Date(2026, 1, 31, 2, 30, 0, 500, time.UTC), DryRun: true, Preempt: true, NoSafety: true,
	}
	least := restore.Request{ID: "i", Target: target, Kind: backup.RestoreFull}
	before := least
	before.Before = time.Date(2026, 1, 31, 1, 30, 0, 0, time.UTC)
	lent := least
	lent.ID = "of the caller"
	told := least
	told.ID, told.RequestedBy = "e1", "/sentinel"
	minimal := `"recoveryPoint":"latest","target":"` + target + `"`
	encoded := base64.StdEncoding.EncodeToString([]byte("{" + minimal + "}"))
	for _, test := range []struct {
		name, text, id string
		want           restore.Request
	}{
		{"all of it", string(requestText(full)), "another", full},
		{"the least", `{"id":"i",` + minimal + `}`, "", least},
		{"with a slash", `{"id":"i","recoveryPoint":"latest","target":"` + target + `/"}`, "", least},
		{"before, in a zone", `{"id":"i","recoveryPoint":"latest before 2026-01-31T02:30:00+01:00","target":"` + target + `"}`, "", before},
		{"an ID of the caller's", "{" + minimal + "}", "of the caller", lent},
		{"a CloudEvent", `{"specversion":"1.0","id":"e1","source":"/sentinel","type":"t","x":[1],"data":{` + minimal + `}}`, "another", told},
		{"in base64", `{"specversion":"1.0","id":"e1","source":"/sentinel","datacontenttype":"Application/JSON; charset=utf-8",` +
			`"data_base64":"` + encoded + `"}`, "", told},
		{"whose data have an ID", `{"specversion":"1.0","id":"e1","source":"s","data":{"id":"i","requestedBy":"",` + minimal + `}}`, "", least},
	} {
		if got, err := restore.ParseRequest([]byte(test.text), test.id); err != nil || got != test.want {
			t.Errorf("%s: %+v, %v", test.name, got, err)
		}
	}
	for _, test := range []struct{ field, text string }{
		{"", `[]`},
		{"", `{"id":"i",` + minimal},
		{"", `{"id":"i",` + minimal + `}{}`},
		{"", `{"id":"i","id":"i",` + minimal + `}`},
		{"", "{\"id\":\"\xff\"," + minimal + `}`},
		{"", strings.Repeat(" ", request.Longest) + `{"id":"i",` + minimal + `}`},
		{"ID", `{"id":"i","ID":"j",` + minimal + `}`},
		{"id", `{` + minimal + `}`},
		{"id", `{"id":null,` + minimal + `}`},
		{"id", `{"id":7,` + minimal + `}`},
		{"id", `{"id":"\ud800",` + minimal + `}`},
		{"id", `{"id":"` + strings.Repeat("é", 129) + `",` + minimal + `}`},
		{"recoveryPoint", `{"id":"i","target":"` + target + `"}`},
		{"recoveryPoint", `{"id":"i","recoveryPoint":"Latest","target":"` + target + `"}`},
		{"recoveryPoint", `{"id":"i","recoveryPoint":"latest before 0001-01-01T00:00:00Z","target":"` + target + `"}`},
		{"target", `{"id":"i","recoveryPoint":"latest"}`},
		{"target", `{"id":"i","recoveryPoint":"latest","target":"` + target + strings.Repeat("x", 500) + `"}`},
		{"into", `{"id":"i","into":"x",` + minimal + `}`},
		{"into", `{"id":"i","into":"",` + minimal + `}`},
		{"kind", `{"id":"i","kind":"",` + minimal + `}`},
		{"key", `{"id":"i","kind":"selective",` + minimal + `}`},
		{"key", `{"id":"i","key":"k",` + minimal + `}`},
		{"restoreRegion", `{"id":"i","restoreRegion":"West Europe",` + minimal + `}`},
		{"reason", `{"id":"i","reason":"\u001b[31m",` + minimal + `}`},
		{"requestedBy", `{"id":"i","requestedBy":"` + strings.Repeat("x", 1001) + `",` + minimal + `}`},
		{"replyTo", `{"id":"i","replyTo":"a--b",` + minimal + `}`},
		{"expires", `{"id":"i","expires":"tomorrow",` + minimal + `}`},
		{"expires", `{"id":"i","expires":"0001-01-01T00:00:00Z",` + minimal + `}`},
		{"expires", `{"id":"i","expires":"9999-12-31T23:59:59-01:00",` + minimal + `}`},
		{"dryRun", `{"id":"i","dryRun":"false",` + minimal + `}`},
		{"dryRun", `{"id":"i","dryRun":null,` + minimal + `}`},
		{"preempt", `{"id":"i","preempt":1,` + minimal + `}`},
		{"noSafetyBackup", `{"id":"i","reason":"w","noSafetyBackup":"true",` + minimal + `}`},
		{"reason", `{"id":"i","noSafetyBackup":true,` + minimal + `}`},
		{"reason", `{"id":"i","reason":" ","noSafetyBackup":true,` + minimal + `}`},
		{"specversion", `{"specversion":"0.3","id":"e","source":"s","data":{}}`},
		{"specversion", `{"specversion":1,"id":"e","source":"s","data":{}}`},
		{"id", `{"specversion":"1.0","id":7,"source":7,"datacontenttype":7,"data":{}}`},
		{"", `{"specversion":"1.0","id":"e","data":{` + minimal + `}}`},
		{"data", `{"specversion":"1.0","id":"e","source":"s"}`},
		{"data", `{"specversion":"1.0","id":"e","source":"s","data":"{}"}`},
		{"data_base64", `{"specversion":"1.0","id":"e","source":"s","data":{},"data_base64":"e30="}`},
		{"data_base64", `{"specversion":"1.0","id":"e","source":"s","data_base64":"e30"}`},
		{"datacontenttype", `{"specversion":"1.0","id":"e","source":"s","datacontenttype":"application/jsonp","data":{}}`},
	} {
		_, err := restore.ParseRequest([]byte(test.text), "")
		if wrong, ok := errors.AsType[*request.Error](err); !ok || wrong.Field != test.field || wrong.Message == "" {
			t.Errorf("%.150s: %v, want one about %q", test.text, err, test.field)
		}
	}
}

// TestRestoreRequestErrors: an error about a resource ID says what is wrong with it, at any length.
func TestRestoreRequestErrors(t *testing.T) {
	for id, want := range map[string]string{
		target + "/apis/a": `"target": "` + target + `/apis/a" is not a resource ID: it goes on behind the name of the resource: write "` + target + `"`,
		strings.Replace(target, "/subscriptions/0", "/subscriptions/z", 1): `"target": "` + strings.Replace(target, "/subscriptions/0", "/subscriptions/z", 1) +
			`" is not a resource ID: the subscription "z`,
		target + "?":                      `"target": "` + target + `?" is not a resource ID: the name "contoso?" has the character U+003F '?'`,
		target + `\u200b`:                 `"target": "` + target + `\u200b" is not a resource ID: the name "contoso\u200b" has an invisible character, U+200B, at character 120`,
		target + "//":                     `"target": "` + target + `/" is not a resource ID: a slash stands at its end`,
		target + strings.Repeat("x", 600): `"target": "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGro… is not a resource ID: it has more than 512 bytes`,
	} {
		_, err := restore.ParseRequest([]byte(`{"id":"i","recoveryPoint":"latest","target":"`+id+`"}`), "")
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", id, err, want)
		}
	}
}

// FuzzRestoreRequest: any message is read the same way each time, into a request that says the same when it is written again, or
// into an error short enough for an event.
func FuzzRestoreRequest(f *testing.F) {
	f.Fuzz(func(t *testing.T, message []byte) {
		q, err := restore.ParseRequest(message, "")
		if again, why := restore.ParseRequest(message, ""); again != q || !reflect.DeepEqual(err, why) {
			t.Fatalf("%q is %+v, %v and then %+v, %v", message, q, err, again, why)
		}
		if utf8.RuneCountInString(q.ID) > 128 || len(q.ReplyTo) > 63 {
			t.Fatalf("%q: %q goes into answers, to %q", message, q.ID, q.ReplyTo)
		}
		if err != nil {
			wrong, ok := errors.AsType[*request.Error](err)
			if !ok || wrong.Message == "" || len(err.Error()) > 1000 || !utf8.ValidString(err.Error()) {
				t.Fatalf("%q: %T %q", message, err, err)
			}
			return
		}
		for _, id := range []string{q.Target, q.Destination()} {
			if _, err := backup.ParseResource(id); err != nil {
				t.Fatalf("%q: %v", message, err)
			}
		}
		if q.ID == "" || q.Kind == backup.RestoreKey != (q.Key != "") {
			t.Fatalf("%q is %+v", message, q)
		}
		if again, err := restore.ParseRequest(requestText(q), ""); err != nil || again != q {
			t.Fatalf("%q is %+v, but written again %+v, %v", message, q, again, err)
		}
	})
}
