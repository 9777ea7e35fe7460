// Package conformance holds the conformance suites: tests of everything that a Catalog, Queue or Provider promises. An
// implementation runs its suite, on the real service or the nearest thing to it.
package conformance
