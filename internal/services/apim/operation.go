package apim

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/apimanagement/armapimanagement/v3"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// operation returns the task as an operation of the service with the names of its resource group and itself.
func operation(t task, client *armapimanagement.ServiceClient, group, name string,
	parameters armapimanagement.ServiceBackupRestoreParameters,
) azure.Operation {
	o := azure.Operation{Starting: starting(t), Polling: polling(t)}
	o.Begin = func(ctx context.Context, token string) (azure.Poller, error) {
		return client.BeginBackup(ctx, group, name, parameters,
			&armapimanagement.ServiceClientBeginBackupOptions{ResumeToken: token})
	}
	if t.work == restoring {
		o.Begin = func(ctx context.Context, token string) (azure.Poller, error) {
			return client.BeginRestore(ctx, group, name, parameters,
				&armapimanagement.ServiceClientBeginRestoreOptions{ResumeToken: token})
		}
	}
	return o
}

// start sends the one request that starts the task. With an access key it reads that first, and forgets it afterwards.
func (p *Provider) start(ctx context.Context, t task) (backup.Operation, error) {
	client, target, err := p.service(t.Attempt)
	if err != nil {
		return backup.Operation{}, err
	}
	parameters, key, err := p.parameters(ctx, t.Attempt)
	if err != nil {
		return backup.Operation{}, err
	}
	answer, err := operation(t, client, target.Group, target.Name, parameters).Start(ctx, key)
	switch {
	case err != nil:
		return backup.Operation{}, err
	case answer.Token != "":
		return backup.Operation{Token: answer.Token, RetryAfter: azure.RetryAfter(answer.Response)}, nil
	}
	o, err := progress(answer.Response, t, "") // it names no address to ask at: the operation has ended, or this is a fault
	return o, key.StripFrom(err)
}

// follow sends one GET to the address in the token, and at the end of a backup asks for the tier if that answer has none.
func (p *Provider) follow(ctx context.Context, t task, token string) (backup.Operation, error) {
	client, target, err := p.service(t.Attempt)
	if err != nil {
		return backup.Operation{}, err
	}
	parameters := armapimanagement.ServiceBackupRestoreParameters{} // the token has all that is needed
	answer, err := operation(t, client, "", "", parameters).Poll(ctx, token)
	switch {
	case err != nil && answer.Response == nil:
		return backup.Operation{}, err
	case err != nil && answer.StatusCode != http.StatusNoContent: // the address of a status answered without a status
		return backup.Operation{}, noStatus(t, answer.Response, backup.AsFault(err))
	}
	// Azure may move the operation to another Location with every answer.
	o, failed := progress(answer.Response, t, cmp.Or(answer.Token, token))
	backed, ok := answer.Poller.(*runtime.Poller[armapimanagement.ServiceClientBackupResponse])
	if ok && o.Done && (err != nil || azure.ReadBody(answer.Response).Status != "") {
		o.SKU, o.ServiceCreated = shown(ctx, client, target, backed)
	}
	return o, failed
}

// shown asks for the tier of the service, and for the time of its creation, at the end of an operation that was followed by its
// status, because the status does not show them. It first asks at the start's Location, as all of Azure's pollers do, and otherwise
// asks the service. It returns "" if neither shows the tier: that is no reason to lose the backup.
func shown(ctx context.Context, client *armapimanagement.ServiceClient, target backup.Resource,
	poller *runtime.Poller[armapimanagement.ServiceClientBackupResponse],
) (tier string, created time.Time) {
	var answer *http.Response
	_, err := poller.Result(policy.WithCaptureResponse(ctx, &answer)) //nolint:bodyclose // azcore has read and closed it
	if err == nil && answer != nil {
		if said := azure.ReadBody(answer); said.SKU != "" {
			return said.SKU, said.Created
		}
	}
	service, err := client.Get(ctx, target.Group, target.Name, nil)
	if err != nil {
		return "", time.Time{}
	}
	if service.Properties != nil {
		created = azure.Deref(service.Properties.CreatedAtUTC).UTC().Truncate(time.Second)
	}
	return string(skuOf(service.ServiceResource)), created
}

// progress reads an answer; token continues the operation if it goes on. The Location answers 202 while the
// operation goes on, and at its end 200 with the whole service (recorded 2015 to 2023). The Azure-AsyncOperation address
// answers 200 with a word for the state (recorded of changes to services, 2022-08-01 and 2024-05-01). progress takes an
// unknown word for "not yet", and also a 200 whose body says that the service is still working, since asking once more
// does no harm. In a 202 the service's own state says nothing: it may date from before the operation.
func progress(answer *http.Response, t task, token string) (backup.Operation, error) {
	said := azure.ReadBody(answer)
	under := answer.StatusCode == http.StatusAccepted
	if under {
		said.State = said.Status
	}
	switch end := azure.End(said.State); {
	case end == azure.Succeeded, said.State == "" && !under:
		return backup.Operation{Done: true, SKU: said.SKU, ServiceCreated: said.Created}, nil
	case end != "":
		said.State = end
		return backup.Operation{}, ended(t, said)
	}
	if token == "" {
		return backup.Operation{}, starting(t).Fault(errNoToken)
	}
	return backup.Operation{Token: token, RetryAfter: azure.RetryAfter(answer)}, nil
}
