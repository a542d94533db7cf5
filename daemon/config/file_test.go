package config

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

// Every message has file, line and path of the key, says what was expected and
// found, and all of a file's problems come at once.
func TestDecodeRefuses(t *testing.T) {
	tests := []struct {
		what, yaml string
		want       []string
	}{
		{"unknown key", "version: 1\nlog:\n  levell: info\n", []string{`n.yaml:3: log.levell: unknown key; did you mean level?`}},
		{"unknown key of another case", "version: 1\nPorts: []\n", []string{`n.yaml:2: Ports: unknown key; did you mean ports?`}},
		{"key in the wrong section", "version: 1\nmemory-mb: 5\n", []string{`n.yaml:2: memory-mb: unknown key; did you mean dpdk.memory-mb?`}},
		{
			"key like no other", "version: 1\nlog:\n  frobnicate: 1\n",
			[]string{`n.yaml:3: log.frobnicate: unknown key; known here: level, format`},
		},
		{
			"unknown key in a list", "version: 1\nports:\n- name: a\n  kind: interface\n- name: b\n  kind: interface\n  drvier: auto\n",
			[]string{`n.yaml:7: ports[1].drvier: unknown key; did you mean driver?`},
		},
		{"impossible choice", "version: 1\nlog:\n  level: inof\n", []string{`n.yaml:3: log.level: expected one of debug, info, warn, error, found "inof"; did you mean info?`}},
		{"choice of another type", "version: 1\nlog:\n  level: 7\n", []string{`n.yaml:3: log.level: expected one of debug, info, warn, error, found the number 7`}},
		{"text for a number", "version: 1\ndpdk:\n  memory-mb: lots\n", []string{`n.yaml:3: dpdk.memory-mb: expected a whole number from 64 to 1048576, found "lots"`}},
		{"quoted number", "version: 1\ndpdk:\n  memory-mb: '256'\n", []string{`n.yaml:3: dpdk.memory-mb: expected a whole number from 64 to 1048576, found "256"`}},
		{"fraction", "version: 1\ndpdk:\n  memory-mb: 256.5\n", []string{`n.yaml:3: dpdk.memory-mb: expected a whole number from 64 to 1048576, found the number 256.5`}},
		{"too small", "version: 1\ndpdk:\n  memory-mb: 63\n", []string{`n.yaml:3: dpdk.memory-mb: expected a whole number from 64 to 1048576, found the number 63`}},
		{"no bool", "version: 1\ndpdk:\n  pci: maybe\n", []string{`n.yaml:3: dpdk.pci: expected true or false, found "maybe"`}},
		{
			"duration without unit", "version: 1\nlimits:\n  control-timeout: 5\n",
			[]string{`n.yaml:3: limits.control-timeout: expected a duration such as 50us or 5s from 10ms to 10m, found the number 5`},
		},
		{
			"duration too long", "version: 1\nlcores:\n- cpu: 0\n  spin: 2s\n",
			[]string{`n.yaml:4: lcores[0].spin: expected a duration such as 50us or 5s from 0s to 1s, found "2s"`},
		},
		{"list for a section", "version: 1\nlog: [info]\n", []string{`n.yaml:2: log: expected a section with the keys level, format, found a list`}},
		{"text for a list", "version: 1\ninterfaces:\n  allow: veth*\n", []string{`n.yaml:3: interfaces.allow: expected a list of texts, found "veth*"`}},
		{"number in a list of texts", "version: 1\ndpdk:\n  extra-args:\n  - -m\n  - 256\n", []string{`n.yaml:5: dpdk.extra-args[1]: expected a text, found the number 256; put it in quotes`}},
		{"text in a list of sections", "version: 1\nlcores: [1]\n", []string{`n.yaml:2: lcores[0]: expected a section with the keys cpu, mode, spin, found the number 1`}},
		{"number for a text", "version: 1\nruntime-dir: 5\n", []string{`n.yaml:2: runtime-dir: expected a text, found the number 5; put it in quotes`}},
		{"key given twice", "version: 1\nlog:\n  level: info\nlog:\n  level: warn\n", []string{`n.yaml:4: log: given twice, first in line 2; keep one`}},
		{"key that is no text", "version: 1\n[a]: b\n", []string{`n.yaml:2: expected a key, found a list`}},

		{"no version", "log:\n  level: info\n", []string{`n.yaml:1: version: missing; write "version: 1" first`}},
		{"empty", "", []string{`n.yaml:1: version: missing; write "version: 1" first`}},
		{"another version hides the rest", "version: 2\nnews: 1\n", []string{`n.yaml:1: version: expected 1, found the number 2; this netmapd reads no other version`}},
		{"list as a whole", "- version: 1\n", []string{`n.yaml:1: expected a section with the keys version, runtime-dir, log, lcores, dpdk, interfaces, memory, ports, switches, limits, access, control, metrics, telemetry, found a list`}},
		{"two documents", "version: 1\n---\nversion: 1\n", []string{`n.yaml:2: found a second YAML document; put everything into one, without "---" between`}},
		{"bad indentation", "version: 1\nlog:\n  level: info\n format: text\n", []string{`n.yaml:4: not YAML: did not find expected key`}},
		{"no YAML", "version: 1\nlog: {level\n", []string{`n.yaml:2: not YAML: did not find expected ',' or '}'`}},
		{"tabs", "version: 1\nlog:\n\tlevel: info\n", []string{`n.yaml:3: not YAML: found character that cannot start any token`}},

		{
			"missing keys", "version: 1\nlcores:\n- mode: poll\nports:\n- driver: auto\nswitches:\n- ports: []\n",
			[]string{
				`n.yaml:3: lcores[0].cpu: missing; expected a whole number from 0 to 4095`,
				`n.yaml:5: ports[0].name: missing; expected a text`,
				`n.yaml:5: ports[0].kind: missing; expected one of interface, device, persistent`,
				`n.yaml:7: switches[0].name: missing; expected a text`,
			},
		},
		{
			"everything at once, in the order of lines",
			"version: 1\nswitches:\n- name: br0\nlog:\n  levell: info\nlcores:\n- cpu: 0\n- cpu: 0\ndpdk:\n  pci: 1\n",
			[]string{
				`n.yaml:3: switches[0].name: "br0": the name of a switch begins with "vale"; write for example vale0`,
				`n.yaml:5: log.levell: unknown key; did you mean level?`,
				`n.yaml:8: lcores[1].cpu: CPU 0 is taken by lcores[0]; a CPU runs one lcore`,
				`n.yaml:10: dpdk.pci: expected true or false, found the number 1`,
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) { wantProblems(t, tt.yaml, tt.want) })
	}
}

