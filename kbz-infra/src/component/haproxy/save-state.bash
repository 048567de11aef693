#!/bin/bash
# Saves the states of HAProxy's servers where a reload reads them. The argument is the port of
# HAProxy's control socket on the loopback address.
set -eu
directory=/var/lib/haproxy/state
exec 3<>"/dev/tcp/127.0.0.1/$1"
printf 'show servers state\n' >&3
cat <&3 >"$directory/servers.new"
# An empty answer would make the reload forget what it knows.
test -s "$directory/servers.new"
mv -f "$directory/servers.new" "$directory/servers"
