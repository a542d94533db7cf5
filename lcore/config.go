package lcore

import (
	"fmt"
	"log/slog"
	"time"
)

// Defaults of a [Config].
const (
	DefaultSpin           = 50 * time.Microsecond
	DefaultMaxBackoff     = time.Millisecond
	DefaultCommandTimeout = 2 * time.Second
	DefaultStuckInterval  = time.Second
)

// minBackoff is the first timed sleep of an lcore with a silent unit. Below it the two system
// calls of a sleep would cost more than the polls they save.
const minBackoff = 20 * time.Microsecond

// Mode says what an lcore does when it has nothing to do.
type Mode int

const (
	// Adaptive lcores poll under load and sleep in epoll after a quiet spell.
	Adaptive Mode = iota
	// Poll lcores never sleep while they have a unit.
	Poll
)

var modeNames = [...]string{Adaptive: "adaptive", Poll: "poll"}

// String returns the mode as the configuration writes it.
func (m Mode) String() string {
	if m < 0 || int(m) >= len(modeNames) {
		return fmt.Sprintf("Mode(%d)", int(m))
	}
	return modeNames[m]
}

// MarshalText writes the mode as the configuration does.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText accepts "adaptive" and "poll".
func (m *Mode) UnmarshalText(text []byte) error {
	for i, name := range modeNames {
		if string(text) == name {
			*m = Mode(i)
			return nil
		}
	}
	return fmt.Errorf("lcore mode %q is unknown: write adaptive or poll", text)
}

// Config says how an lcore runs. The zero value is an adaptive lcore on CPU 0.
type Config struct {
	ID   int  // number of the lcore, for people and for the thread's name
	CPU  int  // CPU to pin the thread to; negative: not pinned
	Mode Mode // Adaptive or Poll

	// Spin is how long an adaptive lcore polls without finding work before it sleeps.
	// 0: DefaultSpin; negative: it sleeps at once.
	Spin time.Duration
	// MaxBackoff is the longest timed sleep of an lcore with a silent unit. 0: DefaultMaxBackoff.
	MaxBackoff time.Duration
	// CommandTimeout is how long Do waits for an lcore at most. 0: DefaultCommandTimeout.
	CommandTimeout time.Duration

	// Register is called on the lcore's thread before its first poll, and the function it returns
	// on the same thread after the last one (rte_thread_register and its counterpart). Both may be nil.
	Register func() (unregister func(), err error)

	// StuckInterval is how often the lcore's progress is looked at; at the second look in a row that
	// finds none, the lcore is stuck. 0: DefaultStuckInterval.
	StuckInterval time.Duration
	// OnStuck is called when the lcore has become stuck, on the goroutine that watches it. The hint
	// tells what the kernel says about the thread. It may be nil.
	OnStuck func(l *Lcore, hint string)
	// OnPanic is called when a unit panicked and was taken off the lcore, on the lcore. It may be nil.
	OnPanic func(l *Lcore, err *PanicError)

	Logger *slog.Logger // nil: nothing is logged
}

// withDefaults fills in what was left out.
func (c Config) withDefaults() Config {
	orDefault := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	orDefault(&c.Spin, DefaultSpin)
	orDefault(&c.MaxBackoff, DefaultMaxBackoff)
	orDefault(&c.CommandTimeout, DefaultCommandTimeout)
	orDefault(&c.StuckInterval, DefaultStuckInterval)
	c.Spin = max(c.Spin, 0)
	c.MaxBackoff = max(c.MaxBackoff, minBackoff)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Logger = c.Logger.With("lcore", c.ID)
	return c
}

// check refuses what cannot work before a thread is started for it.
func (c Config) check() error {
	if c.Mode != Adaptive && c.Mode != Poll {
		return fmt.Errorf("lcore %d: mode %d is unknown: use Adaptive or Poll", c.ID, int(c.Mode))
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"MaxBackoff", c.MaxBackoff}, {"CommandTimeout", c.CommandTimeout}, {"StuckInterval", c.StuckInterval}} {
		if d.value < 0 {
			return fmt.Errorf("lcore %d: %s is %v: a duration of 0 (default) or more is expected", c.ID, d.name, d.value)
		}
	}
	return nil
}
