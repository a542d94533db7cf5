package bridge

import (
	"strings"
	"testing"
)

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		what   string
		change func(*Options)
		says   string // "" for fine
	}{
		{"two ports", func(*Options) {}, ""},
		{"no port", func(o *Options) { o.Interfaces = nil }, "two ports"},
		{"one port", func(o *Options) { o.Interfaces = o.Interfaces[:1] }, "host rings"},
		{"the same port twice", func(o *Options) { o.Interfaces = []string{"eth0", "eth0"} }, "host rings"},
		{"three ports", func(o *Options) { o.Interfaces = append(o.Interfaces, "x") }, "found 3"},
		{"no burst", func(o *Options) { o.Burst = 0 }, "-b 0"},
		{"a huge burst", func(o *Options) { o.Burst = 8193 }, "-b 8193"},
		{"a long wait", func(o *Options) { o.Wait = 101 }, "-w 101"},
	} {
		o := Default()
		o.Interfaces = []string{"vale0:a", "vale1:a"}
		c.change(&o)
		err := o.Validate()
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	for _, c := range []struct {
		a, b, name string
		wait       float64
	}{
		{"vale0:a", "vale1:b", "vale0:a", 0},
		{"eth0", "vale1:b", "netmap:eth0", 4},
		{"netmap:eth0-1", "vale1:b", "netmap:eth0-1", 4},
	} {
		o := Default()
		o.Interfaces = []string{c.a, c.b}
		if err := o.Validate(); err != nil || o.Interfaces[0] != c.name || o.Wait != c.wait {
			t.Errorf("%s: opens %s after %v s, %v", c.a, o.Interfaces[0], o.Wait, err)
		}
	}
}
