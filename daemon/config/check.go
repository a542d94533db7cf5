package config

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/name"
)

// checker looks for values that are right by themselves and cannot be together,
// or that the schema cannot tell from right ones.
type checker struct {
	*Config
	problems *problems
}

func (c *Config) check(p *problems) {
	k := &checker{c, p}
	k.interfaces()
	k.lcores()
	k.regions()
	k.ports()
	k.switches()
	k.access()
	k.control()
}

func (k *checker) report(key, format string, args ...any) {
	k.problems.add(k.origins.of(key), key, format, args...)
}

// given says whether a key was written down, as opposed to defaulted.
func (k *checker) given(key string) bool {
	_, ok := k.origins[key]
	return ok
}

// first remembers under which key a value came first.
type first[V comparable] map[V]string

// taken returns the key under which value came before, or "" and takes it.
func (f first[V]) taken(value V, key string) string {
	if before, ok := f[value]; ok {
		return before
	}
	f[value] = key
	return ""
}

func (k *checker) interfaces() {
	for i, pattern := range k.Interfaces.Allow {
		key := fmt.Sprintf("interfaces.allow[%d]", i)
		if _, err := path.Match(pattern, ""); err != nil {
			k.report(key, "%q is no shell pattern: a [ without its ] or a \\ at the end; write for example veth*", pattern)
		}
		if strings.ContainsAny(pattern, " \t\n/:") {
			k.report(key, "%q matches no interface: their names hold no space, slash or colon", pattern)
		}
	}
}

func (k *checker) lcores() {
	cpus := make(first[int])
	for i, l := range k.Lcores {
		key := fmt.Sprintf("lcores[%d]", i)
		if k.given(key + ".cpu") {
			if before := cpus.taken(l.CPU, key); before != "" {
				k.report(key+".cpu", "CPU %d is taken by %s; a CPU runs one lcore", l.CPU, before)
			}
		}
		if l.Mode == ModePoll && k.given(key+".spin") {
			k.report(key+".spin", "an lcore in mode poll never sleeps; leave spin out or use mode adaptive")
		}
	}
}

func (k *checker) ports() {
	names, ifnames := make(first[string]), make(first[string])
	for i, p := range k.Ports {
		key := fmt.Sprintf("ports[%d]", i)
		if p.Name != "" || k.given(key+".name") {
			k.portName(key+".name", p.Name)
			if before := names.taken(p.Name, key); before != "" {
				k.report(key+".name", "%q is the name of %s; names are unique", p.Name, before)
			}
		}
		switch p.Kind {
		case KindInterface:
			k.interfacePort(key, p)
			if before := ifnames.taken(p.Ifname, key); before != "" && p.Ifname != "" {
				k.report(key+".ifname", "interface %q is taken by %s; an interface is one port", p.Ifname, before)
			}
		case KindDevice:
			k.devicePort(key, p)
		case KindPersistent:
			k.persistentPort(key, p)
		}
		slots := cmp.Or(p.Slots, abi.DefaultSlots)
		size := abi.RingHeaderSize + slots*abi.SlotSize
		if has, where := k.ringSize(p.Name); size > has {
			k.report(key+".slots", "a ring of %d slots has %d bytes, %s is %d; use fewer slots or raise it", slots, size, where, has)
		}
	}
}

// portName checks that programs can open the port as netmap:NAME.
func (k *checker) portName(key, n string) {
	if err := name.CheckInterface(n); err != nil {
		k.report(key, "%s", why(n, err))
		return
	}
	s, err := name.Parse("netmap:" + n)
	if err != nil {
		k.report(key, "%s", why(n, err))
		return
	}
	if core, err := name.ParseCore(s.Name); err != nil || s.Name != n || core.Kind != name.Interface {
		k.report(key, "%q: no program could open it, netmap:%s means something else; use a name without - * ^ / @ { } and give the interface as ifname", n, n)
	}
}

