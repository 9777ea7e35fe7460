package securitydomain

import (
	"runtime"
	"runtime/debug"
)

// privately runs do, and then overwrites the memory that do has used and nothing uses any more. Go's RSA and AES keep copies of keys
// that only the runtime can reach. So do has a stack of its own, and no collection moves it: it would leave the old one behind.
func privately(do func()) {
	processors := runtime.GOMAXPROCS(1) // each keeps free places of its own
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
	debug.FreeOSMemory()
	debug.FreeOSMemory() // the first collection only marks pools as old; new pages are clear from here
	overwriteFree()      // before the next collection, in which the heap grows before each place is taken
	debug.SetGCPercent(percent)
	debug.FreeOSMemory()
	runtime.GOMAXPROCS(processors)
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
// taken. They are forgotten at once.
func overwriteFree() {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	classes := stats.BySize
	for _, class := range classes {
		size := int(class.Size)
		fill[byte](size, size)
		if size > 512 {
			size -= 8 // the runtime keeps a word of its own in a large object with pointers
		}
		fill[*byte](size, size/8)
	}
}

// fill allocates a page of such objects after the other, until the heap grows: then no place for one was left.
func fill[T any](size, length int) {
	const page, enough = 8 << 10, 3 // a growth may be of something else
	if length == 0 {
		return
	}
	var stats runtime.MemStats
	kept := make([][][]T, 0, 1<<10) // all of them, so that no place becomes free again
	for grown := 0; grown < enough; {
		objects := make([][]T, page/size+1)
		runtime.ReadMemStats(&stats)
		before := stats.HeapInuse
		for i := range objects {
			objects[i] = make([]T, length)
		}
		runtime.ReadMemStats(&stats)
		if stats.HeapInuse > before {
			grown++
		}
		kept = append(kept, objects)
	}
	runtime.KeepAlive(kept)
}
