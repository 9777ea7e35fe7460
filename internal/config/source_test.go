package config_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
	"lifeboat/internal/config"
)

// wire answers every request.
type wire func(*http.Request) (status int, header map[string]string, body string, err error)

func (w wire) Do(r *http.Request) (*http.Response, error) {
	status, header, body, err := w(r)
	if err != nil {
		return nil, err
	}
	answer := &http.Response{
		StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r,
		ContentLength: int64(len(body)),
	}
	for name, value := range header {
		answer.Header.Set(name, value)
	}
	return answer, nil
}

type anybody struct{}

func (anybody) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: "token", ExpiresOn: time.Now().Add(time.Hour)}, nil
}

const planBlob = "https://contoso.blob.core.windows.net/plans/plan.yaml"

func sourceOn(t *testing.T, answer wire) *config.PlanSource {
	t.Helper()
	s, err := config.Settings{Plan: planBlob, WaitFactor: 1}.PlanSource(reader, anybody{}, azcore.ClientOptions{Transport: answer})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestPlanSourceAsksWhetherItChanged checks that the text comes once for each version of the blob: the answer to any further
// request is "not modified".
func TestPlanSourceAsksWhetherItChanged(t *testing.T) {
	var asked []string
	text, etag := "one", `"1"`
	s := sourceOn(t, func(r *http.Request) (int, map[string]string, string, error) {
		asked = append(asked, r.Header.Get("If-None-Match"))
		if r.Header.Get("Authorization") != "Bearer token" {
			t.Errorf("asked as %q", r.Header.Get("Authorization"))
		}
		if r.Header.Get("If-None-Match") == etag {
			return http.StatusNotModified, map[string]string{"ETag": etag, "X-Ms-Error-Code": "ConditionNotMet"}, "", nil
		}
		return http.StatusOK, map[string]string{"ETag": etag}, text, nil
	})
	for i, want := range []string{"one", "one", "two", "two"} {
		if i == 2 {
			text, etag = "two", `"2"`
		}
		if got, err := s.Read(t.Context()); err != nil || string(got) != want {
			t.Errorf("look %d: %q, %v; want %q", i, got, err, want)
		}
	}
	if want := `,"1","1","2"`; strings.Join(asked, ",") != want {
		t.Errorf("asked with %q", asked)
	}
}

// TestPlanSourceFaults checks that a refusal of Azure has the same words each time, so that it is published once, and that a
// missing answer counts as no mistake of the plan.
func TestPlanSourceFaults(t *testing.T) {
	calls := 0
	no := func(status int, code string) wire {
		return func(*http.Request) (int, map[string]string, string, error) {
			calls++
			return status, map[string]string{"X-Ms-Error-Code": code, "Content-Type": "application/xml"},
				`<?xml version="1.0"?><Error><Code>` + code + "</Code><Message>Azure's own words.\nRequestId:" + strings.Repeat("x", calls) +
					"</Message></Error>", nil
		}
	}
	for status, c := range map[int]struct{ code, hint string }{
		403: {"AuthorizationPermissionMismatch", "Storage Blob Data Reader"}, 404: {"BlobNotFound", "check the URL"},
	} {
		s := sourceOn(t, no(status, c.code))
		_, first := s.Read(t.Context())
		_, second := s.Read(t.Context())
		if _, ok := errors.AsType[*backup.Fault](first); ok || first == nil || second == nil || first.Error() != second.Error() {
			t.Errorf("%d: %v, then %v", status, first, second)
			continue
		}
		for _, word := range []string{c.code, "Azure's own words.", planBlob, c.hint} {
			if !strings.Contains(first.Error(), word) {
				t.Errorf("%d: nothing about %q in: %v", status, word, first)
			}
		}
	}
	broken := func(*http.Request) (int, map[string]string, string, error) {
		return 0, nil, "", errors.New("connection reset")
	}
	for name, answer := range map[string]wire{"503": no(503, "ServerBusy"), "429": no(429, "Busy"), "no connection": broken} {
		calls := 0
		_, err := sourceOn(t, func(r *http.Request) (int, map[string]string, string, error) {
			calls++
			return answer(r)
		}).Read(t.Context())
		if f, ok := errors.AsType[*backup.Fault](err); !ok || f.Kind != backup.Retryable {
			t.Errorf("%s: %v", name, err)
		}
		if calls != 1 {
			t.Errorf("%s: %d requests for one look", name, calls)
		}
	}
}

// TestPlanSourceInEveryCloud checks that a blob of each cloud is one only in its own, and that a host may have a DNS zone.
func TestPlanSourceInEveryCloud(t *testing.T) {
	hosts := map[string]string{
		"contoso.blob.core.windows.net": "public", "contoso.z12.blob.storage.azure.net": "public",
		"contoso.blob.core.usgovcloudapi.net": "government", "contoso.blob.core.chinacloudapi.cn": "china",
	}
	for host, home := range hosts {
		for _, cloud := range []azure.Cloud{azure.Public, azure.Government, azure.China} {
			settings := config.Settings{Plan: "https://" + host + "/plans/plan.yaml", WaitFactor: 1}
			_, err := settings.PlanSource(reader, anybody{}, azcore.ClientOptions{Cloud: cloud.Configuration})
			if cloud.Name == home && err != nil {
				t.Errorf("%s in %s: %v", host, cloud.Name, err)
			}
			want := "the app setting LIFEBOAT_PLAN: " + host + " is a host of the cloud " + home + ", and the app is in the cloud " + cloud.Name +
				": set the app setting LIFEBOAT_CLOUD to " + home
			if cloud.Name != home && (err == nil || err.Error() != want) {
				t.Errorf("%s in %s: %v, want %s", host, cloud.Name, err, want)
			}
		}
	}
}

// TestPlanSourceRefusesURLs checks that a URL of no blob is refused, and that a URL with a secret is not shown.
func TestPlanSourceRefusesURLs(t *testing.T) {
	for _, location := range []string{
		planBlob + "?sig=secret", "http://contoso.blob.core.windows.net/plans/plan.yaml", "https://contoso.blob.core.windows.net/plan.yaml",
		"https://user:secret@contoso.blob.core.windows.net/plans/plan.yaml", "https://example.com/plans/plan.yaml", "file:///plan.yaml",
	} {
		_, err := config.Settings{Plan: location, WaitFactor: 1}.PlanSource(reader, anybody{}, azcore.ClientOptions{})
		if err == nil || !strings.Contains(err.Error(), "LIFEBOAT_PLAN") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", location, err)
		}
	}
	s, err := config.Settings{Plan: "../../docs/plan.yaml", WaitFactor: 1}.PlanSource(reader, nil, azcore.ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := s.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if plans, err := s.Parse(text); err != nil || len(plans) != 2 {
		t.Errorf("%v, %v", plans, err)
	}
}
