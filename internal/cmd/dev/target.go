package main

import "lifeboat/internal/stack"

// kind is a service of Azure.
type kind string

// The kinds that the scene has targets of.
const (
	apiManagement kind = "API Management"
	managedHSM    kind = "Managed HSM"
)

// target is what is backed up.
type target struct {
	kind kind
	name string
}

// targets are those of the plan. The first is also backed up on demand.
var targets = []target{
	{apiManagement, "contoso-eu"},
	{apiManagement, "contoso-us"},
	{managedHSM, "contoso-hsm"},
}

// id is the resource ID.
func (t target) id() string {
	if t.kind == managedHSM {
		return stack.HSM(t.name)
	}
	return stack.Service(t.name)
}

// add puts the target into Azure.
func (t target) add(s *stack.Stack) error {
	if t.kind == managedHSM {
		return s.AddHSM(t.name, appName)
	}
	return s.AddService(t.name)
}
