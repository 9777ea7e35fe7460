// Package ccf verifies the ledger files and snapshots of a CCF service (versions 1 to 7), as they lie in a copy.
//
// The package reads each file once, from its beginning to its end. It recomputes the Merkle tree of all transactions, and compares its
// root with each signature. The memory depends on the largest transaction, on the number of transactions between two signatures, and
// on the number of keys of the newest snapshot; it does not depend on the size of a file. Nothing here reads a clock: the certificates
// in an old ledger have expired, and prove it all the same.
//
// A Verifier pauses at signatures. Its checkpoint lets a later process go on from there. That process reads again the newest snapshot, for
// the index of its keys, and no file of the ledger but the one in which it paused.
package ccf
