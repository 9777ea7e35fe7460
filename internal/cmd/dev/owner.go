package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/stack"
)

// These are the identities besides Lifeboat's own: owner owns the services, and may request restores; reader reads storage.
const (
	owner  = "owner"
	reader = "reader"
)

// These are the api-versions that the owner uses.
const (
	apimVersion = "?api-version=2024-05-01"
	hsmVersion  = "?api-version=2025-07-01"
	ccfVersion  = "?api-version=2025-06-10-preview"
)

// key is the name of the Managed HSM's key that the demo deletes.
const key = "rsa1"

// employ assigns roles to the identities, creates the queues of requests and answers, and sets up the services,
// unless an earlier run did.
func (s *scene) employ(ctx context.Context) error {
	account, who := stack.Account(appAccount), s.Sim.ObjectID(owner)
	s.Sim.Assign(s.Sim.ObjectID(reader), stack.Scope, fakeazure.StorageBlobDataReader, fakeazure.StorageQueueDataContributor)
	s.Sim.Assign(who, stack.Scope, fakeazure.APIManagementServiceContributor, fakeazure.LedgerOperator)
	s.Sim.Assign(who, account, fakeazure.StorageTableDataReader)
	s.Sim.Assign(who, account+"/queueServices/default/queues/"+requestsQueue, fakeazure.StorageQueueDataMessageSender)
	s.Sim.Assign(who, account+"/queueServices/default/queues/"+answersQueue, fakeazure.StorageQueueDataContributor)
	if err := s.Sim.AssignHSM(hsm.id(), who, fakeazure.ManagedHSMCryptoUser, fakeazure.ManagedHSMCryptoOfficer); err != nil {
		return err
	}
	for _, name := range []string{requestsQueue, answersQueue} {
		queue, err := s.queue(reader, name)
		if err != nil {
			return err
		}
		if _, err := queue.Create(ctx, nil); err != nil {
			return err
		}
	}
	if s.resumed {
		return nil // the services are as they were left
	}
	for _, t := range []target{apim, standby} {
		for _, api := range []string{"orders", "payments"} {
			if err := s.putAPI(ctx, t, api, "https://"+api+".contoso.example"); err != nil {
				return err
			}
		}
	}
	return s.azure(ctx, "POST", hsm.host()+"/keys/"+key+"/create"+hsmVersion, map[string]any{"kty": "RSA-HSM", "key_size": 2048}, nil)
}

// host returns the HSM's own endpoint.
func (t target) host() string { return "https://" + t.name + ".managedhsm.azure.net" }

// arm returns the address of the target at Resource Manager.
func (t target) arm() string { return "https://management.azure.com" + t.id() }

func (s *scene) putAPI(ctx context.Context, t target, api, backend string) error {
	return s.azure(ctx, "PUT", t.arm()+"/apis/"+api+apimVersion, map[string]any{"properties": map[string]any{
		"displayName": api, "path": api, "protocols": []string{"https"}, "serviceUrl": backend,
	}}, nil)
}

// damage does the damage of people and scripts: it changes an API and deletes another, deletes and purges a key, and deletes
// an application.
func (s *scene) damage(ctx context.Context) error {
	if err := s.putAPI(ctx, apim, "orders", "https://localhost:8080"); err != nil {
		return err
	}
	for _, url := range []string{
		apim.arm() + "/apis/payments" + apimVersion,
		hsm.host() + "/keys/" + key + hsmVersion, hsm.host() + "/deletedkeys/" + key + hsmVersion,
		ccf.arm() + ccfVersion,
	} {
		if err := s.azure(ctx, "DELETE", url, nil, nil); err != nil {
			return err
		}
	}
	for { // Azure needs some time to delete an application
		now, err := s.state(ctx, ccf)
		if err != nil || now["application"] == gone {
			return err
		}
		if err := s.pause(ctx); err != nil {
			return err
		}
	}
}

// gone is the state of a thing that does not exist.
const gone = "-"

// state returns the contents of a service, by the name of each thing.
func (s *scene) state(ctx context.Context, t target) (map[string]string, error) {
	found := map[string]string{}
	var list struct {
		Value []struct {
			Kid, Name  string
			Properties struct{ ServiceURL string }
		}
	}
	switch t.kind {
	case apiManagement:
		if err := s.azure(ctx, "GET", t.arm()+"/apis"+apimVersion, nil, &list); err != nil {
			return nil, err
		}
		for _, api := range list.Value {
			found["API "+api.Name] = api.Properties.ServiceURL
		}
	case managedHSM:
		if err := s.azure(ctx, "GET", t.host()+"/keys/"+key+"/versions"+hsmVersion, nil, &list); err != nil {
			return nil, err
		}
		for _, version := range list.Value {
			id := version.Kid[strings.LastIndex(version.Kid, "/")+1:]
			found["key "+key] = strings.TrimSpace(fmt.Sprintf("%s %.12s…", found["key "+key], id))
		}
	case managedCCF, confidentialLedger: // no call to Azure shows its contents
		found["application"] = gone
		if state, err := s.Sim.LedgerState(t.id()); err == nil {
			found["application"] = fmt.Sprintf("%s, transaction %s", strings.Join(state.Entries, " "), state.Transaction)
			if state.ProvisioningState != "Succeeded" {
				found["application"] = state.ProvisioningState
			}
		}
	}
	return found, nil
}

// audiences are the audiences of Azure's tokens, by the ends of host names.
var audiences = map[string]string{
	"management.azure.com":  "https://management.azure.com/.default",
	".managedhsm.azure.net": "https://managedhsm.azure.net/.default",
}

// azure makes a call as the owner of the services.
func (s *scene) azure(ctx context.Context, method, url string, body, into any) error {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(text))
	if err != nil {
		return err
	}
	var scope string
	for end, audience := range audiences {
		if strings.HasSuffix(request.URL.Host, end) {
			scope = audience
		}
	}
	token, err := s.Sim.Credential(owner).GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{scope}})
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token.Token)
	request.Header.Set("Content-Type", "application/json")
	if method == http.MethodDelete {
		request.Header.Set("If-Match", "*")
	}
	response, err := s.Sim.Client().Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s", method, url, response.Status, answer)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer, into)
}
