package securitydomain

import (
	"runtime"
	"runtime/debug"
)

// privately runs do, and then overwrites the memory that do has used and nothing uses any more. Go's RSA and AES keep copies of keys
// that only the runtime can reach. So do has a stack of its own, and no collection moves it: it would leave the old one behind.
func privately(do func()) {
	percent := debug.SetGCPercent(-1)
	runtime.GC() // ends a collection under way
	done := make(chan struct{})
	go func() {
		defer close(done)
		overwriteStack()
		do()
		overwriteStack()
	}()
	<-done
	debug.SetGCPercent(percent)
	runtime.GC()
	runtime.GC() // the first one only marks pools as old
	overwriteFree()
	debug.FreeOSMemory()
}

// overwriteStack makes the stack larger than anything here needs, or clears it.
//
//go:noinline
func overwriteStack() {
	var room [120 << 10]byte
	clear(room[:])
	runtime.KeepAlive(&room)
}

// overwriteFree allocates objects of each size until no free place is left between others, since the runtime clears a place when it is
// taken. They are forgotten at once. The runtime takes more memory only once each such place is taken.
func overwriteFree() {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	classes := stats.BySize
	for _, class := range classes {
		if size := int(class.Size); size > 0 {
			fill(func() any { return make([]byte, size) }, size)
			fill(func() any { return make([]*byte, max(1, size/8)) }, size)
		}
	}
}

// fill allocates a page of objects after the other, until the heap grows with several of them: one growth may be of something else.
func fill(object func() any, size int) {
	const page, enough = 8 << 10, 4
	var stats runtime.MemStats
	kept := [][]any{} // all of them, so that no place becomes free again
	for grown := 0; grown < enough; {
		objects := make([]any, page/size+1)
		runtime.ReadMemStats(&stats)
		before := stats.HeapInuse
		for i := range objects {
			objects[i] = object()
		}
		runtime.ReadMemStats(&stats)
		if stats.HeapInuse > before {
			grown++
		}
		kept = append(kept, objects)
	}
	runtime.KeepAlive(kept)
}
