package control

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"

	"github.com/netmapd/netmapd/port"
)

// errorDomain is the domain of every ErrorInfo that the daemon sends.
const errorDomain = "netmapd"

// statusError turns an error of the domain into a status. A status stays what it is.
func statusError(err error) error {
	if err == nil {
		return nil
	}
	var already interface{ GRPCStatus() *status.Status }
	if errors.As(err, &already) {
		return err
	}
	switch {
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, err.Error())
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, err.Error())
	}
	var refusal *port.Error
	var errno unix.Errno
	switch {
	case errors.As(err, &refusal):
		info := errorInfo(refusal.Errno, map[string]string{"name": text(refusal.Name), "operation": refusal.Op})
		return newStatus(codeOf(refusal.Errno), err.Error(), info)
	case errors.As(err, &errno):
		return newStatus(codeOf(errno), err.Error(), errorInfo(errno, nil))
	default:
		return status.Error(codes.Internal, err.Error())
	}
}

// codeOf maps what a netmap program sees to what a gRPC client sees.
func codeOf(errno unix.Errno) codes.Code {
	switch errno {
	case unix.ENXIO, unix.ENOENT, unix.ENODEV:
		return codes.NotFound
	case unix.EEXIST:
		return codes.AlreadyExists
	case unix.EBUSY, unix.ENOTEMPTY:
		return codes.FailedPrecondition
	case unix.EINVAL, unix.ENAMETOOLONG, unix.E2BIG, unix.ERANGE, unix.EMSGSIZE:
		return codes.InvalidArgument
	case unix.ENOMEM, unix.ENOSPC, unix.EMFILE, unix.ENFILE, unix.EDQUOT:
		return codes.ResourceExhausted
	case unix.EACCES, unix.EPERM:
		return codes.PermissionDenied
	case unix.EOPNOTSUPP, unix.ENOSYS:
		return codes.Unimplemented
	case unix.EAGAIN, unix.ESHUTDOWN:
		return codes.Unavailable
	case unix.ETIMEDOUT:
		return codes.DeadlineExceeded
	default:
		return codes.Internal
	}
}

// errorInfo names the errno for programs.
func errorInfo(errno unix.Errno, metadata map[string]string) *errdetails.ErrorInfo {
	reason := unix.ErrnoName(errno)
	if reason == "" {
		reason = fmt.Sprintf("ERRNO_%d", errno)
	}
	return &errdetails.ErrorInfo{Domain: errorDomain, Reason: reason, Metadata: metadata}
}

// newStatus builds a status. Details that cannot be encoded are left out: the
// code and the text matter more.
func newStatus(code codes.Code, message string, details ...protoadapt.MessageV1) error {
	plain := status.New(code, text(message))
	full, err := plain.WithDetails(details...)
	if err != nil {
		return plain.Err()
	}
	return full.Err()
}
