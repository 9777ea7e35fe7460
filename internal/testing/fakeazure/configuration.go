package fakeazure

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
)

// configuration is the configuration of a service, as far as it is simulated here: its APIs and its named values. A backup
// contains it and a restore replaces it. The keys are collection and, in lower case, name.
type configuration map[string]map[string]entity

// entity is an API or a named value. It is replaced, never changed.
type entity struct {
	Name       string          `json:"name"`
	Properties json.RawMessage `json:"properties"`
	ETag       string          `json:"etag"`
}

func (c configuration) clone() configuration {
	copied := make(configuration)
	for collection, entities := range c {
		copied[collection] = maps.Clone(entities)
	}
	return copied
}

// matches tells whether the entity, which may be missing, has the ETag.
func (e entity) matches(condition string) bool {
	return e.ETag != "" && (condition == "*" || condition == e.ETag)
}

func (e entity) read(p properties) {
	if err := json.Unmarshal(e.Properties, p); err != nil {
		panic(fmt.Sprintf("fakeazure: properties of %s: %v", e.Name, err)) // encodeJSON wrote them
	}
}

// collection is a kind of entities: their name in paths, and the properties that an entity must and may have.
type collection struct {
	segment    string
	properties func() properties
}

type properties interface {
	// wrong returns one detail for each wrong field.
	wrong() fieldErrors
	// shown returns the properties as GET shows them.
	shown() properties
}

var collections = []collection{
	{"apis", func() properties { return &apiProperties{} }},
	{"namedValues", func() properties { return &namedValueProperties{} }},
}

// apiProperties are the properties of an API that the simulator knows.
type apiProperties struct {
	DisplayName          string   `json:"displayName"`
	Description          string   `json:"description,omitempty"`
	Path                 *string  `json:"path"`
	ServiceURL           string   `json:"serviceUrl,omitempty"`
	Protocols            []string `json:"protocols"`
	SubscriptionRequired *bool    `json:"subscriptionRequired,omitempty"`
}

func (p *apiProperties) wrong() (e fieldErrors) {
	if p.DisplayName == "" || len([]rune(p.DisplayName)) > 300 {
		e.add("displayName", "Required: a name of 1 to 300 characters.")
	}
	if p.Path == nil || len([]rune(*p.Path)) > 400 {
		e.add("path", "Required: a relative URL of at most 400 characters.")
	}
	if len(p.ServiceURL) > 2000 {
		e.add("serviceUrl", "At most 2000 characters.")
	}
	if len(p.Protocols) == 0 || slices.ContainsFunc(p.Protocols, func(protocol string) bool {
		return !slices.Contains([]string{"http", "https", "ws", "wss"}, protocol)
	}) {
		e.add("protocols", "Required: http, https, ws or wss.")
	}
	return e
}

func (p *apiProperties) shown() properties { return p }

// namedValueProperties are the properties of a named value; a reference to a key vault is not simulated.
type namedValueProperties struct {
	DisplayName string   `json:"displayName"`
	Value       *string  `json:"value,omitempty"`
	Secret      bool     `json:"secret"`
	Tags        []string `json:"tags,omitempty"`
}

var namedValueName = regexp.MustCompile(`^[A-Za-z0-9-._]{1,256}$`)

func (p *namedValueProperties) wrong() (e fieldErrors) {
	if !namedValueName.MatchString(p.DisplayName) {
		e.add("displayName", "Required: 1 to 256 letters, digits, dashes, periods and underscores.")
	}
	if p.Value == nil || *p.Value == "" || len([]rune(*p.Value)) > 4096 {
		e.add("value", "Required: 1 to 4096 characters.")
	}
	if len(p.Tags) > 32 {
		e.add("tags", "At most 32.")
	}
	return e
}

// shown leaves out the value of a secret. Only listValue returns it.
func (p *namedValueProperties) shown() properties {
	hidden := *p
	if p.Secret {
		hidden.Value = nil
	}
	return &hidden
}
