package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/cli/client"
	"lifeboat/internal/cli/text"
	"lifeboat/internal/retention"
)

const (
	// mostPreviewed is the greatest number of targets of an edit about which the app is asked.
	mostPreviewed = 20
	// mostNamed is the greatest number of recovery points that a line names.
	mostNamed = 20
)

// falls returns a line for each target of which more than half of the recovery points expire by an edit of its plan's keep. It asks
// the app at LIFEBOAT_URL; without that it returns none.
func (sh Shell) falls(ctx context.Context, old, edited []backup.Plan) (lines []string) {
	if strings.TrimSpace(sh.Getenv("LIFEBOAT_URL")) == "" || strings.TrimSpace(sh.Getenv("LIFEBOAT_KEY")) == "" {
		return nil
	}
	x, err := client.New(sh.Getenv, false, io.Discard)
	if err != nil {
		return nil
	}
	r, asked := remote{Shell: sh, Client: x}, 0
	for _, plan := range edited {
		i := slices.IndexFunc(old, func(p backup.Plan) bool { return p.Name == plan.Name })
		if i < 0 || keepsAlike(old[i].Settings, plan.Settings) {
			continue
		}
		for _, target := range plan.Targets {
			if asked++; asked > mostPreviewed {
				return append(lines, fmt.Sprintf("? of more than %d targets the app was not asked which recovery points expire", mostPreviewed))
			}
			line, err := r.fall(ctx, plan, target)
			if err != nil {
				return append(lines, "? the recovery points that expire by the edit are not known: "+text.Plain(strings.TrimSpace(err.Error())))
			}
			lines = append(lines, line...)
		}
	}
	return lines
}

// keepsAlike says whether plans keep the same points of their schedules.
func keepsAlike(a, b backup.Settings) bool {
	least := func(s backup.Settings) int { return max(s.KeepMinimum, retention.DefaultMinimum) }
	return a.KeepCounts == b.KeepCounts && a.KeepWithin == b.KeepWithin && least(a) == least(b)
}

// fall asks about one target, and returns a line if more than half of its points expire by the edit.
func (r remote) fall(ctx context.Context, plan backup.Plan, target string) ([]string, error) {
	before, err := r.asRetained(ctx, url.Values{"target": {target}})
	if err != nil {
		return nil, err
	}
	keep, _ := json.Marshal(api.KeepOf(plan)) // numbers and names
	after, err := r.asRetained(ctx, url.Values{"target": {target}, "keep": {string(keep)}})
	if err != nil {
		return nil, err
	}
	goes, there := map[string]bool{}, 0
	for _, p := range before.Value {
		goes[p.ID] = !p.Stays || p.Waits
		if p.State != backup.SoftDeleted {
			there++
		}
	}
	var out []string
	for _, p := range after.Value {
		if gone, known := goes[p.ID]; known && !gone && (!p.Stays || p.Waits) {
			out = append(out, text.Plain(p.ID))
		}
	}
	if 2*len(out) <= there {
		return nil, nil
	}
	named := strings.Join(out[:min(len(out), mostNamed)], ", ")
	if more := len(out) - mostNamed; more > 0 {
		named += fmt.Sprintf(" and %d more", more)
	}
	return []string{fmt.Sprintf("! plan %s: %d of the %d recovery points of %s expire by the edit, some each day: %s", plan.Name, len(out), there,
		text.Plain(target[strings.LastIndex(target, "/")+1:]), named)}, nil
}

func (r remote) asRetained(ctx context.Context, query url.Values) (api.Retention, error) {
	a, err := r.Do(ctx, client.Call{Method: http.MethodGet, Path: "/api/retention?" + query.Encode(), Once: true})
	if err != nil {
		return api.Retention{}, err
	}
	v, err := readRetention(a.Body)
	return v.Retention, err
}
