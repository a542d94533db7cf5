package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/netmapd/netmapd/configs"
)

// write makes a configuration file and returns its path.
func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "netmapd.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func parseFlags(t *testing.T, args ...string) *pflag.FlagSet {
	t.Helper()
	flags := pflag.NewFlagSet("netmapd", pflag.ContinueOnError)
	if err := AddFlags(flags); err != nil {
		t.Fatal(err)
	}
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return flags
}

// Every file in configs/ is a valid configuration.
func TestShippedFiles(t *testing.T) {
	files, err := fs.Glob(configs.Files, "*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("found %v, %v", files, err)
	}
	for _, file := range files {
		data, err := configs.Files.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Decode(file, data); err != nil {
			t.Error(err)
		}
	}
}

// default.yaml gives each key a value and an explanation, and what the
// documentation promises.
func TestDefaultFileIsComplete(t *testing.T) {
	data, err := configs.Files.ReadFile(defaultFile)
	if err != nil {
		t.Fatal(err)
	}
	var p problems
	r := &reader{file: defaultFile, problems: &p, origins: make(origins)}
	r.document(data)
	usage, err := explanations()
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]string)
	for _, n := range schema.leaves() {
		if _, ok := r.origins[n.path]; !ok {
			t.Errorf("%s has no default in %s", n.path, defaultFile)
		}
		if usage[n.path] == "" {
			t.Errorf("%s is not explained in %s", n.path, defaultFile)
		}
		if other := names[n.env()]; other != "" {
			t.Errorf("%s and %s have the same environment variable", n.path, other)
		}
		names[n.env()] = n.path
	}
	c, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	c.origins = nil
	want := &Config{
		Version:    1,
		Log:        Log{Level: "info", Format: "text"},
		Lcores:     []Lcore{},
		DPDK:       DPDK{Hugepages: Auto, MemoryMB: 256, ExtraArgs: []string{}},
		Interfaces: Interfaces{Open: Auto, Allow: []string{"*"}, Driver: Auto},
		Memory:     Memory{Global: Region{IfNum: 100, RingNum: 200, RingSize: 36864, BufNum: 163840, BufSize: 2048}, HugepageUsers: []string{}, Regions: []NamedRegion{}},
		Ports:      []Port{},
		Switches:   []Switch{},
		Limits:     Limits{DescriptorsPerUID: 4096, ExtraBufsPerUID: 131072, MemoryMBPerUID: 262144, SessionsPerUID: 1024, Sessions: 4096, ControlTimeout: 5 * time.Second},
		Access:     Access{Rules: []Rule{}},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got\n%+v\nwant\n%+v", c, want)
	}
}

// The tags of the schema are themselves valid: a range tag that cannot be read
// would silently mean 0.
func TestSchemaTags(t *testing.T) {
	var walk func(n *node)
	walk = func(n *node) {
		if n.limits != "" && (n.min >= n.max || n.kind != integer && n.kind != duration) {
			t.Errorf("%s: range %q", n.path, n.limits)
		}
		if n.fallback != "" {
			if _, ok := n.parse(n.fallback); !ok {
				t.Errorf("%s: default: %s", n.path, n.refusal(n.fallback, n.fallback))
			}
		}
		for _, c := range n.children {
			if c.key == "" || c.key != strings.ToLower(c.key) || strings.ContainsAny(c.key, "_. ") {
				t.Errorf("key %q is not in kebab-case", c.key)
			}
			walk(c)
		}
	}
	walk(schema)
}

