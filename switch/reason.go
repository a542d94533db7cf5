package vale

import "strconv"

// Reason says why a frame was dropped. The names that String returns are
// stable: statistics and scripts use them.
type Reason uint8

// The reasons of drops at the source: the frame reached no destination.
const (
	BadIndex         Reason = iota // a slot names a buffer outside the region (NC D.5)
	BadLength                      // a slot is longer than a buffer (NC D.5)
	TooShort                       // the first fragment has less than 14 bytes (NC E.5.1), or the frame less than its device sends
	Indirect                       // an indirect slot (NS_INDIRECT) points to where its client cannot read
	TooManyFragments               // more than 64 slots
	OwnAddress                     // the destination is the port that the frame came from (NC E.5.1)
	NoDestination                  // nobody else is on the switch
	VacantPort                     // a compatible table names a port that left (NC E.5.1)
	BadHeader                      // the virtio-net header is neither at the beginning of the first fragment nor all of it (NC E.5.1)
	FloodLimit                     // more frames to be flooded than PortOptions.FloodLimit

	lastAtSource = iota - 1
)

// The reasons of drops at a destination; others may have got the frame.
const (
	RingFull    Reason = iota + lastAtSource + 1 // the receiver's ring, or the device's queue, had no room
	NotBound                                     // nobody opened the receiving ring
	RxBadIndex                                   // the receiver's slot names a buffer outside its region; it got length 0 there
	RxBadLength                                  // a fragment is longer than the receiver's buffers; it got length 0 there
	Unread                                       // delivered, but never read before the port closed
	BadOffload                                   // what the virtio-net header asks for is unknown, or not possible with this packet (NC E.11)
	HostDown                                     // the host's interface is down, or its stack takes no more

	numReasons = iota + lastAtSource + 1
)

var reasonNames = [numReasons]string{
	BadIndex:         "bad_index",
	BadLength:        "bad_length",
	TooShort:         "too_short",
	Indirect:         "indirect",
	TooManyFragments: "too_many_fragments",
	OwnAddress:       "own_address",
	NoDestination:    "no_destination",
	VacantPort:       "vacant_port",
	BadHeader:        "bad_header",
	FloodLimit:       "flood_limit",
	RingFull:         "ring_full",
	NotBound:         "not_bound",
	RxBadIndex:       "rx_bad_index",
	RxBadLength:      "rx_bad_length",
	Unread:           "unread",
	BadOffload:       "bad_offload",
	HostDown:         "host_down",
}

// Reasons lists all reasons, in the order of their values.
func Reasons() []Reason {
	all := make([]Reason, numReasons)
	for i := range all {
		all[i] = Reason(i)
	}
	return all
}

// AtSource says that the drop is counted at the port the frame came from;
// otherwise it is counted at the port the frame was going to.
func (r Reason) AtSource() bool { return r <= lastAtSource }

func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return "reason_" + strconv.Itoa(int(r))
}
