#!/bin/sh
# machine.sh FOLDER: installs the packages in FOLDER on a copy of this machine, runs what they installed as their unit
# says, and removes them. The copy is an overlay over the root file system. Wants namespaces of mounts, PIDs and the
# network of its own.
set -eu
debs=$1

say() { echo "== $*"; }
fail() { echo "FAILED: $*"; exit 1; }

copy=$debs/copy
mkdir "$copy"
mount -t tmpfs none "$copy"
mkdir "$copy/up" "$copy/work" "$copy/root"
if ! mount -t overlay overlay -o "lowerdir=/,upperdir=$copy/up,workdir=$copy/work" "$copy/root" 2>/dev/null; then
    echo "SKIP: no overlay can be mounted here"
    exit 0
fi
root=$copy/root
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys" 2>/dev/null || mount --rbind /sys "$root/sys"
mount -t tmpfs none "$root/run"
mkdir "$root/packages"
cp "$debs"/*.deb "$root/packages"
in_copy() { chroot "$root" "$@"; }

say install
in_copy sh -c 'DEBIAN_FRONTEND=noninteractive dpkg -i /packages/*.deb' 2>&1
in_copy getent passwd netmapd >/dev/null || fail "no user netmapd"
in_copy getent group netmap >/dev/null || fail "no group netmap"
[ "$(in_copy stat -c '%a %U:%G' /etc/netmapd/netmapd.yaml)" = '660 root:netmapd' ] || fail "mode of the configuration"
in_copy netmapd --check --config /etc/netmapd/netmapd.yaml
in_copy sh -c '! command -v man >/dev/null || man -w netmapd netmapd.yaml nmctl nmctl-port-show' >/dev/null || fail "man pages"
if in_copy sh -c 'command -v systemd-analyze' >/dev/null; then
    in_copy systemd-analyze verify --man=no /usr/lib/systemd/system/netmapd.service
fi
in_copy useradd -G netmap alice
in_copy useradd bob

# setting FILE KEY: the last value of a key of the unit.
setting() { sed -n "s/^$2=//p" "$root/usr/$1" | tail -n 1; }
# capabilities LIST: as setpriv wants them.
capabilities() { echo "$1" | tr 'A-Z ' 'a-z,' | sed 's/cap_/+/g'; }
unit=lib/systemd/system/netmapd.service
dropin=share/doc/netmapd/examples/netmapd-unprivileged.conf
command=$(setting $unit ExecStart)

# service OWNER SETPRIV...: starts the daemon as systemd would, and waits for it.
service() {
    rm -rf "$root/run/netmapd"
    in_copy install -d -m 755 -o "$1" -g "$1" /run/netmapd /var/lib/netmapd
    shift
    # shellcheck disable=SC2086 # a list of words
    chroot "$root" setpriv --no-new-privs "$@" $command >"$copy/log" 2>&1 & # each becomes the next, so that $! is the daemon's
    daemon=$!
    for _ in $(seq 100); do
        if [ -S "$root/run/netmapd/control.sock" ] && in_copy nmctl system info >/dev/null 2>&1; then return; fi
        kill -0 "$daemon" 2>/dev/null || break
        sleep 0.1
    done
    cat "$copy/log"
    fail "the service does not start"
}

stop() {
    kill "$daemon"
    status=0
    wait "$daemon" || status=$?
    [ "$status" = 0 ] || { cat "$copy/log"; fail "the service ends with status $status"; }
    # DPDK calls it an error that af_xdp is not to be had; af_packet is taken then.
    if grep level=ERROR "$copy/log" | grep -v from=dpdk; then fail "errors in the log"; fi
}

# as USER COMMAND...
as() {
    user=$1
    shift
    in_copy setpriv --reuid "$user" --regid "$user" --init-groups "$@"
}

# use: what an administrator and users can do.
use() {
    [ "$(in_copy stat -c '%a %G' /run/netmapd/netmap.sock)" = '660 netmap' ] || fail "mode of the socket"
    in_copy nmctl switch create vale1
    in_copy nmctl switch attach vale1 lab0
    as alice nmctl pkt-gen -i vale0:a -f tx -n 1000
    if as bob nmctl pkt-gen -i vale0:b -f tx -n 1 2>"$copy/refused"; then fail "bob may open ports"; fi
    grep -q access.group "$copy/refused" || { cat "$copy/refused"; fail "bob is not told why"; }
    as alice nmctl run -- sh -c 'exec 3<>/dev/netmap && echo netmap >&2' 2>&1 | grep -qx netmap || fail "nmctl run"
    in_copy nmctl config save
    grep -q vale1 "$root/etc/netmapd/netmapd.yaml" || fail "the configuration was not saved"
    in_copy nmctl switch detach vale1 lab0
    in_copy nmctl switch delete vale1
}

ip link set lo up
ip link add lab0 type veth peer name lab1
ip link set lab0 up
ip link set lab1 up

say run as root
service root --bounding-set "-all,$(capabilities "$(setting $unit CapabilityBoundingSet)")"
use
stop

say run without root
in_copy sh -c 'sed -i "/^switches:/,\$d" /etc/netmapd/netmapd.yaml'
in_copy systemd-tmpfiles --create netmapd.conf
ambient=$(capabilities "$(setting $dropin AmbientCapabilities)")
user=$(setting $dropin User)
service "$user" --reuid "$user" --regid "$user" --groups "$user,$(setting $dropin SupplementaryGroups)" \
    --bounding-set "-all,$ambient" --inh-caps "-all,$ambient" --ambient-caps "-all,$ambient"
use
stop

say remove
in_copy dpkg -r netmapd libnetmap-dev libnetmap1
for path in usr/bin/netmapd usr/bin/nmctl usr/lib/netmapd usr/lib/systemd/system/netmapd.service usr/include/net/netmap_user.h; do
    [ ! -e "$root/$path" ] || fail "/$path is left"
done
[ -e "$root/etc/netmapd/netmapd.yaml" ] || fail "removing takes the configuration along"
in_copy dpkg -P netmapd
[ ! -e "$root/etc/netmapd" ] || fail "purging leaves /etc/netmapd"
say done
