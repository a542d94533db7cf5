package niclab

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"
)

// A monitor is a connection to QEMU's monitor, which speaks JSON.
type monitor struct {
	c       net.Conn
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
	c, err := net.Dial("unix", path)
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
	if args == nil {
		args = map[string]any{}
	}
	if err := json.NewEncoder(m.c).Encode(map[string]any{"execute": command, "arguments": args}); err != nil {
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
