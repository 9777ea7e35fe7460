package fakeazure

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// entityCall is a request for one entity of a service's configuration, or for all of a collection.
type entityCall struct {
	*apiManagement
	armCall
	collection
	service *service
	// name is "" in a request for all.
	name string
}

// entityRoute returns a service's route for a method and a path below it.
func (m *apiManagement) entityRoute(method string, tail []string) (armRoute, bool) {
	i := slices.IndexFunc(collections, func(k collection) bool {
		return len(tail) > 0 && strings.EqualFold(k.segment, tail[0])
	})
	if i < 0 {
		return armRoute{}, false
	}
	kind := collections[i]
	serve := func(permission string, work func(entityCall) *http.Response) (armRoute, bool) {
		return armRoute{"Microsoft.ApiManagement/service/" + kind.segment + permission, func(c armCall) (*http.Response, error) {
			svc, refusal := m.find(c.id)
			if refusal != nil {
				return refusal, nil
			}
			return work(entityCall{m, c, kind, svc, strings.Join(tail[1:min(2, len(tail))], "")}), nil
		}}, true
	}
	switch {
	case method == http.MethodGet && len(tail) == 1:
		return serve("/read", entityCall.list)
	case method == http.MethodGet && len(tail) == 2:
		return serve("/read", entityCall.get)
	case method == http.MethodPut && len(tail) == 2:
		return serve("/write", entityCall.put)
	case method == http.MethodDelete && len(tail) == 2:
		return serve("/delete", entityCall.remove)
	case method == http.MethodPost && len(tail) == 3 && kind.segment == "namedValues" &&
		strings.EqualFold(tail[2], "listValue"):
		return serve("/listValue/action", entityCall.listValue)
	}
	return armRoute{}, false
}

// find must be called under the lock.
func (c entityCall) find() (entity, bool) {
	e, ok := c.service.configuration[c.segment][strings.ToLower(c.name)]
	return e, ok
}

func (c entityCall) list() *http.Response {
	c.mu.Lock()
	defer c.mu.Unlock()
	value := []any{}
	entities := c.service.configuration[c.segment]
	for _, name := range slices.Sorted(maps.Keys(entities)) {
		value = append(value, c.resource(entities[name]))
	}
	return armJSON(http.StatusOK, map[string]any{"value": value, "count": len(value)})
}

func (c entityCall) get() *http.Response {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.find()
	if !ok {
		return c.missing()
	}
	return c.answer(http.StatusOK, e)
}

// listValue answers with the value of a secret, too.
func (c entityCall) listValue() *http.Response {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.find()
	if !ok {
		return c.missing()
	}
	var p namedValueProperties
	e.read(&p)
	return armJSON(http.StatusOK, map[string]any{"value": p.Value})
}

// entityName is API Management's rule for the names of its entities, which have at most 256 characters.
var entityName = regexp.MustCompile(`^[^*#&+:<>?]+$`)

// put creates or replaces an entity. Azure may also answer 202 and finish later.
func (c entityCall) put() *http.Response {
	var body struct {
		Properties json.RawMessage `json:"properties"`
	}
	if refusal := readContent(c.request, &body); refusal != nil {
		return refusal
	}
	p := c.properties()
	decoder := json.NewDecoder(bytes.NewReader(body.Properties))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(p); err != nil {
		return invalidContent(err.Error())
	}
	wrong := p.wrong()
	if !entityName.MatchString(c.name) || len([]rune(c.name)) > 256 {
		wrong.add("name", "1 to 256 characters without *#&+:<>?")
	}
	if wrong != nil {
		return wrong.refusal()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if refusal := c.conflict(c.service); refusal != nil {
		return refusal
	}
	old, exists := c.find()
	if condition := c.request.Header.Get("If-Match"); condition != "" && !old.matches(condition) {
		return preconditionFailed()
	}
	c.changes++
	e := entity{Name: c.name, Properties: encodeJSON(p), ETag: strconv.Quote(strconv.Itoa(c.changes))}
	if c.service.configuration[c.segment] == nil {
		c.service.configuration[c.segment] = make(map[string]entity)
	}
	c.service.configuration[c.segment][strings.ToLower(c.name)] = e
	if exists {
		return c.answer(http.StatusOK, e)
	}
	return c.answer(http.StatusCreated, e)
}

// remove deletes an entity. The specification requires If-Match, which may be *. It answers 204 whether or not the entity
// existed: no other status for success is in all versions.
func (c entityCall) remove() *http.Response {
	condition := c.request.Header.Get("If-Match")
	if condition == "" {
		return serviceError(http.StatusBadRequest, "ValidationError", "The If-Match header is required.")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if refusal := c.conflict(c.service); refusal != nil {
		return refusal
	}
	if e, ok := c.find(); ok && !e.matches(condition) {
		return preconditionFailed()
	}
	delete(c.service.configuration[c.segment], strings.ToLower(c.name))
	return newResponse(http.StatusNoContent, http.Header{}, nil)
}

// resource returns the entity as Resource Manager shows it.
func (c entityCall) resource(e entity) map[string]any {
	p := c.properties()
	e.read(p)
	return map[string]any{
		"id": c.service.id.String() + "/" + c.segment + "/" + e.Name, "name": e.Name,
		"type": "Microsoft.ApiManagement/service/" + c.segment, "properties": p.shown(),
	}
}

func (c entityCall) answer(status int, e entity) *http.Response {
	resp := armJSON(status, c.resource(e))
	resp.Header.Set("Etag", e.ETag)
	return resp
}

func (c entityCall) missing() *http.Response {
	return serviceError(http.StatusNotFound, "ResourceNotFound", c.segment+"/"+c.name+" not found.")
}

func preconditionFailed() *http.Response {
	return serviceError(http.StatusPreconditionFailed, "PreconditionFailed", "Resource was modified since last retrieval.")
}
