package azure

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"lifeboat/internal/backup"
)

// Account is a storage account as Resource Manager shows it: the settings that decide about backups. The SDK's module for
// storage accounts would add 230 KB to the program.
type Account struct {
	Kind     string `json:"kind"`
	Location string `json:"location"`
	SKU      struct {
		Name string `json:"name"`
	} `json:"sku"`
	Properties *AccountProperties `json:"properties"`
}

// AccountProperties has the settings of a storage account. Each may be missing.
type AccountProperties struct {
	AllowSharedKeyAccess *bool  `json:"allowSharedKeyAccess"`
	PublicNetworkAccess  string `json:"publicNetworkAccess"`
	Network              struct {
		DefaultAction string       `json:"defaultAction"`
		Bypass        string       `json:"bypass"` // may have several values, such as "Logging, AzureServices"
		Rules         []accessRule `json:"resourceAccessRules"`
	} `json:"networkAcls"`
	Immutable struct {
		Policy *struct {
			State string `json:"state"`
		} `json:"immutabilityPolicy"`
	} `json:"immutableStorageWithVersioning"`
}

// accessRule lets a resource through a firewall, by its resource ID.
type accessRule struct {
	Resource string `json:"resourceId"`
}

// AdmitsKeys tells whether the account accepts its access keys, and signatures made with them.
func (a AccountProperties) AdmitsKeys() bool {
	return a.AllowSharedKeyAccess == nil || *a.AllowSharedKeyAccess // allowed by default
}

// HasFirewall tells whether the account is closed to the public network, or to some of it: a network security perimeter closes it,
// but for what the perimeter's rules admit.
func (a AccountProperties) HasFirewall() bool {
	return a.Network.DefaultAction == "Deny" || a.PublicNetworkAccess != "" && a.PublicNetworkAccess != "Enabled"
}

// InPerimeter tells whether a network security perimeter decides who gets at the account, and not the account's own firewall.
func (a AccountProperties) InPerimeter() bool { return a.PublicNetworkAccess == "SecuredByPerimeter" }

// AdmitsService tells whether the account's firewall may let the target through as a trusted service. Azure does not document
// whether a rule for the target as a resource instance is enough: AdmitsService accepts such a rule and leaves the decision to
// Azure.
func (a AccountProperties) AdmitsService(target string) bool {
	if a.InPerimeter() { // its rules are not shown here, and it does not let trusted services pass
		return true
	}
	return strings.Contains(a.Network.Bypass, "AzureServices") ||
		slices.ContainsFunc(a.Network.Rules, func(rule accessRule) bool { return backup.Same(rule.Resource, target) })
}

// HasImmutability tells whether the account as a whole has an immutability policy that is active.
func (a AccountProperties) HasImmutability() bool {
	return a.Immutable.Policy != nil && a.Immutable.Policy.State != "Disabled"
}

// Account returns the storage account as Resource Manager shows it. It returns nil if the app's identity may not read it,
// since only a preflight needs that permission. It also returns nil if Resource Manager does not know the account by this ID, while
// the account itself answers: then the account was moved. That is a fault with keyed, since only Resource Manager gives a key.
func (c Client) Account(ctx context.Context, s backup.Storage, keyed bool) (*Account, error) {
	var shown Account
	err := c.ask(ctx, http.MethodGet, s, "", &shown)
	switch {
	case err == nil:
		return &shown, nil
	case HasStatus(err, http.StatusNotFound) && !keyed && c.answers(ctx, s):
		return nil, nil
	}
	return nil, unlessForbidden(s, err)
}

// answers tells whether the account answers the app about the container, be it that there is no such container. A refusal is no
// answer: another tenant may have an account of the name by now.
func (c Client) answers(ctx context.Context, s backup.Storage) bool {
	client, err := c.Container(s)
	if err == nil {
		_, err = client.GetProperties(ctx, nil)
	}
	return err == nil || bloberror.HasCode(err, bloberror.ContainerNotFound)
}

// CORS returns a list of the methods that each CORS rule of the account's Blob service allows. It returns none if the app's
// identity may not read them.
func (c Client) CORS(ctx context.Context, s backup.Storage) (rules [][]string, err error) {
	var shown struct {
		Properties struct {
			CORS struct {
				Rules []struct {
					Methods []string `json:"allowedMethods"`
				} `json:"corsRules"`
			} `json:"cors"`
		} `json:"properties"`
	}
	if err := c.ask(ctx, http.MethodGet, s, "/blobServices/default", &shown); err != nil {
		return nil, unlessForbidden(s, err)
	}
	for _, rule := range shown.Properties.CORS.Rules {
		rules = append(rules, rule.Methods)
	}
	return rules, nil
}

