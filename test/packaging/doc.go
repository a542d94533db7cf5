// Package packaging tests what others install: the Debian packages and the
// service in them.
package packaging
