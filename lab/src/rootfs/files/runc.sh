#!/bin/sh
# runc on a machine whose engine may not raise limits (no CAP_SYS_RESOURCE): what the lab
# host cannot be given is left out, instead of refusing every container that asks for it.
# `docker inspect` still shows what was asked.
previous=
for word; do
    [ "$previous" = --bundle ] && bundle=$word
    previous=$word
done
if [ -n "${bundle:-}" ] && [ -w "$bundle/config.json" ]; then
    sed -E -i \
        -e 's/"oomScoreAdj":-[0-9]+/"oomScoreAdj":0/' \
        -e 's/"rlimits":\[[^]]*\]/"rlimits":[]/' \
        -e 's/"CAP_SYS_RESOURCE",|,"CAP_SYS_RESOURCE"//g' \
        "$bundle/config.json"
fi
exec /usr/sbin/runc.real "$@"
