// Package e2e has only tests: real client processes against a real netmapd.
//
// Each test starts a daemon of its own in a runtime directory of its own and
// watches it: that it lives to the end, stops when told to, and never logs an
// error or a panic that the test did not provoke. Clients are processes: the
// test binary runs itself again with a role (see roles_test.go), so that they
// can be killed at any instant.
package e2e
