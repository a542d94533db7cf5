/* iface.h: interface ioctls for names that only netmapd knows. */
#ifndef NMD_IFACE_H
#define NMD_IFACE_H

#include <stdbool.h>

/* nmd_is_iface_ioctl: is it one that we would answer? */
bool nmd_is_iface_ioctl(unsigned long req);

/* nmd_iface answers one that the kernel refused with ENODEV: 0, or an errno. arg is the
 * program's ifreq, which the kernel could read. */
int nmd_iface(unsigned long req, void *arg);

/* nmd_iface_on is called when the program gets a netmap descriptor of the daemon at path. */
void nmd_iface_on(const char *path);

#endif
