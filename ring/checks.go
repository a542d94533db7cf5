//go:build !netmapd_trusting

package ring

// Trusting says that this build believes what clients write. The build tag netmapd_trusting makes such a build, to measure
// what the checks cost and for nothing else: any client can make it read and write where it should not. The daemon says so
// when it starts, and scripts/install refuses it.
const Trusting = false
