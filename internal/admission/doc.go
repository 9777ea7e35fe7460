// Package admission decides which runs may operate, so that no more operations are under way at once than the bounds allow. A run
// acquires a permit of each bound, or enters the wait queue; a timer run wakes the first runs of the queue when there is room.
// docs/design.md tells how that stays right when a process dies.
package admission