func wantProblems(t *testing.T, yaml string, want []string) {
	t.Helper()
	c, err := Decode("n.yaml", []byte(yaml))
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("Decode: %v; want an *Error", err)
	}
	if c != nil {
		t.Error("a refused file leaves a configuration")
	}
	if got := strings.Split(err.Error(), "\n"); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", err, strings.Join(want, "\n"))
	}
}

func TestDecodeAccepts(t *testing.T) {
	c, err := Decode("n.yaml", []byte(`
version: 1
runtime-dir:            # nothing: as if it were not there
log: &log {level: debug}
dpdk: {memory-mb: 0x100, pci: True, extra-args: [--log-level, "9"]}
lcores:
- {cpu: 0, mode: poll}
- {cpu: 3, spin: 0}
ports:
- {name: lan, kind: interface, ifname: br-lan, slots: 2048}
- {name: eth1, kind: interface}
- {name: n0, kind: device, devargs: "net_null0", rings: 2}
switches:
- {name: vale1, ports: [lan, n0, veth7]}
`))
	if err != nil {
		t.Fatal(err)
	}
	want, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	want.Log.Level = "debug"
	want.DPDK = DPDK{Hugepages: Auto, MemoryMB: 256, PCI: true, ExtraArgs: []string{"--log-level", "9"}}
	want.Lcores = []Lcore{{CPU: 0, Mode: ModePoll, Spin: 50_000}, {CPU: 3, Mode: ModeAdaptive, Spin: 0}}
	want.Ports = []Port{
		{Name: "lan", Kind: KindInterface, Ifname: "br-lan", Driver: Auto, Slots: 2048, Unbound: "host"},
		{Name: "eth1", Kind: KindInterface, Ifname: "eth1", Driver: Auto, Unbound: "host"},
		{Name: "n0", Kind: KindDevice, Driver: Auto, Devargs: "net_null0", Rings: 2, Unbound: "host"},
	}
	want.Switches = []Switch{{Name: "vale1", Ports: []string{"lan", "n0", "veth7"}, Ageing: 300 * time.Second}}
	want.origins = c.origins
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got\n%+v\nwant\n%+v", c, want)
	}
	for key, where := range map[string]string{
		"log.level": "n.yaml:4", "ports[1].name": "n.yaml:11", "ports[1].driver": "n.yaml:11", "limits.sessions": "the default",
	} {
		if got := c.Where(key); got != where {
			t.Errorf("Where(%q) = %q, want %q", key, got, where)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		"", "---", "version: 1", "version: 1\nports: [{name: a, kind: device}, *x]", "a: &a [*a]", "version: &v 1\nlog: *v",
		"version: 1\nlcores: [{cpu: 1, spin: 5}]\nswitches: [{name: vale, ports: ['']}]", "? [a]\n: b", "<<: {version: 1}",
		"version: 1\nlog:\nlimits: {sessions: 1_000}\nlog: {}", "version: 1\ninterfaces: {allow: ['[', ~]}", "!!binary a: b",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Decode("n.yaml", data)
		var e *Error
		switch {
		case err == nil && c == nil:
			t.Error("neither a configuration nor an error")
		case err != nil && !errors.As(err, &e):
			t.Errorf("not an *Error, so without a place: %v", err)
		}
	})
}
