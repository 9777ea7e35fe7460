//go:build !race

package backup

// raceDetector says that this test binary runs ten times as slowly, so that the model explores less.
const raceDetector = false
