package access

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPolicy(t *testing.T) {
	alice := Identity{Local: true, UID: 1001, Groups: []int{1001, 50}}
	bob := Identity{Local: true, UID: 1002, Groups: []int{1002, 60}}
	dave := Identity{Local: true, UID: 1004}
	ops := Identity{Certificate: "ops"}
	p := &Policy{Owner: 900, Rules: []Rule{
		{GIDs: []int{50}, Verbs: []Verb{View, Attach}, Ports: []string{"vale0:*", "lan"}},
		{UIDs: []int{1002}, Verbs: []Verb{Monitor}, Ports: []string{"vale[12]:?"}},
		{UIDs: []int{1004}, Verbs: []Verb{Administer}, Ports: []string{"vale3:*"}},
		{Certificates: []string{"ops"}, Verbs: []Verb{View, Administer}},
	}}
	tests := []struct {
		what   string
		id     Identity
		verb   Verb
		object string
		want   bool
	}{
		{"root", Identity{Local: true}, Administer, "vale0", true},
		{"the owner", Identity{Local: true, UID: 900}, Attach, "eth0", true},
		{"nobody has uid 0 too", Identity{}, View, "", false},
		{"by a supplementary group", alice, Attach, "vale0:x", true},
		{"a pipe of an allowed port", alice, Attach, "vale0:x{3", true},
		{"a pipe of an interface", alice, Attach, "lan}a", true},
		{"another switch", alice, Attach, "vale1:x", false},
		{"a pipe of another switch's port", alice, Attach, "vale1:x{3", false},
		{"a name that only begins like it", alice, Attach, "lan2", false},
		{"another verb", alice, Monitor, "vale0:x", false},
		{"the verb on anything", alice, View, "", true},
		{"a verb on nothing", alice, Administer, "", false},
		{"by uid and a class", bob, Monitor, "vale2:a", true},
		{"too long for the pattern", bob, Monitor, "vale2:ab", false},
		{"a slash in a name", bob, Monitor, "vale2:/", true},
		{"the system with a rule for some ports", dave, Administer, "", false},
		{"a port with it", dave, Administer, "vale3:a", true},
		{"the system with a rule for all", ops, Administer, "", true},
		{"a certificate", ops, Administer, "eth0", true},
		{"another certificate", Identity{Certificate: "Ops"}, View, "", false},
		{"a uid does not match a certificate rule", Identity{Local: true, UID: 7, Certificate: "ops"}, View, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			err := p.Check(tt.id, tt.verb, tt.object)
			if (err == nil) != tt.want {
				t.Fatalf("%v: %v %v %q", err, tt.id, tt.verb, tt.object)
			}
			if err != nil && (!errors.Is(err, unix.EACCES) || !strings.Contains(err.Error(), string(tt.verb))) {
				t.Errorf("the refusal is %q, want an EACCES that names the verb", err)
			}
		})
	}
}

func TestPeerOf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close() //nolint:errcheck // ends with the test
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // ends with the test
	u, err := ln.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close() //nolint:errcheck // ends with the test
	id, err := PeerOf(u)
	if err != nil {
		t.Fatal(err)
	}
	groups, err := os.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	if want := append([]int{os.Getegid()}, groups...); id.UID != os.Geteuid() || id.PID != os.Getpid() || !slices.Equal(id.Groups, want) {
		t.Errorf("peer %+v, want uid %d, pid %d, groups %v", id, os.Geteuid(), os.Getpid(), want)
	}
}

func TestAudit(t *testing.T) {
	var out bytes.Buffer
	g := NewGuard(slog.New(slog.NewTextHandler(&out, nil)))
	id := Identity{Local: true, UID: 1 << 30}
	g.Audit(id, "CreatePort", "lan", nil)
	g.Audit(id, "CreatePort", "lan", g.Check(id, Administer, "lan"))
	g.Audit(id, "CreatePort", "lan", unix.EEXIST)
	for i, want := range []string{"result=done", "level=WARN msg=audit", "result=failed"} {
		if line := strings.Split(out.String(), "\n")[i]; !strings.Contains(line, want) {
			t.Errorf("line %d is %q, want %q in it", i, line, want)
		}
	}
}
