package cli

import (
	"context"
	"io"
	"net/http"
	"slices"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/cli/client"
	"lifeboat/internal/cli/names"
)

// targets are the targets of an app's active plans.
type targets []api.Target

func (r remote) targets(ctx context.Context) (targets, error) {
	a, err := r.Do(ctx, client.Call{Method: http.MethodGet, Path: "/api/targets"})
	if err != nil {
		return nil, err
	}
	p, err := read(a.Body, "is no list of targets", func(p api.Page[api.Target]) bool { return p.Value != nil })
	return p.Value, err
}

// quiet returns the same app, whose calls say nothing when they are repeated.
func (sh Shell) quiet() (remote, error) {
	x, err := client.New(sh.Getenv, false, io.Discard)
	return remote{Shell: sh, Client: x, format: asTable, clock: sh.clock(false)}, err
}

// ids returns the resource IDs of the targets.
func (all targets) ids() []string {
	return each(all, func(t api.Target) string { return t.Target })
}

// into returns the services that this target may be restored into; of all targets if it is "".
func (all targets) into(target string) []string {
	var found []string
	for _, t := range all {
		if target == "" || backup.Same(t.Target, target) {
			found = append(found, t.Into...)
		}
	}
	return found
}

// plans returns the names of the plans.
func (all targets) plans() []string {
	found := each(all, func(t api.Target) string { return t.Plan })
	slices.Sort(found)
	return slices.Compact(found)
}

// target returns the resource ID of the target that the person names; it may also be a service that only restores go into. A
// resource ID is taken as it is: the app checks it.
func (r remote) target(ctx context.Context, name string) (string, error) {
	if name == "" || names.IsID(name) {
		return name, nil
	}
	all, err := r.targets(ctx)
	if err != nil {
		return "", err
	}
	return names.Choose(name, all.ids(), all.into(""))
}

// destination returns the resource ID of the service that the person wants to restore this target into.
func (r remote) destination(ctx context.Context, target, name string) (string, error) {
	if name == "" || names.IsID(name) {
		return name, nil
	}
	all, err := r.targets(ctx)
	if err != nil {
		return "", err
	}
	return names.Choose(name, all.into(target), slices.Concat(all.ids(), all.into("")))
}

// labels returns the shortest names of these targets among all targets of the app, so that a person can type them. If the app
// does not tell them at once, they are the shortest among themselves.
func (r remote) labels(ctx context.Context, ids []string) []string {
	ctx, cancel := r.hurried(ctx)
	defer cancel()
	all := targets{}
	if quiet, err := r.quiet(); err == nil {
		all, _ = quiet.targets(ctx)
	}
	return each(ids, names.New(slices.Concat(ids, all.ids())...).Label)
}
