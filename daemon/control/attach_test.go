package control_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/daemon/access"
	"github.com/netmapd/netmapd/daemon/control"
	"github.com/netmapd/netmapd/daemon/control/controltest"
	"github.com/netmapd/netmapd/netmap/abi"
)

func TestAttachPortGivesATicket(t *testing.T) {
	plane, _, conn := start(t, controltest.Sample())
	resp, err := pb.NewPortServiceClient(conn).AttachPort(testContext(t), &pb.AttachPortRequest{
		Spec: "netmap:eth0-2/Rx@7@conf:tx-slots=64,rings=3", ExtraBuffers: 8,
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(resp.GetTicket()) != 16 || resp.GetTicket()[15] != 15 ||
		!resp.GetExpires().AsTime().Equal(controltest.Epoch.Add(10*time.Second)) ||
		resp.GetAttachSocket() != "/run/netmapd/netmap.sock" {
		t.Errorf("answered %v", resp)
	}
	want := controltest.Ticket{UID: uint32(os.Getuid()), Request: control.TicketRequest{
		Name: "eth0",
		Register: abi.Register{
			Mode: abi.ModeOneNIC, RingID: 2, Flags: abi.FlagRxRingsOnly | abi.FlagExclusive, MemID: 7,
			TxSlots: 64, TxRings: 3, RxRings: 3, HostTxRings: 3, HostRxRings: 3, ExtraBufs: 8,
		},
	}}
	// What "rings" covers is the grammar's business.
	got := plane.Get().Tickets[0]
	want.Request.Register.HostTxRings, want.Request.Register.HostRxRings = got.Request.Register.HostTxRings, got.Request.Register.HostRxRings
	if got != want {
		t.Errorf("asked for %+v\nwant      %+v", got, want)
	}
}

func TestAttachPortKnowsTheUserWhoConnected(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to connect as another user")
	}
	const uid = 65534
	plane := controltest.New(controltest.Sample())
	// An abstract socket: the other user needs no way into a directory of ours.
	address := "@netmapd-control-test-" + strconv.Itoa(os.Getpid())
	serveWith(t, plane, listen(t, "unix", address), control.Options{
		Guard: guard(t, access.Rule{UIDs: []int{uid}, Verbs: []access.Verb{access.Attach}}),
	})
	conn := dial(t, "passthrough:///x", grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
		return dialAs(uid, address)
	}))
	if _, err := pb.NewPortServiceClient(conn).AttachPort(testContext(t), &pb.AttachPortRequest{Spec: "vale0:9"}); err != nil {
		t.Fatal(err)
	}
	if got := plane.Get().Tickets[0].UID; got != uid {
		t.Errorf("the ticket is for uid %d, want %d", got, uid)
	}
}

// dialAs connects from a thread that has become another user; the thread dies
// with its goroutine.
func dialAs(uid int, address string) (conn net.Conn, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		keep := ^uintptr(0)
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, keep, uintptr(uid), keep); errno != 0 {
			err = fmt.Errorf("setresuid: %w", errno)
			return
		}
		conn, err = net.Dial("unix", address)
	}()
	<-done
	return conn, err
}
