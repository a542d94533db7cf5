package niclab

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// A monitor is a connection to QEMU's monitor, which speaks JSON.
type monitor struct {
	c       *net.UnixConn
	answers chan answer
	events  chan answer
}

type answer struct {
	Error  *struct{ Desc string }
	Return json.RawMessage
	Event  string
	Data   struct{ Device string }
}

func dialMonitor(path string) (*monitor, error) {
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	m := &monitor{c: c, answers: make(chan answer, 1), events: make(chan answer, 4096)}
	go m.read()
	if err := m.do("qmp_capabilities", nil); err != nil {
		_ = c.Close() // it takes one at a time
		return nil, err
	}
	return m, nil
}

func (m *monitor) read() {
	dec := json.NewDecoder(m.c)
	for {
		var a struct {
			answer
			QMP any // the greeting
		}
		if err := dec.Decode(&a); err != nil {
			close(m.answers)
			return
		}
		switch {
		case a.QMP != nil:
		case a.Event == "":
			m.answers <- a.answer
		default:
			select {
			case m.events <- a.answer:
			default: // nobody asks for so many
			}
		}
	}
}

// do runs a command of QEMU's.
func (m *monitor) do(command string, args map[string]any) error {
	_, err := m.ask(command, args)
	return err
}

func (m *monitor) ask(command string, args map[string]any) (string, error) {
	return m.send(command, args)
}

// give hands QEMU a descriptor, under a name.
func (m *monitor) give(name string, fd int) error {
	_, err := m.send("getfd", map[string]any{"fdname": name}, fd)
	return err
}

func (m *monitor) send(command string, args map[string]any, fds ...int) (string, error) {
	if args == nil {
		args = map[string]any{}
	}
	text, err := json.Marshal(map[string]any{"execute": command, "arguments": args})
	if err != nil {
		return "", err
	}
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	if _, _, err := m.c.WriteMsgUnix(append(text, '\n'), rights, nil); err != nil {
		return "", err
	}
	select {
	case a, ok := <-m.answers:
		if !ok {
			return "", errors.New(command + ": QEMU's monitor is gone")
		}
		if a.Error != nil {
			return "", fmt.Errorf("%s: %s", command, a.Error.Desc)
		}
		return string(a.Return), nil
	case <-time.After(patience):
		return "", fmt.Errorf("%s: no answer from QEMU", command)
	}
}

// until waits for an event of a device.
func (m *monitor) until(event, device string) error {
	for limit := time.After(patience); ; {
		select {
		case e := <-m.events:
			if e.Event == event && e.Data.Device == device {
				return nil
			}
		case <-limit:
			return fmt.Errorf("%s of %s did not happen within %v", event, device, patience)
		}
	}
}

// link plugs a cable in or pulls it out.
func (m *monitor) link(nic string, up bool) error {
	return m.do("set_link", map[string]any{"name": nic, "up": up})
}
