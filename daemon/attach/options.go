package attach

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/wire"
)

// options are the options of a request (NC B.8), whose list the library has
// walked. None is served yet, so each keeps the status that the walk leaves.
type options struct{ blob []byte }

// parseOptions checks the form and presets every status.
func parseOptions(blob []byte) (options, error) {
	o := options{blob}
	for rest := blob; len(rest) > 0; {
		var h wire.Option
		tail, err := wire.Take(rest, &h)
		if err != nil {
			return o, err
		}
		body := (uint64(h.Size) + 7) &^ 7
		if body > uint64(len(tail)) {
			return o, fmt.Errorf("%w: an option of %d bytes, %d are left", wire.ErrMalformed, h.Size, len(tail))
		}
		h.Status = uint32(unix.EOPNOTSUPP)
		copy(rest, abi.Encode(nil, h))
		rest = tail[body:]
	}
	return o, nil
}

// unprocessed is how REGISTER, and only REGISTER, ends with an option that
// nobody took.
func (o options) unprocessed() error {
	if len(o.blob) == 0 {
		return nil
	}
	return fmt.Errorf("an option of the request is not served: %w", unix.EOPNOTSUPP)
}

func parseMAC(s string) (mac [6]byte, err error) {
	hw, err := net.ParseMAC(s)
	copy(mac[:], hw)
	return mac, err
}
