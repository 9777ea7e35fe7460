package handler

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/memory"
)

// keeping is a service whose storage answers deletions with the fault, once there is one.
type keeping struct {
	backup.Provider
	fault *backup.Fault
}

func (k *keeping) Delete(context.Context, backup.Attempt, string, bool) error {
	if k.fault == nil {
		return nil
	}
	return k.fault
}

func (*keeping) Hash(context.Context, backup.Attempt, backup.Hashing) (backup.Verification, error) {
	return backup.Verification{Done: true, SHA256: "another"}, nil
}

// expiredPoint makes an app with a recovery point that is past its time, and a newer one. A cleanup has met the fault, and health
// was asked; then another cleanup has deleted the point. It returns the answers of health and of the points after the first cleanup.
func expiredPoint(t *testing.T, f *backup.Fault) (d *app, health, points string) {
	t.Helper()
	service := &keeping{fault: f}
	now := time.Now()
	d = newApp(func(c *Config) {
		c.Engine.Providers = map[string]backup.Provider{"microsoft.apimanagement/service": service}
		c.Engine.Now = func() time.Time { return now }
	})
	d.catalog.Catalog = memory.NewCatalog(func() time.Time { return now })
	for i := range 2 {
		created := now.Add(time.Duration(i-3) * time.Hour)
		p := backup.Point{
			ID: backup.NewRunID(target, created, "test"), State: backup.Live, Target: target, Plan: "nightly", Created: created,
			Storage: backup.Storage{Account: account, Container: "c"}, Artifact: fmt.Sprint("blob-", i), Expires: created.Add(time.Minute), SHA256: "beef",
		}
		due := backup.Write{Op: backup.Put, Key: backup.DueKey(p.Expires, p.ID), Body: backup.Encode(map[string]any{
			"Point": p.ID, "Target": target, "Created": created,
		})}
		for _, writes := range [][]backup.Write{p.Insert(nil), {due}} {
			if _, err := d.catalog.Apply(t.Context(), writes...); err != nil {
				t.Fatal(err)
			}
		}
	}
	timer := envelope(t, "timer.json")
	d.call("POST", "/cleanup", timer)
	health, points = d.call("GET", "/api/health", "").Body.String(), d.call("GET", "/api/recovery-points?target="+target, "").Body.String()
	service.fault, now = nil, now.Add(8*24*time.Hour)
	d.call("POST", "/cleanup", timer)
	return d, health, points
}

// TestHealthNamesWhatCouldNotBeDeleted checks that health, the metrics and the points tell of a recovery point that is past its time
// and still there.
func TestHealthNamesWhatCouldNotBeDeleted(t *testing.T) {
	for state, f := range map[string]*backup.Fault{
		"live":    {Kind: backup.Kept, Code: "LeaseIdMissing", Message: "words", Hint: "do"},
		"altered": {Kind: backup.Touched, Code: "ConditionNotMet", Message: "words", Hint: "do"},
	} {
		d, health, points := expiredPoint(t, f)
		code := map[string]string{"live": "LeaseIdMissing", "altered": "ArtifactChanged"}[state]
		for _, want := range []string{`"undeleted":[{"target":"` + target + `","recoveryPoints":1,"recoveryPoint":"`, `"reason":{"code":"` + code + `"`} {
			if !strings.Contains(health, want) {
				t.Errorf("%s: health lacks %s: %s", state, want, health)
			}
		}
		if !strings.Contains(points, `"state":"`+state+`"`) || !strings.Contains(points, `"keptByStorage":{`) {
			t.Errorf("%s: %s", state, points)
		}
		if after := d.call("GET", "/api/health", "").Body.String(); strings.Contains(after, "undeleted") {
			t.Errorf("%s: after its deletion health says %s", state, after)
		}
	}
}
