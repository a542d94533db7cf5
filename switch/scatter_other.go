//go:build !amd64

package vale

type (
	target struct{}
	place  struct{}
	course struct{}
)

func (*Poller) scatter(*view, *source) bool { return false }
