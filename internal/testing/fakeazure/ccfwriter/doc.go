// Package ccfwriter writes ledgers and snapshots as CCF services of each version do, with every hash and signature right. The keys and
// all else come from a seed, so that a seed gives the same bytes each time. It knows no other package of Lifeboat.
package ccfwriter
