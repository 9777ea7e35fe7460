// Package securitydomain reads the security domain of a Managed HSM: the one file without which no backup of that HSM is of any use. It
// says which private keys open their shares of it, whether they are a quorum, and names damage. It opens no file and makes no request.
// A part of the file holds the keys of the HSM, so that no result has more of one than the names in it.
package securitydomain
