// Package health says how well each target is protected, by its plan, its runs and its recovery points, and whether the timers
// still run. It reads and writes nothing.
package health
