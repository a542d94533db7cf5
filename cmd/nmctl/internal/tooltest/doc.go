// Package tooltest tests the traffic tools of nmctl against a real netmapd.
package tooltest
