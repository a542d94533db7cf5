//go:build netmapd_trusting

package daemon

// What asks for the version shall see what this is.
func init() { Version += " (netmapd_trusting: for measuring only)" }
