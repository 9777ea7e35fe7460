// Package domainwriter writes security domains as a Managed HSM does when it is activated: the file, and the attestation of a key. It
// knows no other package of Lifeboat.
package domainwriter
