package ethdev

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"testing"
)

// The drivers for NICs that no QEMU plays are loaded, and say in their own tables that they are for these NICs. More than
// that takes hardware.
func TestDriversOfRealNICs(t *testing.T) {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		driver, library string
		id              [2]int // vendor and device
	}{
		{"net_e1000_em", "e1000", [2]int{0x8086, 0x100e}},
		{"net_e1000_igb", "e1000", [2]int{0x8086, 0x1521}},
		{"net_igc", "igc", [2]int{0x8086, 0x15f3}},
		{"net_ixgbe", "ixgbe", [2]int{0x8086, 0x10fb}},
		{"net_i40e", "i40e", [2]int{0x8086, 0x1572}},
	} {
		path := regexp.MustCompile(`/\S*/librte_net_` + c.library + `\.so\S*`).FindString(string(maps))
		if path == "" {
			t.Errorf("%s: EAL did not load its library", c.driver)
			continue
		}
		if !slices.Contains(pciIDs(t, path, c.driver), c.id) {
			t.Errorf("%s: %s does not say that it is for %x", c.driver, path, c.id)
		}
	}
}

// pciIDs are the NICs that a driver is for, which its library holds as text.
func pciIDs(t *testing.T, library, driver string) (ids [][2]int) {
	t.Helper()
	b, err := os.ReadFile(library)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range bytes.Split(b, []byte("PMD_INFO_STRING= "))[1:] {
		text, _, _ := bytes.Cut(part, []byte{0})
		var info struct {
			Name   string
			PCIIDs [][4]int `json:"pci_ids"`
		}
		if err := json.Unmarshal(text, &info); err != nil || info.Name != driver {
			continue // another driver of the library, or one not for PCI
		}
		for _, id := range info.PCIIDs {
			ids = append(ids, [2]int(id[:2]))
		}
	}
	return ids
}
