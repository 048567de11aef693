#!/bin/sh
# First process of a lab host: makes a container look like a machine, then becomes systemd.
set -eu

# Files that Docker mounts over the image's own cannot be replaced by a rename, which is
# how careful programs write. Keep their content, drop the mounts.
for file in /etc/resolv.conf /etc/hosts /etc/hostname; do
    if grep -q " $file " /proc/self/mounts; then
        content=$(cat "$file")
        umount "$file"
        if [ ! -e /etc/kbz-lab/booted ]; then
            rm -f "$file"
            printf '%s\n' "$content" > "$file"
        fi
    fi
done
if [ ! -e /etc/kbz-lab/booted ]; then
    [ -e /etc/kbz-lab/hosts ] && cat /etc/kbz-lab/hosts > /etc/hosts
    [ -e /etc/kbz-lab/resolv.conf ] && cat /etc/kbz-lab/resolv.conf > /etc/resolv.conf
    mkdir -p /etc/kbz-lab
    : > /etc/kbz-lab/booted
fi

# The kernel's memory settings and its swap areas are the whole machine's. A lab host sees
# copies, so that nothing done to it reaches the machine.
copy=$(mktemp -d)
cp /proc/sys/vm/* "$copy/" 2>/dev/null || true
mount -t tmpfs -o mode=755 tmpfs /proc/sys/vm
cp -p "$copy"/* /proc/sys/vm/
rm -rf "$copy"
printf 'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n' > /run/kbz-lab-swaps
mount --bind /run/kbz-lab-swaps /proc/swaps

# Where the machine may not raise limits, neither may its hosts.
capabilities=$(sed -n 's/^CapBnd:[[:space:]]*//p' /proc/self/status)
if [ $(((0x$capabilities >> 24) & 1)) = 0 ] && [ ! -e /usr/sbin/runc.real ]; then
    cp -p /usr/sbin/runc /usr/sbin/runc.real
    cp /usr/lib/kbz-lab/runc /usr/sbin/runc.new
    chmod 755 /usr/sbin/runc.new
    mv /usr/sbin/runc.new /usr/sbin/runc
fi

# cgroup v2 is handed over read-only.
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    mount -o remount,rw /sys/fs/cgroup
fi

# No way out, whatever routes Docker adds: default routes are ignored, and what then has
# no route is unreachable.
if [ "${KBZ_LAB_WAY_IN:-no}" = yes ]; then
    if ip rule add pref 100 lookup main suppress_prefixlength 0; then
        ip rule add pref 101 unreachable
    fi
    ip route del default || true
    for unit in docker.service docker.socket containerd.service; do
        ln -sf /dev/null "/etc/systemd/system/$unit"
    done
fi

exec /sbin/init
