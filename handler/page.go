package handler

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
)

// list answers with the part of a target's list that a caller wants, newest first: ?target=resource ID, &top=1 to 100 (20),
// &after=ID of the last one seen. read also returns the ID behind which the next part begins, "" at the end.
func list[T, V any](
	h *handler, w http.ResponseWriter, r *http.Request,
	read func(ctx context.Context, target, after string, top int) (found []T, next string, err error), view func(T) V,
) error {
	query := r.URL.Query()
	target, top := backup.ResourceID(query.Get("target")), 20
	if _, err := backup.ParseResource(target); err != nil {
		return refuse(http.StatusBadRequest, "InvalidTarget", "target", "%v", err)
	}
	if text := query.Get("top"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 100 {
			return refuse(http.StatusBadRequest, "InvalidTop", "top", "%q is not a number from 1 to 100", text)
		}
		top = n
	}
	found, next, err := read(r.Context(), target, query.Get("after"), top)
	if err != nil {
		return err
	}
	part := api.Page[V]{Value: []V{}}
	for _, one := range found {
		part.Value = append(part.Value, view(one))
	}
	if next != "" {
		part.NextLink = h.origin(r) + r.URL.Path + "?" + url.Values{
			"target": {target}, "top": {strconv.Itoa(top)}, "after": {next},
		}.Encode()
	} else {
		pruned, err := backup.ReadHistory(r.Context(), h.Engine.Catalog, target)
		if err != nil {
			return err
		}
		if pruned.Runs > 0 {
			part.Pruned = &api.Pruned{Runs: pruned.Runs, Last: pruned.Last}
		}
	}
	writeJSON(w, http.StatusOK, part)
	return nil
}
