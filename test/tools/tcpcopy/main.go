// Command tcpcopy moves a stream of random bytes over TCP and prints, at each end, the length and the SHA-256 of what
// went through, so that two ends on both sides of a switch can be compared:
//
//	tcpcopy -listen ADDR              takes one connection and reads it to its end
//	tcpcopy -connect ADDR -bytes N    sends N bytes
//
// Both print "N bytes sha256 HEX". The sender tries to connect until -timeout has passed.
package main

import (
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"time"
)

func main() {
	listen := flag.String("listen", "", "take one connection at this address")
	connect := flag.String("connect", "", "connect to this address")
	count := flag.Int64("bytes", 1<<20, "how many bytes to send")
	timeout := flag.Duration("timeout", time.Minute, "give up after this time")
	flag.Parse()

	deadline := time.Now().Add(*timeout)
	var err error
	switch {
	case (*listen == "") == (*connect == ""):
		err = errors.New("one of -listen ADDR and -connect ADDR is needed")
	case *listen != "":
		err = receive(*listen, deadline)
	default:
		err = send(*connect, *count, deadline)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "tcpcopy: %v\n", err)
		os.Exit(1)
	}
}

// receive takes one connection at addr and reads it to its end.
func receive(addr string, deadline time.Time) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	defer l.Close()
	if err := l.(*net.TCPListener).SetDeadline(deadline); err != nil {
		return err
	}
	conn, err := l.Accept()
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	return digest(io.Discard, conn)
}

// send sends count random bytes to addr.
func send(addr string, count int64, deadline time.Time) error {
	conn, err := dial(addr, deadline)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	var seed [32]byte
	return digest(conn, io.LimitReader(rand.NewChaCha8(seed), count))
}

// dial connects to addr, again and again while nobody listens there yet.
func dial(addr string, deadline time.Time) (net.Conn, error) {
	for {
		conn, err := net.DialTimeout("tcp", addr, time.Until(deadline))
		if err == nil || time.Until(deadline) < 0 {
			return conn, err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// digest copies all of src to dst and prints what went through.
func digest(dst io.Writer, src io.Reader) error {
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(dst, sum), src)
	if err != nil {
		return fmt.Errorf("after %d bytes: %w", n, err)
	}
	fmt.Printf("%d bytes sha256 %x\n", n, sum.Sum(nil))
	return nil
}
