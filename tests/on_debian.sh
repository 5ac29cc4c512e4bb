#!/usr/bin/env bash
# Installs the committed state in a bare Debian and runs its tests there. As root, with debootstrap and a network:
#
#   tests/on_debian.sh trixie /var/tmp/trixie        Python 3.13
#   tests/on_debian.sh forky /var/tmp/forky          Python 3.14
#
# BIND="DIR ..." shows folders of this machine at the same place there: pip's configuration, a store of wheels.
# What follows the folder is handed to ./setup.sh instead of "test".
set -euo pipefail
suite=${1:?which Debian: trixie, forky, ...} root=${2:?a folder to make it in}
shift 2
(($#)) || set -- test
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

if [[ ! -f $root/etc/debian_version ]]; then
  # a Debian younger than this debootstrap is made as sid is
  [[ -e /usr/share/debootstrap/scripts/$suite ]] || ln -s sid "/usr/share/debootstrap/scripts/$suite"
  debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates "$suite" "$root"
fi
rm -rf "$root/equistera"
git clone -q "$project" "$root/equistera"
export root BIND=${BIND:-}
# its mounts end with it
exec unshare --mount bash -c '
  set -eu
  for folder in /proc /dev $BIND; do
    mkdir -p "$root$folder"
    mount --rbind "$folder" "$root$folder"
  done
  cp -L /etc/resolv.conf "$root/etc/resolv.conf"
  exec chroot "$root" env -i HOME=/root LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    bash -c "cd /equistera && exec ./setup.sh \"\$@\"" setup.sh "$@"' on_debian "$@"
