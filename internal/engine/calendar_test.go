package engine_test

import (
	"testing"
	"time"
	_ "time/tzdata" // the same zones wherever the tests run

	"lifeboat/internal/schedule"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func daily(z *time.Location, hour, minute int) schedule.Schedule {
	return schedule.Schedule{
		Second: 1, Minute: 1 << minute, Hour: 1 << hour, Day: 1<<32 - 2, Month: 1<<13 - 2, Weekday: 1<<7 - 1, Zone: z,
	}
}
