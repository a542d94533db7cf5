package attach

import (
	"github.com/netmapd/netmapd/daemon/access"
	"github.com/netmapd/netmapd/netmap/abi"
)

// requestVerbs says what a request needs to be allowed; one that is not here
// touches nothing but the descriptor it is made on.
var requestVerbs = map[uint16]access.Verb{
	abi.ReqPortInfoGet: access.Attach, abi.ReqPoolsInfoGet: access.Attach,
	abi.ReqPortHdrGet: access.Attach, abi.ReqPortHdrSet: access.Attach,
	abi.ReqValeList:   access.View,
	abi.ReqValeAttach: access.Administer, abi.ReqValeDetach: access.Administer,
	abi.ReqValeNewif: access.Administer, abi.ReqValeDelif: access.Administer,
	abi.ReqValePollingEnable: access.Administer, abi.ReqValePollingDisable: access.Administer,
}

// actions are the requests that change what others use, for the audit.
var actions = map[uint16]string{
	abi.ReqValeAttach: "vale attach", abi.ReqValeDetach: "vale detach",
	abi.ReqValeNewif: "create port", abi.ReqValeDelif: "delete port",
	abi.ReqValePollingEnable: "polling on", abi.ReqValePollingDisable: "polling off",
}

// legacyTypes are the requests that the commands of the old interface stand for.
var legacyTypes = map[uint16]uint16{
	abi.CmdAttach: abi.ReqValeAttach, abi.CmdDetach: abi.ReqValeDetach,
	abi.CmdNewif: abi.ReqValeNewif, abi.CmdDelif: abi.ReqValeDelif,
	abi.CmdPollOn: abi.ReqValePollingEnable, abi.CmdPollOff: abi.ReqValePollingDisable,
	abi.CmdVnetHdr: abi.ReqPortHdrSet, abi.CmdVnetHdrGet: abi.ReqPortHdrGet,
}

// permit checks that the peer may make a request about a port.
func (c *conn) permit(typ uint16, name string) error {
	verb, ok := requestVerbs[typ]
	if !ok {
		return nil
	}
	return c.may(verb, name)
}

// permitLegacy is permit for the old interface.
func (c *conn) permitLegacy(ioctl uint32, nr *abi.Legacy) error {
	name := abi.CString(nr.Name[:])
	switch {
	case ioctl == abi.NIOCGINFO && nr.Cmd == abi.CmdList:
		return c.permit(abi.ReqValeList, name)
	case ioctl == abi.NIOCGINFO:
		return c.permit(abi.ReqPortInfoGet, name)
	}
	return c.permit(legacyTypes[nr.Cmd], name)
}

// may checks the policy; a refusal is worth a line of the audit.
func (c *conn) may(verb access.Verb, name string) error {
	err := c.srv.guard.Check(c.id, verb, name)
	if err != nil {
		c.log.With("action", string(verb), "object", name, "result", "denied").Warn("audit", "err", err)
	}
	return err
}

// audit notes a change that a request made, or tried to.
func (c *conn) audit(typ uint16, name string, err error) {
	if action, ok := actions[typ]; ok {
		c.srv.guard.Audit(c.id, action, name, err)
	}
}
