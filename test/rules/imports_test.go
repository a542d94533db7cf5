package rules

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

const module = "github.com/netmapd/netmapd/"

// words are the packages that only describe things (memory layouts, port names, messages); they do nothing, so
// everything that talks to a client may share them.
var words = []string{"netmap/abi", "netmap/name", "netmap/wire", "netmap/rundir"}

// anything stands for every line of layers but the commands.
const anything = "*"

// layers says which other lines the code of each folder may import; a folder without a line belongs to the nearest one
// above it. Tests may import more. A folder that belongs to no line fails: give it one, and a reason.
var layers = map[string]struct {
	may []string
	why string
}{
	"api":  {nil, "generated; the source of truth of the control API"},
	"cmd":  {nil, "each command has its own line"},
	"test": {[]string{anything}, "tests and their tools may look at everything"},

	"bench": {append([]string{"api", "netmap", "lcore"}, words...), "a client like any other, beside lcore for the cycle counter"},

	"cmd/netmapd":       {[]string{"cmd/netmapd/flags", "daemon", "daemon/config"}, "flags and exit codes; --check reads a configuration without starting"},
	"cmd/netmapd/flags": {[]string{"daemon/config"}, "the flags apart, so that their documentation is made without DPDK"},
	"python/gen":        {[]string{"api"}, "makes types of the API for Python"},
	"cmd/netmapd/gen":   {[]string{"cmd/netmapd/flags", "daemon/config"}, "makes the documentation of flags and configuration"},
	"cmd/nmctl":         {append([]string{"api", "netmap"}, words...), "a client like any other: it must work without the daemon's code, and without cgo"},

	"configs":          {nil, "files, embedded"},
	"daemon":           {[]string{anything}, "the composition root puts everything together"},
	"daemon/config":    {append([]string{"configs"}, words...), "reads files and knows nothing that they configure"},
	"daemon/access":    {words, "identities and rules; what they are about are names"},
	"daemon/control":   {append([]string{"api", "switch", "port", "lcore", "shm", "daemon/access"}, words...), "proto to domain and back; DPDK stays behind port"},
	"daemon/attach":    {append([]string{"shm", "port", "daemon/access"}, words...), "requests, credentials and descriptors; DPDK stays behind port"},
	"daemon/fdstore":   {nil, "descriptors and their names; whose they are is not its business"},
	"daemon/plan":      {[]string{"daemon/config"}, "steps between configurations; who takes them is the daemon"},
	"daemon/metrics":   {[]string{"port", "switch"}, "works on snapshots"},
	"daemon/telemetry": {nil, "spans of calls, whatever is called"},

	"dpdk":  {nil, "bindings only: they know nothing of what is built on them"},
	"port":  {append([]string{"dpdk", "switch", "switch/offload", "shm", "ring", "lcore", "hostif"}, words...), "the port kinds; their rings are poll units of an lcore"},
	"lcore": {nil, "a runtime for any poll unit; DPDK registration is injected"},

	"hostif": {nil, "kernel interfaces as the host stack sees them; knows nothing of rings"},

	"switch":         {[]string{"netmap/abi", "ring", "switch/offload"}, "pure Go over ring views"},
	"switch/offload": {nil, "checksums and segmentation: packets in, frames out"},
	"ring":           {[]string{"netmap/abi"}, "one ring as both sides see it: layout, sync block, checks"},
	"ring/model":     {nil, "a model must not share code with what it models"},
	"shm":            {[]string{"netmap/abi", "ring"}, "regions; what moves in them is not its business"},

	"clib":     {nil, "C; in Go there are only tests, which build and run it"},
	"clib/gen": {words, "writes what C has of netmap/abi"},

	"netmap":        {append([]string{"ring"}, words...), "the Go client: no cgo, no DPDK, nothing of the daemon"},
	"netmap/abi":    {nil, "frozen layouts"},
	"netmap/name":   {[]string{"netmap/abi"}, "the name grammar"},
	"netmap/wire":   {[]string{"netmap/abi"}, "the messages of the attach socket"},
	"netmap/rundir": {nil, "where the sockets are"},
}

