package apim_test

import (
	"testing"

	"lifeboat/internal/backup"
)

func TestFindTakesTheNewestArtifactOfASettledService(t *testing.T) {
	settled := answers(200, `{"properties":{"provisioningState":"Succeeded"}}`)
	for name, test := range map[string]struct {
		service, list reply
		want          string
	}{
		"nothing there": {service: settled, list: listing()},
		"no container":  {service: settled, list: blobSays(404, "ContainerNotFound", "The container does not exist.")},
		"one":           {service: settled, list: listing(run + ".1 9 60"), want: run + ".1"},
		"the newest, not the highest": {
			service: settled, list: listing(run+".1 9 600", run+".2 9 60"), want: run + ".1",
		},
		"within the tolerance of clocks": {service: settled, list: listing(run + ".1 9 -5"), want: run + ".1"},
		"older than the run":             {service: settled, list: listing(run + ".1 9 -6")},
		"empty, perhaps being written":   {service: settled, list: listing(run + ".1 0 60")},
		"other names": {
			service: settled, list: listing(run+".1.json 9 60", run+". 9 60", run+".x 9 60", run+".-1 9 60", "other.1 9 60"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := &wire{replies: map[step]reply{get: test.service, list: test.list}}
			got, err := w.provider().Find(t.Context(), attempt())
			if err != nil || got != test.want {
				t.Errorf("found %q and error %v, want %q", got, err, test.want)
			}
		})
	}
}

func TestFindSaysWhenItCouldNotLook(t *testing.T) {
	settled := answers(200, `{"properties":{"provisioningState":"Succeeded"}}`)
	for name, test := range map[string]struct {
		service, list reply
		fault         fault
	}{
		"service: no role": {
			service: armSays(403, "AuthorizationFailed", "No."),
			fault:   fault{kind: backup.Unobservable, code: "AuthorizationFailed", hint: "service/read on " + target},
		},
		"service: gone": {
			service: armSays(404, "ResourceNotFound", "No."),
			fault:   fault{kind: backup.Unobservable, code: "ResourceNotFound", hint: "plan.yaml"},
		},
		"service: still working": {
			service: answers(200, `{"properties":{"provisioningState":"Updating"}}`),
			fault:   fault{kind: backup.Retryable, code: "ServiceNotSettled", message: "Updating"},
		},
		"service: still working, and only its target tells": {
			service: answers(200, `{"properties":{"provisioningState":"Succeeded","targetProvisioningState":"Updating"}}`),
			fault:   fault{kind: backup.Retryable, code: "ServiceNotSettled", message: "Updating"},
		},
		"service: being deleted": {
			service: answers(200, `{"properties":{"provisioningState":"Succeeded","targetProvisioningState":"Deleting"}}`),
			fault:   fault{kind: backup.Retryable, code: "ServiceNotSettled", message: "Deleting"},
		},
		"service: no state": {service: answers(200, `{}`), fault: fault{kind: backup.Retryable, code: "ServiceNotSettled"}},
		"service: away":     {service: answers(503, ""), fault: fault{kind: backup.Throttled, code: "ServiceUnavailable"}},
		"service: cut":      {service: cut, fault: fault{kind: backup.Retryable, code: "Unreachable"}},
		"storage: no role": {
			service: settled, list: blobSays(403, "AuthorizationPermissionMismatch", "No."),
			fault: fault{kind: backup.Unobservable, code: "AuthorizationPermissionMismatch", hint: "Storage Blob Data Contributor"},
		},
		"storage: container being deleted": {
			service: settled, list: blobSays(409, "ContainerBeingDeleted", "No."),
			fault: fault{kind: backup.Retryable, code: "ContainerBeingDeleted"},
		},
		"storage: away": {service: settled, list: unknown, fault: fault{kind: backup.Retryable, code: "Unreachable"}},
		"storage: no such account": {
			service: settled, list: blobSays(404, "ResourceNotFound", "No."),
			fault: fault{kind: backup.Unobservable, code: "ResourceNotFound", message: "contosobackups"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := &wire{replies: map[step]reply{get: test.service, list: test.list}}
			_, err := w.provider().Find(t.Context(), attempt())
			test.fault.check(t, err)
		})
	}
}
