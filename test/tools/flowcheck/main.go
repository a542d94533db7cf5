// Command flowcheck sends numbered frames of many connections into one port and
// receives them from others, and checks that none is lost, doubled or moved
// before another of its connection, and that each connection arrives at one
// place. It is for what lies between, such as a load balancer:
//
//	flowcheck -i 'netmap:in{x' 'netmap:in}0' 'netmap:in}1'
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/test/flows"
)

func main() {
	source := flag.String("i", "", "port to send into")
	connections := flag.Int("flows", 1000, "connections")
	count := flag.Uint64("n", 1_000_000, "frames")
	window := flag.Uint64("window", 500, "frames under way at most, 0 for no limit")
	patience := flag.Duration("patience", 3*time.Second, "how long to wait for the last frames")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *source, flag.Args(), *connections, *count, *window, *patience)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "flowcheck:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, source string, sinks []string, connections int, count, window uint64, patience time.Duration) (err error) {
	in, err := netmap.Open(ctx, source)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	c := flows.NewChecker(connections, len(sinks))
	receiving, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	errs := make([]error, len(sinks))
	for i, name := range sinks {
		d, err := netmap.Open(ctx, name)
		if err != nil {
			return err
		}
		defer func() { _ = d.Close() }()
		wg.Go(func() { errs[i] = c.Receive(receiving, i, d) })
	}
	start := time.Now()
	sent, err := flows.Send(ctx, in, connections, count, window, c.Got)
	for end := time.Now().Add(patience); c.Got() < sent && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	took := time.Since(start)
	stop()
	wg.Wait()
	r := c.Result(sent)
	fmt.Printf("%d frames of %d connections sent, received %d %v, %.2f Mpps\n", r.Sent, connections, r.Got, r.PerSink, float64(r.Got)/took.Seconds()/1e6)
	return errors.Join(err, r.Err(), errors.Join(errs...))
}
