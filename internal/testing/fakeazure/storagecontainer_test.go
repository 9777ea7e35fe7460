package fakeazure_test

import (
	"testing"

	"lifeboat/internal/testing/fakeazure"
)

// TestContainersOfAnAccount: Resource Manager shows the containers that are there, and makes others for an identity with that role.
func TestContainersOfAnAccount(t *testing.T) {
	t.Parallel()
	s := startWithStorage(t)
	s.Assign(s.ObjectID("reader"), accountID, fakeazure.StorageBlobDataReader)
	s.Assign(s.ObjectID("owner"), accountID, fakeazure.Owner)
	at := func(name string) string {
		return "https://management.azure.com" + accountID + "/blobServices/default/containers/" + name + "?api-version=2024-01-01"
	}
	name := unique("managed")
	for _, ask := range []struct {
		method, name, as, body string
		want                   int
	}{
		{"GET", name, "reader", "", 404},
		{"PUT", name, "reader", "{}", 403},
		{"GET", name, "reader", "", 404},
		{"PUT", name, "owner", "{}", 201},
		{"GET", name, "reader", "", 200},
		{"PUT", name, "owner", "{}", 200},
		{"PUT", "A_B", "owner", "{}", 400},
		{"PUT", name, "owner", "", 400},
		{"GET", createContainer(t, s), "reader", "", 200},
	} {
		if r := send(t, s, ask.method, at(ask.name), ask.as, ask.body); r.StatusCode != ask.want {
			t.Errorf("%s %s as %s: got %d %s, want %d", ask.method, ask.name, ask.as, r.StatusCode, r.body, ask.want)
		}
	}
}