func (k *checker) interfacePort(key string, p Port) {
	if p.Devargs != "" {
		k.report(key+".devargs", "only for kind device; leave it out")
	}
	if p.Host != "" {
		k.report(key+".host", "only for kind device, a kernel interface is its own; leave it out")
	}
	if err := name.CheckInterface(p.Ifname); err != nil && k.given(key+".ifname") {
		k.report(key+".ifname", "%s", why(p.Ifname, err))
	}
}

func (k *checker) devicePort(key string, p Port) {
	if p.Devargs == "" {
		k.report(key+".devargs", "missing; a port of kind device needs a DPDK device, for example net_null0,size=60")
	}
	if _, err := hex.DecodeString(p.Fill); err != nil {
		k.report(key+".fill", "expected a frame in hexadecimal digits: %v", err)
	}
	if err := name.CheckInterface(p.Host); err != nil && p.Host != "" {
		k.report(key+".host", "%s", why(p.Host, err))
	}
	for _, k2 := range []string{".ifname", ".driver"} {
		if k.given(key + k2) {
			k.report(key+k2, "only for kind interface; leave it out")
		}
	}
}

// persistentPort leaves rings, slots and the host's interface be.
func (k *checker) persistentPort(key string, p Port) {
	for _, k2 := range []string{".ifname", ".driver", ".devargs", ".mtu", ".fill", ".unbound"} {
		if k.given(key + k2) {
			k.report(key+k2, "not for kind persistent; leave it out")
		}
	}
	if p.Rings > abi.ValeMaxRings {
		k.report(key+".rings", "found %d, a persistent port has at most %d", p.Rings, abi.ValeMaxRings)
	}
	if p.Slots > abi.ValeMaxSlots {
		k.report(key+".slots", "found %d, the rings of a persistent port have at most %d", p.Slots, abi.ValeMaxSlots)
	}
	if err := name.CheckInterface(p.Host); err != nil && p.Host != "" {
		k.report(key+".host", "%s", why(p.Host, err))
	}
}

func (k *checker) switches() {
	configured, interfaces := make(map[string]bool), make(map[string]string)
	persistent, once := make(map[string]bool), make(map[string]bool)
	for _, p := range k.Ports {
		configured[p.Name] = true
		persistent[p.Name] = p.Kind == KindPersistent
		if p.Kind == KindInterface {
			interfaces[p.Ifname] = p.Name
		}
	}
	names, attached := make(first[string]), make(first[string])
	for i, s := range k.Switches {
		key := fmt.Sprintf("switches[%d]", i)
		if s.Name != "" || k.given(key+".name") {
			if err := name.CheckSwitch(s.Name); err != nil {
				k.report(key+".name", "%s", why(s.Name, err))
			}
			if before := names.taken(s.Name, key); before != "" {
				k.report(key+".name", "%q is the name of %s; names are unique", s.Name, before)
			}
		}
		k.forwarding(key, s)
		for j, p := range s.Ports {
			at := fmt.Sprintf("%s.ports[%d]", key, j)
			p, hostToo := strings.CutSuffix(p, "*")
			if persistent[p] && hostToo {
				k.report(at, "port %q is persistent and has no host rings; leave * out", p)
			}
			if before := attached.taken(p, at); before != "" && (!persistent[p] || strings.HasPrefix(before, key+".")) {
				k.report(at, "port %q is attached by %s; a port is on one switch, once", p, before)
			} else if before != "" { // it ties two switches together
				if once[p] {
					k.report(at, "port %q is attached by two switches before this one; a persistent port is on two at most", p)
				}
				once[p] = true
			}
			if configured[p] {
				continue
			}
			if port := interfaces[p]; port != "" {
				k.report(at, "%q is the interface of port %q; name the port", p, port)
			} else if err := name.CheckInterface(p); err != nil {
				k.report(at, "%q is no configured port and cannot be an interface: %s", p, reason(err))
			}
		}
	}
}

// why quotes a name and says what is wrong with it.
func why(n string, err error) string { return fmt.Sprintf("%q: %s", n, reason(err)) }

func reason(err error) string {
	if e, ok := errors.AsType[*name.Error](err); ok {
		return e.Why
	}
	return err.Error()
}
