mkdir -p -m 700 /root/.ssh
mkdir -p /etc/kbz-lab
# The lab gives every host its own keys and identity.
rm -f /etc/ssh/ssh_host_* /etc/machine-id /var/lib/dbus/machine-id
: > /etc/machine-id
# Kernel settings of the distribution would be applied to the whole machine.
rm -f /usr/lib/sysctl.d/*.conf /etc/sysctl.d/*.conf
for unit in console-getty.service getty.target systemd-udevd.service systemd-modules-load.service \
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer \
    e2scrub_reap.service; do
    ln -sf /dev/null "/etc/systemd/system/$unit"
done
ln -sf ../kbz-lab-volume.service /etc/systemd/system/multi-user.target.wants/kbz-lab-volume.service
rm -rf /var/lib/apt/lists/*
