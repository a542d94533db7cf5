package daemon_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/configs"
	"github.com/netmapd/netmapd/daemon/config"
	"github.com/netmapd/netmapd/test/netns"
)

// Every configuration that comes with netmapd starts, and has the ports and switches that it names. The machine that
// it is for is played: NICs by net_ring or net_tap, interfaces by veths, hugepages by ordinary ones, users and groups by root's,
// and its CPU by one that there is.
func TestExamples(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("root only: interfaces are made")
	}
	files, err := fs.Glob(configs.Files, "*.yaml")
	must(t, err)
	far, host := netns.New(t), netns.Current(t)
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			data, err := configs.Files.ReadFile(file)
			must(t, err)
			yaml := played(t, string(data))
			cfg, err := config.Decode(file, []byte(yaml))
			must(t, err)
			var ports, switches []string
			for i, p := range cfg.Ports {
				if p.Kind == config.KindInterface {
					netns.Veth(t, host, p.Ifname, far, fmt.Sprintf("far%d", i))
				}
				ports = append(ports, p.Name)
			}
			for _, s := range cfg.Switches {
				switches = append(switches, fmt.Sprintf("%s %v", s.Name, s.Ports))
			}
			dir := tempDir(t)
			p := launchCommand(t, dir, exec.Command(netmapd, "--config", writeConfig(t, yaml), "--runtime-dir", dir,
				"--dpdk-hugepages=never", "--dpdk-pci=false"))
			if got := p.told(); got != "READY=1" {
				t.Fatalf("netmapd tells systemd %q, want READY=1", got)
			}
			api := p.api()
			got, err := pb.NewPortServiceClient(api).ListPorts(limited(t), &pb.ListPortsRequest{})
			must(t, err)
			var names []string
			for _, port := range got.GetPorts() {
				names = append(names, port.GetName())
			}
			slices.Sort(names)
			if slices.Sort(ports); !slices.Equal(names, ports) {
				t.Errorf("ports %q, want %q", names, ports)
			}
			list, err := pb.NewSwitchServiceClient(api).ListSwitches(limited(t), &pb.ListSwitchesRequest{})
			must(t, err)
			names = nil
			for _, s := range list.GetSwitches() {
				var on []string
				for _, port := range s.GetPorts() {
					on = append(on, port.GetName())
				}
				names = append(names, fmt.Sprintf("%s %v", s.GetName(), on))
			}
			if !slices.Equal(names, switches) {
				t.Errorf("switches %q, want %q", names, switches)
			}
			p.signal(unix.SIGTERM)
			p.exits(0)
			for line := range strings.Lines(p.out.String()) {
				if strings.Contains(line, "level=ERROR") && !strings.Contains(line, "from=dpdk") { // net_tap misses what it can do without
					t.Errorf("netmapd logged: %s", line)
				}
			}
		})
	}
}

var (
	pciAddress = regexp.MustCompile(`devargs: "0000:[0-9a-f]{2}:[0-9a-f]{2}\.([0-9])"`)
	cpuNumber  = regexp.MustCompile(`cpu: \d+`)
)

// played is a configuration for this machine.
func played(t *testing.T, yaml string) string {
	nic := "net_ring_example$1"
	if strings.Contains(yaml, "host:") { // the host needs an address, which a ring has not
		nic = "net_tap_example$1"
	}
	yaml = pciAddress.ReplaceAllString(yaml, "devargs: "+nic)
	yaml = cpuNumber.ReplaceAllString(yaml, fmt.Sprintf("cpu: %d", allowedCPU(t)))
	return strings.NewReplacer("libvirt-qemu", "root", "@kvm", "@root", "group: kvm", "group: root", "@netmap", "@root",
		"group: netmap", "group: root", "127.0.0.1:9710", "127.0.0.1:0").Replace(yaml)
}
