package fakehost

import (
	"fmt"
	"regexp"
	"strings"
)

// settings are the app settings. Their names are found without regard to case, as in .NET's configuration.
type settings map[string]string

func (s settings) get(name string) (string, bool) {
	if value, ok := s[name]; ok {
		return value, true
	}
	for key, value := range s {
		if strings.EqualFold(key, name) {
			return value, true
		}
	}
	return "", false
}

// enabled tells whether a setting is true or 1.
func (s settings) enabled(name string) bool {
	value, _ := s.get(name)
	return value == "1" || strings.EqualFold(value, "true")
}

// resolve replaces each %NAME% by the app setting of that name. A missing setting is an error, with the host's own text
// (azure-webjobs-sdk, NameResolverExtensions).
func (s settings) resolve(text string) (string, error) {
	var resolved strings.Builder
	for rest := text; ; {
		before, after, found := strings.Cut(rest, "%")
		resolved.WriteString(before)
		if !found {
			return resolved.String(), nil
		}
		name, after, closed := strings.Cut(after, "%")
		if !closed {
			return "", fmt.Errorf("%q: the %% at position %d has no closing %%", text, len(text)-len(rest)+len(before))
		}
		value, ok := s.get(name)
		if !ok {
			return "", fmt.Errorf("'%%%s%%' does not resolve to a value", name)
		}
		resolved.WriteString(value)
		rest = after
	}
}

var environmentName = regexp.MustCompile(`%([^%]+)%`)

// expand replaces each %NAME% by the variable of that name; complete tells whether all of them are set. A name without a
// variable stays as it is.
func expand(text string, lookup func(string) (string, bool)) (expanded string, complete bool) {
	complete = true
	expanded = environmentName.ReplaceAllStringFunc(text, func(match string) string {
		if value, ok := lookup(match[1 : len(match)-1]); ok {
			return value
		}
		complete = false
		return match
	})
	return expanded, complete
}

// service returns the URL of the queue or blob service behind a connection. It accepts only identity-based connections: a
// connection string would bring an account key (azure-webjobs-sdk, Host.Storage; functions-storage-queue-connections).
func (s settings) service(connection, kind string) (string, error) {
	for _, prefix := range []string{connection, "AzureWebJobs" + connection} {
		if _, ok := s.get(prefix); ok {
			return "", fmt.Errorf("the connection %s is a connection string: this host takes only identities, by %s__accountName "+
				"or %s__%sServiceUri", prefix, prefix, prefix, kind)
		}
		for _, suffix := range []string{"__" + kind + "ServiceUri", "__serviceUri"} {
			if uri, ok := s.get(prefix + suffix); ok {
				return strings.TrimSuffix(uri, "/"), nil
			}
		}
		if account, ok := s.get(prefix + "__accountName"); ok {
			return "https://" + account + "." + kind + ".core.windows.net", nil
		}
	}
	return "", fmt.Errorf("there is no app setting %s__accountName or %s__%sServiceUri", connection, connection, kind)
}

// hasStorage tells whether AzureWebJobsStorage is configured in any form: no trigger but HTTP works without it.
func (s settings) hasStorage() bool {
	for name := range s {
		if name, _, _ = strings.Cut(name, "__"); strings.EqualFold(name, "AzureWebJobsStorage") {
			return true
		}
	}
	return false
}
