package main

import (
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	const lcores = `"lcores":[{"id":0,"cpu":1,"packets":200,"cycles_per_packet":80},{"id":1,"cpu":2,"packets":0,"cycles_per_packet":null}]`
	for _, c := range []struct {
		name, in, out, err string
	}{
		{
			name: "every frame is accounted for",
			in: `{"ports":[{"name":"vale0:a","tx":{"frames":100}},
				{"name":"vale0:b","rx":{"frames":90},"drops":{"ring full":7,"unread at close":3,"unused":0}},
				{"name":"vale1:b","tx":{"frames":5},"drops":{"ring full":1}}],` + lcores + `}`,
			out: "sent 100, received 90, dropped 10\n  dropped, ring full: 7\n  dropped, unread at close: 3\n" +
				"lcore 0 on CPU 1: 200 packets, 80.0 cycles per packet\n",
		},
		{
			name: "a frame is missing",
			in:   `{"ports":[{"name":"vale0:a","tx":{"frames":100}},{"name":"vale0:b","rx":{"frames":99}}]}`,
			out:  "sent 100, received 99, dropped 0\n", err: "1 are not accounted for",
		},
		{
			name: "a frame too many",
			in:   `{"ports":[{"name":"vale0:a","tx":{"frames":100}},{"name":"vale0:b","rx":{"frames":101}}]}`,
			out:  "sent 100, received 101, dropped 0\n", err: "-1 are not accounted for",
		},
		{name: "silence", in: `{"snapshot":{}}`, out: "sent 0, received 0, dropped 0\n", err: "received nothing"},
		{name: "no JSON", in: `PORT TX RX`, err: "not what nmctl prints"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out strings.Builder
			err := run(strings.NewReader(c.in), &out, "vale0:a", "vale0:b")
			if (c.err == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v, want one with %q", err, c.err)
			}
			if out.String() != c.out {
				t.Errorf("printed\n%swant\n%s", out.String(), c.out)
			}
		})
	}
}
