package backup

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Service is everything that Lifeboat knows of an Azure service that it backs up, except for the calls ([Provider]). The package
// of the service has it as a value; docs/add-a-service.md says how to add one.
type Service struct {
	// Type is the resource type as Azure writes it, such as "Microsoft.ApiManagement/service". Title is its name for people.
	Type, Title string
	// Name is the service's own rule for names of such resources, and NameRule says it in words: "1 to 50 letters".
	Name     *regexp.Regexp
	NameRule string
	// Restorable is the time for which the service can restore a backup; 0 if no limit is documented.
	Restorable time.Duration
	// PointTime says which state of the resource a recovery point has.
	PointTime PointTime
	// Usual is the longest time that a backup usually takes.
	Usual time.Duration
	// NotIncluded lists the things that a backup does not contain, in words for people: after a restore they come from elsewhere.
	NotIncluded []string
	// ArtifactNames says what Azure calls the artifacts of the resource: the kind of thing, where it is, and the name to which a
	// time is added. Nil if Lifeboat gives each artifact a name of its own.
	ArtifactNames func(Storage, Resource) string
	// Shares: its artifacts are file shares of the account.
	Shares bool
	// Contains: each backup contains the one before, and its provider compares them.
	Contains bool
	// CopyOnly says that Azure can never restore an artifact that was written under the plan's settings. Nil: it always can.
	CopyOnly func(Blocks) bool
	// Changes says whether an event of that type, in Event Grid, tells of a change of such a resource; nil if none does.
	Changes func(eventType string) bool
	// Unfit says why a resource can never be backed up as it is, "" if it may be; nil: each may be.
	Unfit func(Found) string
	// Custody is about the thing that people keep, and without which no backup can be restored; nil if there is none.
	Custody *Custody
	// Block is the service's own part of plan.yaml; nil if it has none.
	Block *Block
	// Grants lists the roles that backups and restores need.
	Grants []Grant
	// Restore has the traits of the service's restores.
	Restore RestoreTraits
}

// PointTime says which state of a resource a recovery point has: its age counts from there.
type PointTime int

const (
	// AtStart: a change that was made while the backup was written may be missing.
	AtStart PointTime = iota
	// AtEnd: it has all changes up to the time at which the artifact was written.
	AtEnd
)

// Block is the part of plan.yaml that holds for one service, or for several that share it. It travels as it is from the plan to
// the run and to the provider, and only the service reads it.
type Block struct {
	// Field is its name in a plan, such as "hsm", and Schema the JSON Schema of its value.
	Field, Schema string
	// Default says which value holds if a plan has none, by the name of each value, such as "hsm.access".
	Default map[string]string
	// Check says what is wrong with it for a target, and in which of its members; nil if the schema says all.
	Check func(Blocks, Resource) (member string, err error)
}

// RestoreTraits says how restores of a service differ from other services' restores.
type RestoreTraits struct {
	// Overwrites says what a restore destroys, in words for people.
	Overwrites []string
	// Calls lists the requests of a restore that change something or make the service do work, such as a check of its own.
	// BackupCalls lists those requests of the safety backup before it.
	// {destination} stands for the resource ID, {name} for its name in lower case.
	Calls, BackupCalls []string
	// KeyCalls lists the requests of a restore of the single key {key}; nil if the service restores no single key.
	KeyCalls []string
	// Look is the request by which the service itself checks whether it can restore; "" if it has none. The service does work for
	// that, so no dry run sends it.
	Look string
	// Safety says whether there is a safety backup.
	Safety Safety
	// Recreates: the original must have been deleted, and is made anew under its name, in the region that Region says for a
	// plan; "" is unknown. Its provider is a [Recreator].
	Recreates bool
	Region    func(Blocks) string
	// Traces says how a person finds out whether the service was restored, if it was restored in place and the answer to the
	// request was lost; with the same words in braces as Calls.
	Traces string
	// NotRestorable says why a copy is not restored; "" if there are no copies.
	NotRestorable string
}

// Safety says whether the destination can be backed up before it is restored into.
type Safety int

const (
	// SafetyOptional: the plan and the request decide.
	SafetyOptional Safety = iota
	// SafetyAlways: it is, unless the request says no. A plan cannot say never.
	SafetyAlways
	// SafetyImpossible: there is nothing left to back up.
	SafetyImpossible
)

// Services are the services that Lifeboat backs up.
type Services []Service

// Of returns the service of the resource; the zero value, and false, if Lifeboat does not back such resources up.
func (s Services) Of(target string) (Service, bool) {
	r, err := ParseResource(target)
	if err != nil {
		return Service{}, false
	}
	for _, one := range s {
		if strings.EqualFold(one.Type, r.Type) {
			return one, true
		}
	}
	return Service{}, false
}

// Check takes a target's resource ID apart. It refuses a resource that Lifeboat does not back up, and a name that its service does
// not let it have.
func (s Services) Check(target string) (Resource, error) {
	r, err := ParseResource(target)
	if err != nil {
		return r, err
	}
	switch one, known := s.Of(target); {
	case !known:
		return r, fmt.Errorf("%q: resources of the type %s cannot be backed up", target, r.Type)
	case !one.Name.MatchString(r.Name):
		return r, fmt.Errorf("%q: %q is no name of %s: %s", target, r.Name, one.Title, one.NameRule)
	}
	return r, nil
}

// CopyOnly says that Azure can never restore the target from a backup that is made with the settings.
func (s Services) CopyOnly(target string, settings Settings) bool {
	one, _ := s.Of(target)
	return one.CopyOnly != nil && one.CopyOnly(settings.Blocks)
}

// Blocks are the parts of a plan that hold for one service each: a JSON object with a member for each, or "".
type Blocks string

// NewBlocks makes the object.
func NewBlocks(members map[string]any) Blocks {
	if len(members) == 0 {
		return ""
	}
	return Blocks(Encode(members))
}

// Read reads one of them into the value. The value stays as it is if there is none. The error is a *Fault of the kind Refused: a
// run must not act by settings that this version cannot read.
func (b Blocks) Read(field string, into any) error {
	if b == "" {
		return nil
	}
	members := map[string]json.RawMessage{}
	err := json.Unmarshal([]byte(b), &members)
	if err == nil && members[field] != nil {
		err = json.Unmarshal(members[field], into)
	}
	if err == nil {
		return nil
	}
	return &Fault{
		Kind: Refused, Code: "InvalidSettings", Message: fmt.Sprintf("the settings of the run have a block %s that cannot be read: %v", field, err),
		Hint: HintSettings,
	}
}

// HintSettings advises about a run whose settings this version cannot use.
const HintSettings = "Deploy the version of Lifeboat that wrote the run again, or ask again under this version's plan."

// Values returns the values of all blocks by their names in plan.yaml, such as "hsm.access".
func (b Blocks) Values() map[string]string {
	values := map[string]string{}
	var add func(name string, v any)
	add = func(name string, v any) {
		members, object := v.(map[string]any)
		if !object {
			values[name] = fmt.Sprint(v)
			return
		}
		for member, value := range members {
			add(strings.TrimPrefix(name+"."+member, "."), value)
		}
	}
	var all map[string]any
	if b != "" && json.Unmarshal([]byte(b), &all) == nil {
		add("", all)
	}
	return values
}

// MarshalJSON writes the object as it is.
func (b Blocks) MarshalJSON() ([]byte, error) { return []byte(b), nil }

// UnmarshalJSON keeps the object as it is.
func (b *Blocks) UnmarshalJSON(text []byte) error {
	if *b = Blocks(text); *b == "null" {
		*b = ""
	}
	return nil
}
