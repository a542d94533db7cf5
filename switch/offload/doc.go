// Package offload does in software what a virtio-net header asks a network card
// to do: the checksum, and cutting a large TCP or UDP packet into frames. A
// switch needs it where frames go from a port with such headers to one without
// (NC E.11), and so does whoever gets packets from a tap of the kernel.
//
// Everything it is given is hostile: headers lie about lengths and positions,
// and the packet's memory may change under its hands. What decides anything is
// copied to private memory first, and every access is one to a Go slice. What a
// request can cost is bounded by the length of the packet.
//
// Nothing here allocates.
package offload
