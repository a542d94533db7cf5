package control

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"

	"github.com/netmapd/netmapd/netmap/name"
)

// Limits of requests. They keep nonsense out; what is possible the registry decides.
const (
	maxDevargs    = 1024
	maxSpec       = 255
	maxRings      = 1024 // ring objects of the largest region (NC A.10)
	maxSlots      = 8176 // slots in the largest ring object (NC A.10: (131072 - 256) / 16)
	maxMTU        = 65535
	maxExtraBufs  = 1e6 // buffers of the largest region (NC A.10)
	maxStatsPorts = 1 << 10
)

// problems collects what is wrong with a request, so that the caller learns all
// of it at once.
type problems []*errdetails.BadRequest_FieldViolation

// add notes a problem. field is the path of the proto field: "spec.name".
func (p *problems) add(field, format string, args ...any) {
	*p = append(*p, &errdetails.BadRequest_FieldViolation{Field: field, Description: fmt.Sprintf(format, args...)})
}

// err is nil when nothing was noted, else an InvalidArgument status.
func (p *problems) err() error {
	if len(*p) == 0 {
		return nil
	}
	texts := make([]string, len(*p))
	for i, v := range *p {
		texts[i] = v.Field + ": " + v.Description
	}
	return newStatus(codes.InvalidArgument, "invalid request: "+strings.Join(texts, "; "),
		&errdetails.BadRequest{FieldViolations: *p},
		errorInfo(unix.EINVAL, nil))
}

// text checks a string that names or describes something.
func (p *problems) text(field, value string, limit int) {
	switch {
	case value == "":
		p.add(field, "must not be empty")
	case len(value) > limit:
		p.add(field, "has %d bytes, at most %d are allowed", len(value), limit)
	case strings.IndexFunc(value, unprintable) >= 0:
		p.add(field, "%q holds a character that cannot be printed", value)
	}
}

// name checks the name of something that may exist.
func (p *problems) name(field, value string) { p.text(field, value, name.MaxLen) }

// newPort checks the name of a port to be: netmap:NAME must open it.
func (p *problems) newPort(field, value string) {
	before := len(*p)
	p.text(field, value, name.MaxInterfaceLen)
	if len(*p) > before {
		return
	}
	core, err := name.ParseCore(value)
	if err == nil && core.Kind != name.Interface {
		p.add(field, "%q means a port of a switch or a pipe, which appear when they are opened", value)
		return
	}
	if err == nil {
		var spec name.Spec
		spec, err = name.Parse("netmap:" + value)
		if err == nil && spec.Name != value {
			p.add(field, "programs could not open %q: netmap:%s would mean %q", value, value, spec.Name)
			return
		}
	}
	if err != nil {
		p.add(field, "%s", why(err))
	}
}

// newSwitch checks the name of a switch to be.
func (p *problems) newSwitch(field, value string) {
	before := len(*p)
	p.text(field, value, name.MaxLen)
	if len(*p) > before {
		return
	}
	if err := name.CheckSwitch(value); err != nil {
		p.add(field, "%s", why(err))
	}
}

// atMost checks a number.
func (p *problems) atMost(field string, value, limit uint32) {
	if value > limit {
		p.add(field, "is %d, at most %d is allowed", value, limit)
	}
}

// why leaves out of a name error what the field already says.
func why(err error) string {
	var bad *name.Error
	if errors.As(err, &bad) {
		return bad.Why
	}
	return err.Error()
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }
