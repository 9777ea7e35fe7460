// Package azure is what the providers share of talking to Azure: clients that send nothing twice, what Azure's answers
// say, in Azure's own words, what they mean for a run, and the container that artifacts go into.
package azure
