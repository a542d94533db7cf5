"""The API, netmapd.v1; see netmapd."""
