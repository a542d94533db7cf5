module github.com/netmapd/netmapd

go 1.26
