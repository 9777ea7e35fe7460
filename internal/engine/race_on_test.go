//go:build race

package engine

// raceDetector says that this test binary runs ten times as slowly, so that the model explores less.
const raceDetector = true
