package ledger

import (
	"context"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// fullShare is the part of its quota, in percent, that the newest share of a service may use before a person is warned.
const fullShare = 80

// warnOfRoom warns if the newest share of the service is nearly full. Azure makes a share for each backup, with the account's usual
// quota. A run has no use for the warning, so that only a person's question asks for it.
func (p *Provider) warnOfRoom(ctx context.Context, i instance, s backup.Storage) {
	if !backup.Watched(ctx) {
		return
	}
	shares, err := p.azure.Shares(ctx, s)
	var newest azure.Share
	for _, one := range shares {
		if isShare(i.name, one.Name) && one.Properties.Modified.After(newest.Properties.Modified) {
			newest = one
		}
	}
	if err == nil && newest.Name != "" {
		newest, err = p.azure.Share(ctx, s, newest.Name)
	}
	if err != nil {
		if !azure.LacksRole(err) { // else it is noted
			backup.NotSeen(ctx, s.Account+"/fileServices/default/shares")
		}
		return
	}
	quota, used := newest.Properties.Quota<<30, newest.Properties.Usage
	if quota > 0 && used*100 >= quota*fullShare {
		backup.Warn(ctx, backup.Refuse("ShareFills", "Azure makes the next share no larger: raise the quota that new shares of the account get, "+
			"or ask Azure's support.", "the newest backup of %s uses %d of the %d GiB that its share %s may hold", i.id, used>>30,
			newest.Properties.Quota, newest.Name))
	}
}
