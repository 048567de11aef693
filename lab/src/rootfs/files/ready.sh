#!/bin/sh
# Ends when the host has booted; fails and names the units that did not start.
set -eu
until [ -S /run/systemd/private ]; do
    sleep 0.05
done
state=$(systemctl is-system-running --wait) || true
[ "$state" = running ] && exit 0
echo "system is $state"
systemctl list-units --failed --no-legend --plain
exit 1
