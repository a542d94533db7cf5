/*
 * net/netmap_virt.h: the registers of ptnet, netmap's device for virtual machines,
 * as hypervisors and guests name them. netmapd has no such device (CAVEATS.md): this
 * is here for programs that include it.
 */
#ifndef NETMAPD_NET_NETMAP_VIRT_H
#define NETMAPD_NET_NETMAP_VIRT_H

#ifndef NETMAP_VIRT_H
#define NETMAP_VIRT_H
#endif

/* PCI: the device that shares the host's memory, and the network interface. */
#define PTNETMAP_MEMDEV_NAME "ptnetmap-memdev"
#define PTNETMAP_PCI_VENDOR_ID 0x1b36
#define PTNETMAP_PCI_DEVICE_ID 0x000c
#define PTNETMAP_PCI_NETIF_ID 0x000d
#define PTNETMAP_IO_PCI_BAR 0
#define PTNETMAP_MEM_PCI_BAR 1
#define PTNETMAP_MSIX_PCI_BAR 2

/* Registers of the memory device: the region and its pools. */
#define PTNET_MDEV_IO_MEMSIZE_LO 0
#define PTNET_MDEV_IO_MEMSIZE_HI 4
#define PTNET_MDEV_IO_MEMID 8
#define PTNET_MDEV_IO_IF_POOL_OFS 64
#define PTNET_MDEV_IO_IF_POOL_OBJNUM 68
#define PTNET_MDEV_IO_IF_POOL_OBJSZ 72
#define PTNET_MDEV_IO_RING_POOL_OFS 76
#define PTNET_MDEV_IO_RING_POOL_OBJNUM 80
#define PTNET_MDEV_IO_RING_POOL_OBJSZ 84
#define PTNET_MDEV_IO_BUF_POOL_OFS 88
#define PTNET_MDEV_IO_BUF_POOL_OBJNUM 92
#define PTNET_MDEV_IO_BUF_POOL_OBJSZ 96
#define PTNET_MDEV_IO_END 100

/* Features of the network interface. */
#define PTNETMAP_F_VNET_HDR 1

/* Its registers. */
#define PTNET_IO_PTFEAT 0
#define PTNET_IO_PTCTL 4
#define PTNET_IO_MAC_LO 8
#define PTNET_IO_MAC_HI 12
#define PTNET_IO_CSBBAH 16 /* not used any more */
#define PTNET_IO_CSBBAL 20 /* not used any more */
#define PTNET_IO_NIFP_OFS 24
#define PTNET_IO_NUM_TX_RINGS 28
#define PTNET_IO_NUM_RX_RINGS 32
#define PTNET_IO_NUM_TX_SLOTS 36
#define PTNET_IO_NUM_RX_SLOTS 40
#define PTNET_IO_VNET_HDR_LEN 44
#define PTNET_IO_HOSTMEMID 48
#define PTNET_IO_CSB_GH_BAH 52
#define PTNET_IO_CSB_GH_BAL 56
#define PTNET_IO_CSB_HG_BAH 60
#define PTNET_IO_CSB_HG_BAL 64
#define PTNET_IO_END 68
#define PTNET_IO_KICK_BASE 128
#define PTNET_IO_MASK 0xff

/* Commands for PTNET_IO_PTCTL. */
#define PTNETMAP_PTCTL_CREATE 1
#define PTNETMAP_PTCTL_DELETE 2

#endif /* NETMAPD_NET_NETMAP_VIRT_H */
