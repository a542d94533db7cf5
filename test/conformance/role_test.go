package conformance

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
)

// roleEnv makes the test binary a client process of its own.
const roleEnv = "NETMAPD_CONFORMANCE_ROLE"

// roles are what such a process does. Its descriptor 3 is a socket to the test.
var roles = map[string]func(arg string) error{
	"hold":    hold,
	"receive": receive,
	"inherit": func(string) error { return useAndClose(os.NewFile(4, "inherited")) },
}

func runRole(role string) int {
	arg := ""
	if len(os.Args) > 1 {
		arg = os.Args[1]
	}
	if err := roles[role](arg); err != nil {
		fmt.Fprintln(os.Stderr, role, err)
		return 1
	}
	return 0
}

// hold opens a port exclusively and waits to be killed.
func hold(spec string) error {
	if _, err := netmap.Open(context.Background(), spec, netmap.WithFlags(abi.FlagExclusive)); err != nil {
		return err
	}
	fmt.Println("open")
	_, _ = os.NewFile(3, "test").Read(make([]byte, 1)) // ends with the test
	return nil
}

// receive takes a descriptor from the test and uses it.
func receive(string) error {
	c, err := net.FileConn(os.NewFile(3, "test"))
	if err != nil {
		return err
	}
	oob := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := c.(*net.UnixConn).ReadMsgUnix(make([]byte, 1), oob)
	if err != nil {
		return err
	}
	cmsgs, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil {
		return err
	}
	fds, err := unix.ParseUnixRights(&cmsgs[0])
	if err != nil {
		return err
	}
	return useAndClose(os.NewFile(uintptr(fds[0]), "received"))
}

// useAndClose sends a frame through a descriptor that another process bound.
func useAndClose(f *os.File) error {
	d, err := netmap.Join(context.Background(), f)
	if err != nil {
		return err
	}
	d.TxRings()[0].Send(flood(1))
	err = errors.Join(d.Flush(context.Background()), d.RxSync(), d.Close())
	fmt.Println("done")
	return err
}
