// Package plans keeps which text of plan.yaml is in force: the newest that is good.
package plans
