// Package restore reads requests for restores, and says what a restore would do and whether it may. It reads and writes nothing
// in Azure.
package restore
