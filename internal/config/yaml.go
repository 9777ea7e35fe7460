package config

import (
	"cmp"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"

	"lifeboat/internal/backup"
	"lifeboat/internal/pattern"
)

// reader walks a YAML document and collects its mistakes, each with file and line.
type reader struct {
	*Reader
	// file is the name of the file that is read, and files has the names of the files of nodes if there are several.
	file  string
	files map[*yaml.Node]string
	errs  []*lineError
	// warnings are about valid settings that are probably mistakes.
	warnings []*lineError
	// shortened says that LIFEBOAT_WAIT_FACTOR makes the waits shorter, as in tests and demos.
	shortened bool
	// bad are the nodes with a reported mistake.
	bad map[*yaml.Node]bool
	// picks has the selected services, as of the last look.
	picks []backup.Pick
}

// fail reports the mistake of a node, unless another mistake of it was reported before.
func (r *reader) fail(n *yaml.Node, format string, args ...any) {
	if !r.bad[n] {
		r.report(n, format, args...)
	}
	r.bad[n] = true
}

func (r *reader) report(n *yaml.Node, format string, args ...any) {
	r.errs = append(r.errs, r.at(n, format, args...))
}

// warn reports a probable mistake.
func (r *reader) warn(n *yaml.Node, format string, args ...any) {
	r.warnings = append(r.warnings, r.at(n, "warning: "+format, args...))
}

func (r *reader) at(n *yaml.Node, format string, args ...any) *lineError {
	reason := secret.ReplaceAllString(fmt.Sprintf(format, args...), "$1(not shown)")
	return &lineError{file: cmp.Or(r.files[n], r.file), line: n.Line, reason: reason}
}

// remember notes the file of the nodes.
func (r *reader) remember(n *yaml.Node) {
	if r.files[n] != "" { // an alias
		return
	}
	r.files[n] = r.file
	for _, one := range n.Content {
		r.remember(one)
	}
}

// place says where the other node of a mistake stands.
func (r *reader) place(other, n *yaml.Node) string {
	if r.files[other] != r.files[n] {
		return fmt.Sprintf("%s:%d", r.files[other], other.Line)
	}
	return fmt.Sprintf("line %d", other.Line)
}

// byLine sorts the reports by their files and lines.
func byLine(a, b *lineError) int { return cmp.Or(strings.Compare(a.file, b.file), a.line-b.line) }

// secret matches secrets that may stand in plan.yaml by mistake, a connection string or a signed URL. They must not get into
// errors: these are logged and sent on. A key of Azure Storage is base64 and ends in ==.
var secret = pattern.New(`(?i)((?:key|sig|signature|secret|password)=)[^;&"\s]+|[a-z0-9+/]{40,}==`)

// lineError is one mistake in a file.
type lineError struct {
	file   string
	line   int
	reason string
}

func (e *lineError) Error() string { return fmt.Sprintf("%s:%d: %s", e.file, e.line, e.reason) }

// mostNodes limits the nodes of a plan with its aliases written out: a few lines can stand for billions.
const mostNodes = 1_000_000

// resolve replaces aliases by their nodes.
func resolve(root *yaml.Node) error {
	const inside = -1
	sizes := map[*yaml.Node]int{} // nodes below and with this one
	var walk func(n *yaml.Node) error
	walk = func(n *yaml.Node) error {
		sizes[n] = inside
		size := 1
		for i, child := range n.Content {
			if child.Kind == yaml.AliasNode {
				child = child.Alias
				if sizes[child] == inside {
					return fmt.Errorf("%d: the alias *%s refers to a node that contains it", n.Content[i].Line, n.Content[i].Value)
				}
				n.Content[i] = child
			}
			if sizes[child] == 0 {
				if err := walk(child); err != nil {
					return err
				}
			}
			if size += sizes[child]; size > mostNodes {
				return fmt.Errorf("%d: with its aliases written out the plan is too long: it has more than %d values; use fewer aliases", child.Line, mostNodes)
			}
		}
		sizes[n] = size
		return nil
	}
	return walk(root)
}

// field returns the value of a mapping's field, nil if it has none.
func field(n *yaml.Node, name string) *yaml.Node {
	for key, value := range pairs(n) {
		if key.Value == name {
			return value
		}
	}
	return nil
}

// text returns the value of a mapping's field, which the schema has checked to be a text, with its node; "" without one.
func (r *reader) text(n *yaml.Node, name string) (string, *yaml.Node) {
	value := field(n, name)
	if value == nil || value.Kind != yaml.ScalarNode || r.bad[value] {
		return "", value
	}
	return value.Value, value
}

// id returns a resource ID of a list.
func id(item *yaml.Node) string { return backup.ResourceID(item.Value) }

// list returns the items of a mapping's field, which the schema has checked to be a list.
func list(n *yaml.Node, name string) []*yaml.Node {
	if value := field(n, name); value != nil && value.Kind == yaml.SequenceNode {
		return value.Content
	}
	return nil
}
