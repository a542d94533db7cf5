package config

import (
	"fmt"
	"net"
	"net/url"
	"path"
	"slices"
	"strings"
)

// Verbs are what a rule can grant.
var Verbs = []string{"view", "attach", "monitor", "administer"}

func (k *checker) access() {
	for i, r := range k.Access.Rules {
		key := fmt.Sprintf("access.rules[%d]", i)
		for j, who := range r.Who {
			if strings.TrimPrefix(strings.TrimPrefix(who, "@"), "cert:") == "" {
				k.report(fmt.Sprintf("%s.who[%d]", key, j), "%q names nobody; write a user, @group or cert:NAME", who)
			}
		}
		for j, verb := range r.May {
			if !slices.Contains(Verbs, verb) {
				k.report(fmt.Sprintf("%s.may[%d]", key, j), "expected one of %s, found %q%s", strings.Join(Verbs, ", "), verb, suggest(verb, Verbs))
			}
		}
		for j, pattern := range r.Ports {
			if _, err := path.Match(pattern, ""); err != nil {
				k.report(fmt.Sprintf("%s.ports[%d]", key, j), "%q is no shell pattern: a [ without its ] or a \\ at the end; write for example vale0:*", pattern)
			}
		}
	}
}

func (k *checker) control() {
	k.metrics()
	k.telemetry()
	c := k.Control
	if c.Listen == "" {
		return
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		k.report("control.listen", "%q is no address and port: %v; write for example 192.0.2.1:5710", c.Listen, err)
	}
	for _, f := range []struct{ key, file string }{{"certificate", c.Certificate}, {"key", c.Key}, {"client-ca", c.ClientCA}} {
		if f.file == "" {
			k.report("control."+f.key, "missing; without it nobody could tell who calls through %s", c.Listen)
		}
	}
}

func (k *checker) metrics() {
	listen := k.Metrics.Listen
	if listen == "" {
		return
	}
	if p, ok := strings.CutPrefix(listen, "unix:"); ok {
		if !path.IsAbs(p) {
			k.report("metrics.listen", "%q: the path of the socket must begin with /; write for example unix:/run/netmapd/metrics.sock", listen)
		}
		return
	}
	host, _, err := net.SplitHostPort(listen)
	ip := net.ParseIP(host)
	if err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		k.report("metrics.listen", "%q is neither unix:PATH nor an address and port of this machine alone; write for example 127.0.0.1:9710", listen)
	}
}

func (k *checker) telemetry() {
	endpoint := k.Telemetry.Endpoint
	if endpoint == "" {
		return
	}
	if p, ok := strings.CutPrefix(endpoint, "unix:"); ok {
		if !path.IsAbs(p) {
			k.report("telemetry.endpoint", "%q: the path of the socket must begin with /; write for example unix:/run/otel.sock", endpoint)
		}
		return
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Port() == "" || strings.Trim(u.Path, "/") != "" || u.User != nil || u.RawQuery != "" {
		k.report("telemetry.endpoint", "%q is neither unix:PATH nor http:// or https:// with a host and a port alone; write for example http://127.0.0.1:4317", endpoint)
	}
}
