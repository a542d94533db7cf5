package control

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

// slowReader is how long a stream may take no message before it is dropped.
const slowReader = 30 * time.Second

// streams is what services need that send streams.
type streams struct {
	stopping <-chan struct{} // closed when streams shall end
	patience time.Duration   // with slow readers
}

// sendInTime sends a message, or drops the caller if it does not take it: gRPC
// waits for a slow reader for ever.
func sendInTime[T any](s streams, stream grpc.ServerStreamingServer[T], m *T) error {
	sent := make(chan error, 1)
	go func() { sent <- stream.Send(m) }() // ends with the stream, when the handler has returned
	limit := time.NewTimer(s.patience)
	defer limit.Stop()
	select {
	case err := <-sent:
		return err
	case <-limit.C:
		return newStatus(codes.ResourceExhausted, fmt.Sprintf("the stream was ended: nothing of it was read for %v", s.patience), errorInfo(unix.EDQUOT, nil))
	}
}
