#!/bin/sh
# Detaches the loop devices whose file's name begins with the given text.
set -eu
for file in /sys/block/loop*/loop/backing_file; do
    [ -e "$file" ] || continue
    case "$(basename "$(sed 's/ (deleted)$//' "$file")")" in
    "$1"*) ;;
    *) continue ;;
    esac
    device=${file#/sys/block/}
    device=${device%%/*}
    [ -e "/dev/$device" ] || mknod "/dev/$device" b 7 "${device#loop}"
    losetup -d "/dev/$device"
    echo "$device"
done
