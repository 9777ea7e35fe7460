// Package retention decides which recovery points are kept, and which look wrong by their size. It reads and writes nothing.
//
// [Rules.Evaluate] is the specification: it judges all points of a target at once, and gives every reason. [Row] is the same in small:
// it holds the points that a count keeps, takes each new point, and says which points fall out.
package retention
