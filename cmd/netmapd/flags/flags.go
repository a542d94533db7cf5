// Package flags is netmapd's command line, for the program and for what
// documents it.
package flags

import (
	"github.com/spf13/pflag"

	"github.com/netmapd/netmapd/daemon/config"
)

// ErrHelp says that the help was asked for, and given.
var ErrHelp = pflag.ErrHelp

// Flags are the flags and, once parsed, what they said.
type Flags struct {
	*pflag.FlagSet
	File    string // configuration file, "" for none
	Check   bool
	Version bool
}

// New makes netmapd's flags: its own, and one for each key of the configuration
// that can have one.
func New() (*Flags, error) {
	f := &Flags{FlagSet: pflag.NewFlagSet("netmapd", pflag.ContinueOnError)}
	f.StringVar(&f.File, "config", "", "configuration file (YAML); without one the embedded default holds")
	f.BoolVar(&f.Check, "check", false, "read the configuration, say what is wrong with it, and exit")
	f.BoolVar(&f.Version, "version", false, "print the version and exit")
	return f, config.AddFlags(f.FlagSet)
}
