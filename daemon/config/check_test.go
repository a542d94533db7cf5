package config

import (
	"reflect"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	tests := []struct {
		what, yaml string
		want       []string
	}{
		{
			"port name that means something else", "ports:\n- {name: br-lan, kind: interface}\n- {name: 'p{1', kind: interface}\n- {name: eth0-1, kind: interface}\n",
			[]string{
				`n.yaml:3: ports[0].name: "br-lan": expected the number of a ring (0 to 4094), found "l"`,
				`n.yaml:4: ports[1].name: "p{1": no program could open it, netmap:p{1 means something else; use a name without - * ^ / @ { } and give the interface as ifname`,
				`n.yaml:5: ports[2].name: "eth0-1": no program could open it, netmap:eth0-1 means something else; use a name without - * ^ / @ { } and give the interface as ifname`,
			},
		},
		{
			"names that no interface has", "ports:\n- {name: a234567890123456, kind: interface}\n- {name: vale0:1, kind: interface}\n- {name: '', kind: interface}\n- {name: ok, kind: interface, ifname: a/b}\n",
			[]string{
				`n.yaml:3: ports[0].name: "a234567890123456": the name of an interface has at most 15 characters, this one has 16`,
				`n.yaml:4: ports[1].name: "vale0:1": no interface name holds ":"; a switch port is written vale0:1`,
				`n.yaml:5: ports[2].name: "": no interface can be called ""; write for example eth0`,
				`n.yaml:6: ports[3].ifname: "a/b": no interface name holds "/"; a switch port is written vale0:1`,
			},
		},
		{
			"access rules", "access:\n  rules:\n  - who: [alice, '@']\n    may: [view, atach]\n    ports: ['vale[0:*']\n  - may: [view]\n",
			[]string{
				`n.yaml:4: access.rules[0].who[1]: "@" names nobody; write a user, @group or cert:NAME`,
				`n.yaml:5: access.rules[0].may[1]: expected one of view, attach, monitor, administer, found "atach"; did you mean attach?`,
				`n.yaml:6: access.rules[0].ports[0]: "vale[0:*" is no shell pattern: a [ without its ] or a \ at the end; write for example vale0:*`,
				`n.yaml:7: access.rules[1].who: missing; expected a list of texts`,
			},
		},
		{
			"regions", "memory:\n  regions:\n  - {name: a, ports: ['[']}\n  - {name: a, ring-size: 2000}\n  - {name: global}\n  - {buf-num: 1}\n",
			[]string{
				`n.yaml:4: memory.regions[0].ports[0]: "[" is no shell pattern: a [ without its ] or a \ at the end; write for example vale0:*`,
				`n.yaml:5: memory.regions[1].name: "a" is the name of memory.regions[0]; names are unique`,
				`n.yaml:5: memory.regions[1].ring-size: 2000 is no multiple of 128 bytes; use 2048`,
				`n.yaml:6: memory.regions[2].name: "global" is the name of memory.global; names are unique`,
				`n.yaml:7: memory.regions[3].buf-num: expected a whole number from 4 to 1000000, found the number 1`,
				`n.yaml:7: memory.regions[3].name: missing; expected a text`,
			},
		},
		{
			"slots beyond the rings of a region", "memory:\n  regions:\n  - {name: a, ports: [e*], ring-size: 1024}\nports:\n- {name: eth0, kind: interface}\n",
			[]string{`n.yaml:6: ports[0].slots: a ring of 1024 slots has 16640 bytes, memory.regions[0].ring-size is 1024; use fewer slots or raise it`},
		},
		{
			"a TCP listener for everybody", "control: {listen: '5710', key: k.pem}\n",
			[]string{
				`n.yaml:2: control.listen: "5710" is no address and port: address 5710: missing port in address; write for example 192.0.2.1:5710`,
				`n.yaml:2: control.certificate: missing; without it nobody could tell who calls through 5710`,
				`n.yaml:2: control.client-ca: missing; without it nobody could tell who calls through 5710`,
			},
		},
		{
			"metrics for everybody", "metrics: {listen: '0.0.0.0:9710'}\n",
			[]string{`n.yaml:2: metrics.listen: "0.0.0.0:9710" is neither unix:PATH nor an address and port of this machine alone; write for example 127.0.0.1:9710`},
		},
		{
			"spans to a name alone", "telemetry: {endpoint: 'collector'}\n",
			[]string{`n.yaml:2: telemetry.endpoint: "collector" is neither unix:PATH nor http:// or https:// with a host and a port alone; write for example http://127.0.0.1:4317`},
		},
		{
			"spans without a port", "telemetry: {endpoint: 'https://collector/v1'}\n",
			[]string{`n.yaml:2: telemetry.endpoint: "https://collector/v1" is neither unix:PATH nor http:// or https:// with a host and a port alone; write for example http://127.0.0.1:4317`},
		},
		{
			"spans on a relative path", "telemetry: {endpoint: 'unix:otel.sock'}\n",
			[]string{`n.yaml:2: telemetry.endpoint: "unix:otel.sock": the path of the socket must begin with /; write for example unix:/run/otel.sock`},
		},
		{
			"metrics on a relative path", "metrics: {listen: 'unix:m.sock'}\n",
			[]string{`n.yaml:2: metrics.listen: "unix:m.sock": the path of the socket must begin with /; write for example unix:/run/netmapd/metrics.sock`},
		},
		{
			"duplicate names", "ports:\n- {name: a, kind: interface}\n- {name: a, kind: interface, ifname: b}\n- {name: c, kind: interface, ifname: a}\nswitches:\n- name: vale0\n- name: vale0\n",
			[]string{
				`n.yaml:4: ports[1].name: "a" is the name of ports[0]; names are unique`,
				`n.yaml:5: ports[2].ifname: interface "a" is taken by ports[0]; an interface is one port`,
				`n.yaml:8: switches[1].name: "vale0" is the name of switches[0]; names are unique`,
			},
		},
		{
			"keys of the other kind", "ports:\n- {name: a, kind: interface, devargs: net_null0}\n- {name: b, kind: device, driver: af_xdp, ifname: b}\n",
			[]string{
				`n.yaml:3: ports[0].devargs: only for kind device; leave it out`,
				`n.yaml:4: ports[1].devargs: missing; a port of kind device needs a DPDK device, for example net_null0,size=60`,
				`n.yaml:4: ports[1].ifname: only for kind interface; leave it out`,
				`n.yaml:4: ports[1].driver: only for kind interface; leave it out`,
			},
		},
		{
			"rings larger than their objects", "memory: {global: {ring-size: 8192}}\nports:\n- name: a\n  kind: interface\n",
			[]string{`n.yaml:4: ports[0].slots: a ring of 1024 slots has 16640 bytes, memory.global.ring-size is 8192; use fewer slots or raise it`},
		},
		{
			"switch names", "switches:\n- name: br0\n- name: vale0:1\n- name: vale567890123456\n",
			[]string{
				`n.yaml:3: switches[0].name: "br0": the name of a switch begins with "vale"; write for example vale0`,
				`n.yaml:4: switches[1].name: "vale0:1": the name of a switch is "vale" and letters, digits and "_" only, found ":"`,
				`n.yaml:5: switches[2].name: "vale567890123456": the name of a switch has at most 15 characters, this one has 16; use a shorter one`,
			},
		},
		{
			"ports of switches", "ports:\n- {name: a, kind: interface, ifname: veth0}\nswitches:\n- name: vale0\n  ports:\n  - a\n  - veth0\n  - vale1:x\n- name: vale1\n  ports: [a, b, b]\n",
			[]string{
				`n.yaml:8: switches[0].ports[1]: "veth0" is the interface of port "a"; name the port`,
				`n.yaml:9: switches[0].ports[2]: "vale1:x" is no configured port and cannot be an interface: no interface name holds ":"; a switch port is written vale0:1`,
				`n.yaml:11: switches[1].ports[0]: port "a" is attached by switches[0].ports[0]; a port is on one switch, once`,
				`n.yaml:11: switches[1].ports[2]: port "b" is attached by switches[1].ports[1]; a port is on one switch, once`,
			},
		},
		{
			"lcores", "lcores:\n- {cpu: 1, mode: poll, spin: 1us}\n- {cpu: 2}\n- {cpu: 1}\n",
			[]string{
				`n.yaml:3: lcores[0].spin: an lcore in mode poll never sleeps; leave spin out or use mode adaptive`,
				`n.yaml:5: lcores[2].cpu: CPU 1 is taken by lcores[0]; a CPU runs one lcore`,
			},
		},
		{
			"patterns", "interfaces:\n  allow:\n  - 'veth['\n  - 'veth 1'\n",
			[]string{
				`n.yaml:4: interfaces.allow[0]: "veth[" is no shell pattern: a [ without its ] or a \ at the end; write for example veth*`,
				`n.yaml:5: interfaces.allow[1]: "veth 1" matches no interface: their names hold no space, slash or colon`,
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) { wantProblems(t, "version: 1\n"+tt.yaml, tt.want) })
	}
}

