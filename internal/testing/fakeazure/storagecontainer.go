package fakeazure

import (
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// emulated returns a client of the container by a token of Resource Manager itself, which connects to the emulator directly: it reaches an
// account whatever its firewall, keys and roles allow.
func (s *storage) emulated(a StorageAccount, name string) (*container.Client, error) {
	self := credential{directory: s.directory, name: "Azure Resource Manager"}
	return container.NewClient("https://"+a.Name+".blob.core.windows.net/"+name, self, &container.ClientOptions{
		ClientOptions: azcore.ClientOptions{Transport: &http.Client{Transport: s.own}, Retry: policy.RetryOptions{MaxRetries: -1}},
	})
}

// getContainer answers with a container of the account. An account without an emulator has all.
func (s *storage) getContainer(c armCall, name string) (*http.Response, error) {
	shown := s.serve(c, func(a StorageAccount) map[string]any { return a.container(name) })
	account, _ := s.account(c.id.name)
	if shown.StatusCode != http.StatusOK || account.BlobAddr == "" {
		return shown, nil
	}
	client, err := s.emulated(account, name)
	if err == nil {
		_, err = client.GetProperties(c.request.Context(), nil)
	}
	if bloberror.HasCode(err, bloberror.ContainerNotFound) {
		return armError(http.StatusNotFound, "ContainerNotFound", "The specified container does not exist."), nil
	}
	return shown, err
}

// putContainer makes a container: 201, and 200 if it is there already. The simulator knows none of the properties that a body may have.
func (s *storage) putContainer(c armCall, name string) (*http.Response, error) {
	shown := s.serve(c, func(a StorageAccount) map[string]any { return a.container(name) })
	account, _ := s.account(c.id.name)
	if shown.StatusCode != http.StatusOK || account.BlobAddr == "" {
		return shown, nil
	}
	var body struct{ Properties struct{} }
	if err := readJSON(c.request, &body); err != nil {
		return armError(http.StatusBadRequest, "InvalidRequestContent", err.Error()), nil
	}
	client, err := s.emulated(account, name)
	if err == nil {
		_, err = client.Create(c.request.Context(), nil)
	}
	switch {
	case bloberror.HasCode(err, bloberror.ContainerAlreadyExists):
		return shown, nil
	case bloberror.HasCode(err, bloberror.InvalidResourceName):
		return armError(http.StatusBadRequest, "InvalidResourceName", "The specified resource name contains invalid characters."), nil
	case err != nil:
		return nil, err
	}
	return armJSON(http.StatusCreated, account.container(name)), nil
}
