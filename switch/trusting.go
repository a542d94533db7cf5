//go:build netmapd_trusting

package vale

// trusting is here for the assembly, which leaves its checks out where this constant is defined.
const trusting = true