func TestValidate(t *testing.T) {
	c, err := Decode("n.yaml", []byte("version: 1\nlcores:\n- cpu: 1\n- cpu: 7\ndpdk:\n  hugepages: require\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(Facts{CPUs: []int{1, 7}, FreeHugepages: 1}); err != nil {
		t.Errorf("a machine that has everything: %v", err)
	}
	err = c.Validate(Facts{CPUs: []int{0, 1, 2, 8}})
	want := "n.yaml:4: lcores[1].cpu: this process cannot run on CPU 7; it may use 0-2,8\n" +
		"n.yaml:6: dpdk.hugepages: required, and no hugepage is free; write a number to /proc/sys/vm/nr_hugepages or use auto"
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestInterfacesExist(t *testing.T) {
	c, err := Decode("n.yaml", []byte("version: 1\nports:\n- name: lan\n  kind: interface\n- name: wan\n  kind: interface\n  ifname: eth9\n"+
		"switches:\n- name: vale1\n  ports: [lan, tap0, eth1]\n"))
	if err != nil {
		t.Fatal(err)
	}
	here, err := ReadFacts()
	if err != nil {
		t.Fatal(err)
	}
	here.Interfaces = []string{"lan", "eth9", "tap0", "eth1"}
	if err := c.Validate(here); err != nil {
		t.Errorf("a machine that has them: %v", err)
	}
	here.Interfaces = []string{"eth1"}
	err = c.Validate(here)
	want := "n.yaml:3: ports[0].name: the kernel has no interface \"lan\" in this network namespace; create it first\n" +
		"n.yaml:7: ports[1].ifname: the kernel has no interface \"eth9\" in this network namespace; create it first\n" +
		"n.yaml:10: switches[0].ports[1]: \"tap0\" is neither one of ports nor an interface of the kernel"
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestResolveLcores(t *testing.T) {
	f := Facts{CPUs: []int{0, 2, 5}}
	c, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.ResolveLcores(f), []Lcore{{CPU: 5, Mode: ModeAdaptive, Spin: 50_000}}; !reflect.DeepEqual(got, want) {
		t.Errorf("none configured: %+v, want %+v", got, want)
	}
	c.Lcores = []Lcore{{CPU: 2, Mode: ModePoll}}
	if got := c.ResolveLcores(f); !reflect.DeepEqual(got, c.Lcores) {
		t.Errorf("one configured: %+v", got)
	}
}

func TestReadFacts(t *testing.T) {
	f, err := ReadFacts()
	if err != nil {
		t.Fatal(err)
	}
	c, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	c.Lcores = c.ResolveLcores(f)
	if err := c.Validate(f); err != nil || len(c.Lcores) != 1 {
		t.Errorf("the default does not run here: %v, %+v", err, f)
	}
	if s := ranges([]int{0, 1, 2, 4, 6, 7}); s != "0-2,4,6-7" || strings.Contains(ranges(f.CPUs), "--") {
		t.Errorf("ranges: %s", s)
	}
}
