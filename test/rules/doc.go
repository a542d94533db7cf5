// Package rules has nothing to import: its tests check the rules that keep the tree in shape, such as which package may
// import which, where cgo and unsafe may stand, and how long a file may be. Each rule is data or a function over the
// files of the tree, and is itself tested with a file that breaks it.
package rules
