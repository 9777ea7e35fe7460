// Package domainwriter writes security domains as a Managed HSM does when it is activated: the file, and the attestation of a key. It
// makes a restore blob of a file as a client does, and opens one as a new HSM does. It knows no other package of Lifeboat.
package domainwriter