// ContainerSettings has the settings of a container that keep its blobs.
type ContainerSettings struct {
	HasImmutabilityPolicy bool `json:"hasImmutabilityPolicy"`
	HasLegalHold          bool `json:"hasLegalHold"`
	Policy                struct {
		Properties struct {
			// Days count from the creation of each blob.
			Days int `json:"immutabilityPeriodSinceCreationInDays"`
		} `json:"properties"`
	} `json:"immutabilityPolicy"`
}

// ContainerSettings returns the settings of the container as Resource Manager shows them. It returns none if the app's identity
// may not read them, or if the container does not exist yet.
func (c Client) ContainerSettings(ctx context.Context, s backup.Storage) (ContainerSettings, error) {
	shown, err := c.containerSettings(ctx, s)
	if err != nil && !LacksRole(err) && !HasStatus(err, http.StatusNotFound) {
		return shown, account("look at "+Place(s), s, "").Fault(err)
	}
	return shown, nil
}

// containerSettings has the error as Azure answered.
func (c Client) containerSettings(ctx context.Context, s backup.Storage) (ContainerSettings, error) {
	var shown struct {
		Properties ContainerSettings `json:"properties"`
	}
	err := c.ask(ctx, http.MethodGet, s, "/blobServices/default/containers/"+url.PathEscape(s.Container), &shown)
	return shown.Properties, err
}

// ask makes a request of Resource Manager about the account, or about the path below it. [Moved] finds an account that was moved.
func (c Client) ask(ctx context.Context, method string, s backup.Storage, below string, into any) error {
	if _, err := AccountID(s); err != nil {
		return err
	}
	return c.resource(context.WithValue(ctx, aboutAccount{}, s), method, s.Account+below, "2024-01-01", into)
}

// unlessForbidden returns the fault of a failed read of the storage account. It returns nil if the app's identity only lacks a
// role.
func unlessForbidden(s backup.Storage, err error) error {
	if LacksRole(err) {
		return nil
	}
	return account("look at "+s.Account, s, "").Fault(err)
}

// ErrNoDate: Azure's answer with the account's key has no date, so that the time of a SAS has nothing to count from.
var ErrNoDate = errors.New("the answer with the account's key has no date to count from")

// AccountKey reads the first of the account's keys with full permissions, and the time by Azure's clock. The parameter instead
// is a setting in plan.yaml that makes the key unnecessary, "" if there is none.
func (c Client) AccountKey(ctx context.Context, s backup.Storage, instead string) (Secret, time.Time, error) {
	call := account("read the key of "+s.Account, s, instead)
	var answer *http.Response
	var shown struct {
		Keys []struct {
			Value       string `json:"value"`
			Permissions string `json:"permissions"`
		} `json:"keys"`
	}
	err := c.ask(policy.WithCaptureResponse(ctx, &answer), http.MethodPost, s, "/listKeys", &shown)
	if err != nil {
		return Secret{}, time.Time{}, call.Fault(err)
	}
	for _, k := range shown.Keys {
		if k.Value != "" && strings.EqualFold(k.Permissions, "Full") { // Azure writes FULL, its documentation Full
			now, _ := http.ParseTime(answer.Header.Get("Date"))
			return NewSecret(k.Value), now, nil
		}
	}
	return Secret{}, time.Time{}, &backup.Fault{
		Kind: backup.Refused, Code: "NoAccountKey",
		Message: call.What + ": it has no key with full permissions",
		Hint:    "See the account's access keys in the Azure portal" + orSet(instead) + ".",
	}
}

// orSet returns the end of a hint, with the setting in plan.yaml that can be used instead.
func orSet(instead string) string {
	if instead == "" {
		return ""
	}
	return "; or set " + instead + " in plan.yaml"
}

// account returns a call to Resource Manager about the storage account.
func account(what string, s backup.Storage, instead string) Call {
	return Call{What: what, Means: Before, Hint: func(status int, _, _ string) string {
		switch status {
		case http.StatusUnauthorized:
			return "See that the function app's identity belongs to the tenant of the storage account's subscription."
		case http.StatusForbidden:
			return fmt.Sprintf("Give the function app's identity a role with Microsoft.Storage/storageAccounts/listkeys/action "+
				"on the storage account %s, such as Reader and Data Access%s. If it was moved to another group or "+
				"subscription, its roles stayed behind: write its new ID into plan.yaml too.", s.AccountName(), orSet(instead))
		case http.StatusConflict:
			return "The storage account is busy with another change; Lifeboat asks again."
		}
		return fmt.Sprintf("Resource Manager does not know the storage account %s by this ID. If it was moved to another group or "+
			"subscription, write its new ID into plan.yaml, where it counts for earlier backups too. If it was deleted, name another one there.",
			s.AccountName())
	}}
}
