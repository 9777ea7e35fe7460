// Package plans keeps the text of plan.yaml in force: the newest good one.
package plans
