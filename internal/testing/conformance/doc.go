// Package conformance holds the conformance suites: what every Catalog, Queue and Provider promises, told as tests. An
// implementation runs its suite, on the real service or the nearest thing to it.
package conformance
