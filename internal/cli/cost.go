package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/cli/client"
	"lifeboat/internal/cli/text"
	"lifeboat/internal/retention"
)

// keeps says how many recovery points of a target a plan keeps in the end; "" if it deletes none.
func keeps(p backup.Plan, services backup.Services) string {
	switch least, most := steady(p, services); most {
	case 0:
		return ""
	case least:
		return fmt.Sprintf(", keeps %d of each target", most)
	default:
		return fmt.Sprintf(", keeps %d to %d of each target", least, most)
	}
}

// steady returns how many recovery points of a target a plan keeps once its rules are full: the least and the most; 0 if it deletes none.
func steady(p backup.Plan, services backup.Services) (least, most int) {
	if !p.Settings.KeepCounts.Any() && p.Settings.KeepWithin == 0 {
		return 0, 0
	}
	rules := retention.Rules{Policy: retention.PolicyOf(p.Settings), Zone: p.Schedule.Zone}
	for _, service := range servicesOf(p, services) {
		if service.Restorable > 0 && (rules.Horizon == 0 || service.Restorable < rules.Horizon) {
			rules.Horizon = service.Restorable
		}
	}
	least, most = rules.Steady(p.Schedule)
	return max(least, 1), max(most, 1) // cleanup never deletes the newest one
}

// servicesOf returns the services of a plan's targets, or the one of the only type that it selects if none is known yet.
func servicesOf(p backup.Plan, services backup.Services) (all []backup.Service) {
	for _, target := range p.Targets {
		service, _ := services.Of(target)
		all = append(all, service)
	}
	if len(all) == 0 && p.Select != nil && len(p.Select.Types) == 1 {
		all = slices.DeleteFunc(slices.Clone(services), func(s backup.Service) bool { return s.Type != p.Select.Types[0] })
	}
	return all
}

// costs asks the app at LIFEBOAT_URL for the newest recovery point of each target, and says for each plan how many bytes it keeps in
// the end, with the soft-deleted ones, if backups stay as large; nothing for a plan without an end, or whose targets have no recovery points. Without LIFEBOAT_URL
// it asks nothing. Unknown says why the sizes are not known.
func (sh Shell) costs(ctx context.Context, plans []backup.Plan) (lines map[string]string, unknown []string) {
	if strings.TrimSpace(sh.Getenv("LIFEBOAT_URL")) == "" {
		return nil, nil
	}
	plans = slices.Clone(plans) // resolve adds targets, and --live looks at no others than the file's
	unknown = sh.resolve(ctx, plans)
	x, err := client.New(sh.Getenv, false, io.Discard)
	if err != nil {
		return nil, append(unknown, "? the sizes of recovery points are not known: "+err.Error())
	}
	r := remote{Shell: sh, Client: x}
	lines = map[string]string{}
	for _, p := range plans {
		least, most := steady(p, sh.Plans.Services)
		if most == 0 {
			continue
		}
		sizes, err := r.newestSizes(ctx, p.Targets)
		if err != nil {
			return lines, append(unknown, "? the sizes of recovery points are not known: "+strings.TrimSpace(err.Error()))
		}
		sum := int64(0)
		for _, size := range sizes {
			sum += size
		}
		if len(sizes) > 0 {
			soft, mostSoft := retention.SteadySoftDeleted(p.Schedule, p.Settings.SoftDelete)
			least, most := least+soft, most+mostSoft
			kept := text.Size(int64(least) * sum)
			if least != most {
				kept += " to " + text.Size(int64(most)*sum)
			}
			known := ""
			if len(sizes) < len(p.Targets) {
				known = fmt.Sprintf(" of %d of %s", len(sizes), text.Count(len(p.Targets), "target"))
			}
			if mostSoft > 0 {
				known += fmt.Sprintf(", with %s of each", text.Count(mostSoft, "soft-deleted point"))
			}
			lines[p.Name] = kept + " in the end, at the newest sizes" + known
		}
	}
	return lines, unknown
}

// newestSizes returns the size of the newest recovery point of each target that has one.
func (r remote) newestSizes(ctx context.Context, targets []string) ([]int64, error) {
	pages, errs := make([]api.Page[point], len(targets)), make([]error, len(targets))
	var group sync.WaitGroup
	free := make(chan struct{}, looksAtOnce)
	for i, target := range targets {
		free <- struct{}{}
		group.Go(func() {
			defer func() { <-free }()
			query := url.Values{"target": {target}, "top": {"1"}}
			a, err := r.Do(ctx, client.Call{Method: http.MethodGet, Path: "/api/recovery-points?" + query.Encode(), Once: true})
			if err == nil {
				pages[i], err = read(a.Body, "is no list of recovery points", func(p api.Page[point]) bool { return p.Value != nil })
			}
			errs[i] = err
		})
	}
	group.Wait()
	var sizes []int64
	for i, page := range pages {
		if errs[i] != nil {
			return nil, errs[i]
		}
		if len(page.Value) > 0 && page.Value[0].Size > 0 {
			sizes = append(sizes, page.Value[0].Size)
		}
	}
	return sizes, nil
}
