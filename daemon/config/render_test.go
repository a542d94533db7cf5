package config

import (
	"reflect"
	"strings"
	"testing"
)

const rendered = `version: 1
log:
  level: debug
interfaces:
  allow:
    - veth*
ports:
  - name: lan
    kind: interface
    ifname: "123"
    slots: 512
switches:
  - name: vale1
    ports:
      - lan
    ageing: 1m0s
    static:
      - mac: "02:00:00:00:00:01"
        port: lan
    options:
      - port: lan
        learning: false
        flood-limit: 100
  - name: vale2
    compat: true
access:
  rules:
    - who:
        - '@video'
      may:
        - view
`

// What is written is what differs from the default, and reads as what was written.
func TestRender(t *testing.T) {
	c, err := Decode("n.yaml", []byte(rendered))
	if err != nil {
		t.Fatal(err)
	}
	text, err := Render(c)
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != rendered {
		t.Errorf("got\n%s\nwant\n%s", text, rendered)
	}
	def, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	if text, err = Render(def); err != nil || string(text) != "version: 1\n" {
		t.Errorf("the default is %q, %v", text, err)
	}
	c.Interfaces.Allow = nil // as it is written, so it is read
	if text, err = Render(c); err != nil || !strings.Contains(string(text), "allow: []") {
		t.Errorf("an emptied list is left out: %v\n%s", err, text)
	}
}

// Update leaves alone what it has nothing to say about.
func TestUpdate(t *testing.T) {
	const file = `# mine
version: 1
log:
  format: json # for the collector
ports: # those of the house
  - {name: old, kind: device, devargs: net_null0}
limits:
  sessions: 77
`
	c, err := Decode("n.yaml", []byte(rendered))
	if err != nil {
		t.Fatal(err)
	}
	text, err := Update("f.yaml", []byte(file), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# mine", "format: json # for the collector", "sessions: 77", "level: debug"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is lost:\n%s", want, text)
		}
	}
	got, err := Decode("f.yaml", text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if !reflect.DeepEqual(got.Ports, c.Ports) || !reflect.DeepEqual(got.Switches, c.Switches) || got.Log.Level != "debug" || got.Limits.Sessions != 77 {
		t.Errorf("read again it is %+v", got)
	}
	if again, err := Update("f.yaml", text, c); err != nil || string(again) != string(text) {
		t.Errorf("written twice it changes: %v\n%s", err, again)
	}
	if _, err := Update("f.yaml", []byte("- a\n"), c); err == nil {
		t.Error("a file that is no configuration is written to")
	}
	if text, err = Update("f.yaml", nil, c); err != nil || !strings.HasPrefix(string(text), "version: 1\n") {
		t.Errorf("an empty file: %v\n%s", err, text)
	}
}
