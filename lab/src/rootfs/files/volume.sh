#!/bin/sh
# The data disk of a lab host: an XFS file system in a sparse file of its volume.
set -eu
. /etc/kbz-lab/volume    # DIRECTORY, SIZE, FILE

attach() {
    [ -e /dev/loop-control ] || mknod /dev/loop-control c 10 237
    # All hosts of all labs share the machine's loop devices: another host may take the
    # free one first.
    for attempt in $(seq 50); do
        device=$(losetup -f)
        [ -e "$device" ] || mknod "$device" b 7 "${device#/dev/loop}"
        if mount -t xfs -o "loop=$device,noatime" "$FILE" "$DIRECTORY"; then
            return
        fi
        echo "attempt $attempt: $device was taken" >&2
    done
    return 1
}

case "$1" in
start)
    mkdir -p "$DIRECTORY"
    mountpoint -q "$DIRECTORY" && exit 0
    if [ ! -e "$FILE" ]; then
        mkdir -p "$(dirname "$FILE")"
        truncate -s "$SIZE" "$FILE.new"
        mkfs.xfs -q "$FILE.new"
        mv "$FILE.new" "$FILE"
    fi
    attach
    ;;
stop)
    umount "$DIRECTORY"
    ;;
esac
