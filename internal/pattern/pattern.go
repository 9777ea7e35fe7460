// Package pattern compiles regular expressions at their first use: a start of the program needs none of most of them, and would pay for
// all with time and memory.
package pattern

import (
	"regexp"
	"sync"
)

// Pattern is a regular expression, with the methods of [regexp.Regexp] that the program uses.
type Pattern struct{ compiled func() *regexp.Regexp }

// New returns the pattern. A mistake in the expression is a panic at its first use.
func New(expression string) Pattern {
	return Pattern{sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })}
}

// Match is [regexp.Regexp.Match].
func (p Pattern) Match(b []byte) bool { return p.compiled().Match(b) }

// MatchString is [regexp.Regexp.MatchString].
func (p Pattern) MatchString(s string) bool { return p.compiled().MatchString(s) }

// FindStringSubmatch is [regexp.Regexp.FindStringSubmatch].
func (p Pattern) FindStringSubmatch(s string) []string { return p.compiled().FindStringSubmatch(s) }

// FindAllString is [regexp.Regexp.FindAllString].
func (p Pattern) FindAllString(s string, n int) []string { return p.compiled().FindAllString(s, n) }

// FindAllStringIndex is [regexp.Regexp.FindAllStringIndex].
func (p Pattern) FindAllStringIndex(s string, n int) [][]int {
	return p.compiled().FindAllStringIndex(s, n)
}

// FindAllStringSubmatch is [regexp.Regexp.FindAllStringSubmatch].
func (p Pattern) FindAllStringSubmatch(s string, n int) [][]string {
	return p.compiled().FindAllStringSubmatch(s, n)
}

// ReplaceAllString is [regexp.Regexp.ReplaceAllString].
func (p Pattern) ReplaceAllString(s, by string) string { return p.compiled().ReplaceAllString(s, by) }
