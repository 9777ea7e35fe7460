// Package toyservice is a sample to copy: an invented service, described as each real one is. Its simulator is
// in faketoys. The tests here prove that a further service is one folder, one simulator and one line of internal/services;
// docs/add-a-service.md tells the steps.
package toyservice

import (
	_ "embed"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// resourceType is the type of the resources that this package backs up.
const resourceType = "Contoso.Toys/boxes"

// field is the service's own part of plan.yaml. No other package knows it.
const field = "toy"

//go:embed plan.schema.json
var schema string

// block is that part: the colour of the paper that a backup is wrapped in.
type block struct {
	Colour string `json:"colour"`
}

// defaultColour holds where a plan says nothing.
const defaultColour = "blue"

// Service is the toy box: all that Lifeboat knows of it. A real service says here where each fact comes from: its
// specification, its documentation, or recorded traffic.
func Service() azure.Service {
	return azure.Service{
		Service: backup.Service{
			Type: resourceType, Title: "Toy box",
			// A plan with a target of another name is refused.
			Name:     regexp.MustCompile(`^[a-z][a-z-]{1,22}[a-z]$`),
			NameRule: "3 to 24 lower-case letters and dashes, a letter first and last",
			// A plan that keeps backups for longer is refused, and so is the restore of an older one.
			Restorable: 60 * 24 * time.Hour,
			Usual:      5 * time.Minute,
			// Each run and each recovery point lists it.
			NotIncluded: []string{"the lid of the box", "batteries"},
			Block: &backup.Block{
				Field: field, Schema: schema, Default: map[string]string{field + ".colour": defaultColour}, Check: check,
			},
			// docs/services.md shows the roles of each real service.
			Grants:    []backup.Grant{{Role: backup.Role{Name: "Box Keeper", Actions: []string{"Toy.Boxes/boxes/*"}}, On: backup.OnService, For: "keeps boxes"}},
			PointTime: backup.AtEnd, // a box is written in one go
			Restore: backup.RestoreTraits{
				Overwrites: []string{"all toys in the box: what was put in since the backup is lost"},
				Calls:      []string{"POST " + origin + "/boxes/{name}/restore"}, BackupCalls: []string{"POST " + origin + "/boxes/{name}/backup"},
				Traces: "Look into the box {name}, and see whether the toys are those of the recovery point.",
			},
			// ArtifactNames is nil: artifacts have the names that Lifeboat gives. CopyOnly is nil: a backup can be restored.
		},
		New: func(cred azcore.TokenCredential, opts azcore.ClientOptions, _ float64) backup.Provider {
			return New(cred, opts)
		},
	}
}

// check says what the schema cannot: it depends on the target.
func check(blocks backup.Blocks, box backup.Resource) (member string, err error) {
	colour, err := colourOf(blocks)
	if err == nil && strings.HasPrefix(box.Name, colour+"-") {
		return "colour", fmt.Errorf("the box %s is %s itself: choose another colour", box.Name, colour)
	}
	return "", err
}

// colourOf reads the block. A run has it from its plan as it was then, so another version may have written what this one
// cannot read: that is refused, and nothing is guessed.
func colourOf(blocks backup.Blocks) (string, error) {
	b := block{Colour: defaultColour}
	err := blocks.Read(field, &b)
	return b.Colour, err
}
