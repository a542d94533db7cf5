// Command guest is the first process of the machine that test/niclab boots, and
// a netmap client there.
//
// As process 1 it brings the machine up and serves the host (package talk). As
// "guest client" it opens ports on request, over its standard input and output,
// so that it can be killed like any client. On a machine that is up already
// "guest serve SOCKET" serves on a Unix socket.
package main

import (
	"fmt"
	"os"

	"github.com/netmapd/netmapd/test/niclab/talk"
)

func main() {
	err := fmt.Errorf("unknown arguments %q", os.Args[1:])
	switch {
	case os.Getpid() == 1:
		err = initialise()
		if err == nil {
			err = serve("tcp", fmt.Sprintf(":%d", talk.Port))
		}
	case len(os.Args) == 2 && os.Args[1] == "client":
		err = runClient()
	case len(os.Args) == 3 && os.Args[1] == "serve":
		err = serve("unix", os.Args[2])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
		os.Exit(1) // of process 1 this is a panic, which ends the machine
	}
}
