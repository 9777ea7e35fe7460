package azure

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"lifeboat/internal/backup"
)

// Moved makes a policy that finds a storage account again after a move to another group or subscription. The move changes the
// account's resource ID, which runs and recovery points keep, and neither its name nor its hosts. Names are unique within Azure
// (Azure's page "Storage account overview"), so that an account of the same name and DNS zone is the same one. If Resource Manager
// does not know the account by the given ID, or finds no role there, the policy asks again by the IDs that the active plans have for
// it. It keeps nothing: plans, which may return none, is asked after such an answer only.
func Moved(plans func(context.Context) []backup.Plan) policy.Policy { return moved{plans} }

type moved struct {
	plans func(context.Context) []backup.Plan
}

// aboutAccount is the key of a context whose requests are about a storage account, which is the value.
type aboutAccount struct{}

// Do sends the request, and again with another ID of the account as long as the answer is 403 or 404: roles at the account itself stay
// behind at its old ID, and Resource Manager looks for a role before it looks for the account. A 403 outweighs a 404: the account may
// be where the role is missing, and is not where nothing is known.
func (m moved) Do(request *policy.Request) (*http.Response, error) {
	ctx := request.Raw().Context()
	s, about := ctx.Value(aboutAccount{}).(backup.Storage)
	if !about {
		return request.Next()
	}
	answer, err := request.Clone(ctx).Next()
	if !unknown(answer) {
		return answer, err
	}
	for _, id := range m.others(ctx, s) {
		again := request.Clone(ctx)
		again.Raw().URL.Path = strings.Replace(again.Raw().URL.Path, s.Account, id, 1)
		other, failed := again.Next()
		if denied(answer) && other != nil && other.StatusCode == http.StatusNotFound {
			runtime.Drain(other)
			continue
		}
		runtime.Drain(answer)
		if answer, err = other, failed; !unknown(answer) {
			break
		}
	}
	return answer, err
}

// others returns the IDs that the active plans have for the account, but for the one that is known.
func (m moved) others(ctx context.Context, s backup.Storage) (ids []string) {
	for _, p := range m.plans(ctx) {
		there := p.Settings.Storage
		if there.SameAccount(s) && !slices.ContainsFunc(append(ids, s.Account), func(id string) bool { return backup.Same(id, there.Account) }) {
			ids = append(ids, there.Account)
		}
	}
	return ids
}

func denied(answer *http.Response) bool { return answer.StatusCode == http.StatusForbidden }

// unknown tells whether the answer may come from the ID at which a moved account was before.
func unknown(answer *http.Response) bool {
	return answer != nil && runtime.HasStatusCode(answer, http.StatusForbidden, http.StatusNotFound)
}
