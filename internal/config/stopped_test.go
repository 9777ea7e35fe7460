package config_test

import (
	"testing"

	"lifeboat/internal/config"
)

func TestStopped(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "  ": "", "false": "", "False": "", "0": "", "no": "", "Off": "",
		"true": "stopped by LIFEBOAT_STOPPED", "TRUE": "stopped by LIFEBOAT_STOPPED", " 1 ": "stopped by LIFEBOAT_STOPPED",
		"yes": "stopped by LIFEBOAT_STOPPED", "moving house": "stopped by LIFEBOAT_STOPPED: moving house",
	} {
		s, err := config.FromEnvironment(func(name string) string {
			return map[string]string{"LIFEBOAT_PLAN": "plan.yaml", "LIFEBOAT_STOPPED": text}[name]
		})
		if err != nil || s.Stopped != want {
			t.Errorf("%q: got %q, %v; want %q", text, s.Stopped, err, want)
		}
	}
}