// default < file < environment < flag.
func TestPrecedence(t *testing.T) {
	file := write(t, "version: 1\nlog: {level: debug}\ndpdk: {memory-mb: 100}\ninterfaces: {allow: [a]}\n")
	tests := []struct {
		what   string
		file   string
		env    map[string]string
		args   []string
		change func(c *Config)
		where  string // of log.level
	}{
		{"defaults", "", nil, nil, func(*Config) {}, "the default"},
		{"file", file, nil, nil, func(c *Config) {
			c.Log.Level, c.DPDK.MemoryMB, c.Interfaces.Allow = "debug", 100, []string{"a"}
		}, file + ":2"},
		{
			"environment over file", file,
			map[string]string{"NETMAPD_LOG_LEVEL": "warn", "NETMAPD_DPDK_MEMORY_MB": "0x200", "NETMAPD_INTERFACES_ALLOW": "b,c*", "NETMAPD_LIMITS_CONTROL_TIMEOUT": "1s", "NETMAPD_DPDK_PCI": "true"},
			nil,
			func(c *Config) {
				c.Log.Level, c.DPDK.MemoryMB, c.Interfaces.Allow = "warn", 512, []string{"b", "c*"}
				c.Limits.ControlTimeout, c.DPDK.PCI = time.Second, true
			},
			"NETMAPD_LOG_LEVEL",
		},
		{
			"flags over environment", file,
			map[string]string{"NETMAPD_LOG_LEVEL": "warn", "NETMAPD_RUNTIME_DIR": "/e"},
			[]string{"--log-level=error", "--runtime-dir=/f", "--dpdk-memory-mb=300", "--interfaces-allow=d,e", "--dpdk-pci", "--limits-control-timeout=2s"},
			func(c *Config) {
				c.Log.Level, c.RuntimeDir, c.DPDK.MemoryMB, c.Interfaces.Allow = "error", "/f", 300, []string{"d", "e"}
				c.Limits.ControlTimeout, c.DPDK.PCI = 2*time.Second, true
			},
			"--log-level",
		},
		{"an empty variable is none", file, map[string]string{"NETMAPD_LOG_LEVEL": ""}, nil, func(c *Config) {
			c.Log.Level, c.DPDK.MemoryMB, c.Interfaces.Allow = "debug", 100, []string{"a"}
		}, file + ":2"},
		{"a flag can set what is the default", file, nil, []string{"--log-level=info"}, func(c *Config) {
			c.DPDK.MemoryMB, c.Interfaces.Allow = 100, []string{"a"}
		}, "--log-level"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			for key, value := range tt.env {
				t.Setenv(key, value)
			}
			got, err := Load(tt.file, parseFlags(t, tt.args...))
			if err != nil {
				t.Fatal(err)
			}
			want, err := Default()
			if err != nil {
				t.Fatal(err)
			}
			tt.change(want)
			want.origins = got.origins
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got\n%+v\nwant\n%+v", got, want)
			}
			if where := got.Where("log.level"); where != tt.where {
				t.Errorf("log.level is said to be from %s, want %s", where, tt.where)
			}
		})
	}
}

// A bad value is blamed on the layer it came from, and all layers are checked.
func TestLoadRefuses(t *testing.T) {
	file := write(t, "version: 1\nlog: {format: xml}\ninterfaces: {allow: [x, y]}\n")
	t.Setenv("NETMAPD_DPDK_MEMORY_MB", "many")
	t.Setenv("NETMAPD_INTERFACES_ALLOW", "a,b[")
	_, err := Load(file, parseFlags(t, "--log-level=loud", "--limits-sessions=0"))
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want an *Error", err)
	}
	want := []string{
		file + `:2: log.format: expected one of text, json, found "xml"`,
		`--log-level: log.level: expected one of debug, info, warn, error, found "loud"`,
		`NETMAPD_DPDK_MEMORY_MB: dpdk.memory-mb: expected a whole number from 64 to 1048576, found "many"`,
		`--limits-sessions: limits.sessions: expected a whole number from 1 to 1000000, found "0"`,
		`NETMAPD_INTERFACES_ALLOW: interfaces.allow[1]: "b[" is no shell pattern: a [ without its ] or a \ at the end; write for example veth*`,
	}
	if got := strings.Split(err.Error(), "\n"); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", err, strings.Join(want, "\n"))
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none.yaml"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no such file: %v", err)
	}
}

func TestFlagsExplainThemselves(t *testing.T) {
	help := parseFlags(t).FlagUsages()
	for _, want := range []string{
		`--log-level string `, `Least severe messages to log: debug, info, warn or error (default "info")`,
		`--limits-control-timeout duration`, `--dpdk-pci `,
	} {
		if !strings.Contains(help, want) {
			t.Errorf("%q is missing in\n%s", want, help)
		}
	}
}

func TestUnknownEnv(t *testing.T) {
	got := UnknownEnv([]string{"NETMAPD_LOGLEVEL=info", "NETMAPD_LOG_LEVEL=info", "HOME=/", "NETMAPD_VERSION=1"})
	if want := []string{"NETMAPD_LOGLEVEL", "NETMAPD_VERSION"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