// foreign says which folders may import a module of somebody else, where that matters; tests are held to it too.
var foreign = map[string]struct {
	only []string
	why  string
}{
	"github.com/spf13/viper": {[]string{"daemon/config"}, "the rest of the program sees typed, checked configuration"},
	"github.com/spf13/cobra": {[]string{"cmd"}, "command lines are the business of commands"},
	"go.opentelemetry.io":    {[]string{"daemon"}, "what is not configured is not made: the daemon decides"},
	"google.golang.org/grpc": {[]string{"api", "daemon", "cmd", "test", "bench"}, "the data path knows no RPC"},
}

// layer finds the line of layers for a folder.
func layer(folder string) (name string, ok bool) {
	for f := folder; f != "."; f = path.Dir(f) {
		if _, ok := layers[f]; ok {
			return f, true
		}
	}
	return "", false
}

// under tells whether a folder is one of roots or lies below one.
func under(folder string, roots ...string) bool {
	return slices.ContainsFunc(roots, func(r string) bool {
		return folder == r || strings.HasPrefix(folder, r+"/")
	})
}

// layering checks the direct imports of every file against layers and foreign.
func layering(t tree) (broken []string) {
	for _, f := range t.goFiles() {
		folder := path.Dir(f.path)
		name, known := layer(folder)
		if !known {
			broken = append(broken, fmt.Sprintf("%s: folder %s has no line in layers", f.path, folder))
			continue
		}
		for _, imp := range f.imports {
			if m, rule := foreignRule(imp); rule && !under(folder, foreign[m].only...) {
				broken = append(broken, fmt.Sprintf("%s imports %s, only for %v: %s", f.path, imp, foreign[m].only, foreign[m].why))
			}
			ours, own := strings.CutPrefix(imp, module)
			if own && !f.isTest() && !allowed(ours, name) {
				l := layers[name]
				broken = append(broken, fmt.Sprintf("%s imports %s, may import %q: %s", f.path, ours, l.may, l.why))
			}
		}
	}
	return broken
}

// allowed tells whether a folder may be imported by the folders of the line name.
func allowed(folder, name string) bool {
	target, _ := layer(folder)
	may := layers[name].may
	return target == name || slices.Contains(may, target) || slices.Contains(may, anything) && !under(target, "cmd")
}

// foreignRule finds the line of foreign for an import.
func foreignRule(imp string) (mod string, ok bool) {
	for m := range foreign {
		if under(imp, m) {
			return m, true
		}
	}
	return "", false
}

// reach tells for every folder of ours that the packages under root can reach by imports, and for "C", on which way.
func reach(t tree, root string) map[string][]string {
	imports := map[string][]string{}
	for _, f := range t.goFiles() {
		if f.isTest() {
			continue
		}
		folder := path.Dir(f.path)
		for _, imp := range f.imports {
			if ours, ok := strings.CutPrefix(imp, module); ok {
				imports[folder] = append(imports[folder], ours)
			} else if imp == "C" {
				imports[folder] = append(imports[folder], "C")
			}
		}
	}
	ways := map[string][]string{}
	var walk func(folder string, way []string)
	walk = func(folder string, way []string) {
		if ways[folder] != nil {
			return
		}
		way = append(slices.Clone(way), folder)
		ways[folder] = way
		for _, next := range imports[folder] {
			walk(next, way)
		}
	}
	for folder := range imports {
		if under(folder, root) {
			walk(folder, nil)
		}
	}
	return ways
}

// pure are the folders that must be free of cgo, and so of DPDK, through everything that they import.
var pure = map[string]string{
	"switch":    "the switch is pure Go over ring views",
	"netmap":    "programs that import the client must not need a C compiler",
	"cmd/nmctl": "nmctl is built with CGO_ENABLED=0",
	"lcore":     "DPDK registration is injected",
	"shm":       "regions know nothing of DPDK",
}

func purity(t tree) (broken []string) {
	for root, why := range pure {
		for _, f := range t.goFiles() {
			isDPDK := func(imp string) bool { return under(imp, module+"dpdk") }
			if f.isTest() && under(f.path, root) && slices.ContainsFunc(f.imports, isDPDK) {
				broken = append(broken, fmt.Sprintf("%s imports DPDK: %s", f.path, why))
			}
		}
		for folder, way := range reach(t, root) {
			if folder == "C" || under(folder, "dpdk") {
				broken = append(broken, fmt.Sprintf("%s: %s", strings.Join(way, " -> "), why))
			}
		}
	}
	return broken
}
