// Package retention decides which recovery points are kept, and which look wrong by their size. It reads and writes nothing.
package retention
