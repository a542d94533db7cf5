// Package configs holds the configuration files that come with netmapd.
package configs

import "embed"

// Files holds every configuration file of this folder. default.yaml is what
// netmapd starts from: it gives every key its default, and the comment above a
// key is what the help text of the key's flag says.
//
//go:embed *.yaml
var Files embed.FS
