// Package azure holds the code that the adapters share to talk to Azure: clients that send no request twice, the reading of
// Azure's responses and their meaning for a run, and the container of the artifacts.
package azure
