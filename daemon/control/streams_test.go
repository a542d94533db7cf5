package control_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/daemon/control"
	"github.com/netmapd/netmapd/daemon/control/controltest"
	"github.com/netmapd/netmapd/port"
)

// Who takes nothing of a stream is dropped; others do not notice.
func TestSlowReaderIsDropped(t *testing.T) {
	state := controltest.Sample()
	for i := range 2000 { // a snapshot is larger than what gRPC sends unasked
		state.Snapshot.Ports = append(state.Snapshot.Ports, port.Stats{ID: uint64(10 + i), Name: fmt.Sprintf("vale9:%d", i), Switch: strings.Repeat("x", 60)})
	}
	path := filepath.Join(t.TempDir(), "control.sock")
	serveWith(t, controltest.New(state), listen(t, "unix", path), control.Options{SlowReader: 50 * time.Millisecond})
	conn := dial(t, "unix:"+path, grpc.WithInitialWindowSize(64<<10), grpc.WithInitialConnWindowSize(1<<20))
	slow, err := pb.NewStatsServiceClient(conn).WatchStats(testContext(t), &pb.WatchStatsRequest{Interval: durationpb.New(100 * time.Millisecond)})
	if err != nil {
		t.Fatal(err)
	}
	other := pb.NewSystemServiceClient(dial(t, "unix:"+path))
	for err == nil {
		time.Sleep(200 * time.Millisecond) // a reader who is ever further behind
		if _, err := other.GetInfo(testContext(t), &pb.GetInfoRequest{}); err != nil {
			t.Fatalf("another client: %v", err)
		}
		_, err = slow.Recv()
	}
	if status.Code(err) != codes.ResourceExhausted || reason(err) != "EDQUOT" {
		t.Errorf("the slow reader's stream ends with %v", err)
	}
}

// A thousand clients at a time, each with a stream, are served.
func TestThousandClients(t *testing.T) {
	const clients = 1000
	path := filepath.Join(t.TempDir(), "control.sock")
	serveWith(t, controltest.New(controltest.Sample()), listen(t, "unix", path), control.Options{})
	ctx := testContext(t)
	one := func() (pb.EventService_WatchEventsClient, error) {
		conn, err := grpc.NewClient("unix:"+path, grpc.WithTransportCredentials(insecureCredentials), grpc.WithNoProxy())
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { _ = conn.Close() })
		stream, err := pb.NewEventServiceClient(conn).WatchEvents(ctx, &pb.WatchEventsRequest{}, grpc.WaitForReady(true))
		if err == nil {
			_, err = stream.Recv() // it has begun
		}
		return stream, err
	}
	errs := make([]error, clients)
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() { _, errs[i] = one() })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if _, err := one(); err != nil {
		t.Errorf("one more: %v", err)
	}
}
