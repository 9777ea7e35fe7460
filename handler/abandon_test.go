package handler

import (
	"strings"
	"testing"

	"lifeboat/internal/backup"
)

// TestAbandonOverHTTP: a restore that waits ends at once, by its own ID or its request's. A repeat gets the same answer. An ended
// run gets a 409 with a code of its own, and so does a running restore.
func TestAbandonOverHTTP(t *testing.T) {
	d, service, _ := restoreHandler(t, false)
	service.can = func() error {
		return &backup.Fault{Kind: backup.Retryable, Code: "ServiceUpdating", Message: "it is updating"}
	}
	waiting := read(t, d.call("POST", "/api/restores", orderText)).ID
	d.step(t)
	for _, id := range []string{waiting, "i"} { // the request's ID stands for the run's
		w := d.call("POST", "/api/runs/"+id+"/abandon", "")
		if now := read(t, w); w.Code != 200 || now.State != "canceled" || !strings.Contains(w.Body.String(), `"Abandoned"`) ||
			!strings.Contains(w.Body.String(), "invocation-1") {
			t.Errorf("abandoned %s: %d %s", id, w.Code, w.Body)
		}
	}
	service.can = nil
	service.begin = func() (backup.Operation, error) { return backup.Operation{Token: "t"}, nil }
	service.poll = func() (backup.Operation, error) { return backup.Operation{Token: "t"}, nil }
	begun := read(t, d.call("POST", "/api/restores", strings.Replace(orderText, `"i"`, `"j"`, 1))).ID
	d.step(t)
	w := d.call("POST", "/api/runs/"+begun+"/abandon", "")
	if now := read(t, w); w.Code != 409 || now.Error.Code != "RestoreBegun" || !strings.Contains(w.Body.String(), "Azure says that it runs") {
		t.Errorf("a restore that runs: %d %s", w.Code, w.Body)
	}
	service.begin = nil // it answers that the restore is done
	done := read(t, d.call("POST", "/api/restores", strings.Replace(orderText, `"i"`, `"k","into":"`+standby+`"`, 1))).ID
	d.step(t)
	if w := d.call("POST", "/api/runs/"+done+"/abandon", ""); w.Code != 409 || read(t, w).Error.Code != "RunEnded" {
		t.Errorf("a restore that has ended: %d %s", w.Code, w.Body)
	}
	if w := d.call("POST", "/api/runs/nothing/abandon", ""); w.Code != 404 || read(t, w).Error.Code != "RunNotFound" {
		t.Errorf("no run: %d %s", w.Code, w.Body)
	}
}
