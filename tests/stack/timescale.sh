#!/usr/bin/env bash
# Real TimescaleDB (Apache edition) from Debian trixie's packages, in a root folder of its own:
# no Docker, nothing installed on the machine. Root or an ordinary user: either runs it in a user
# namespace, in which the caller is `postgres` and the folder is /; root, where a container forbids
# namespaces, by chroot.
#   timescale.sh start|stop|status|purge      prints TAPEWIRE_DATABASE=postgresql://...
# Environment: STACK_TIMESCALE_PORT (5544), STACK_TIMESCALE_FSYNC (on)
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
home=$stack/timescale; root=$home/root; log=$home/server.log; suite=trixie
bin=/usr/lib/postgresql/17/bin; uid=5433
mark=cluster_name=tapewire-$(cksum <<<"$home" | cut -d' ' -f1)  # names this checkout's server
# what postgres and timescaledb need at run time; dash for initdb's popen
packages="postgresql-17 postgresql-client-17 postgresql-17-timescaledb dash libc6 libc-bin libgcc-s1
 libstdc++6 zlib1g libzstd1 liblz4-1 libxml2 libpam0g libaudit1 libcap-ng0 libssl3t64
 libgssapi-krb5-2 libkrb5-3 libk5crypto3 libkrb5support0 libcom-err2 libkeyutils1 libldap2
 libsasl2-2 libicu76 libsystemd0 libcap2 libxxhash0 liblzma5 libselinux1 libpcre2-8-0 libuuid1
 libpq5 libxslt1.1 libreadline8t64 libtinfo6 tzdata"

possible() {
  local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  [ -e "$keyring" ] && command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
    die "TimescaleDB comes from Debian's packages: this machine is not Debian"
  if unshare --user true 2>/dev/null; then
    inside=(unshare --user "--map-user=$uid" "--map-group=$uid" "--root=$root" --wd=/)
  elif [ "$(id -u)" = 0 ]; then
    inside=(chroot "--userspec=$uid:$uid" "$root")
  else
    die "TimescaleDB needs root or user namespaces, which this machine refuses to $(id -un)"
  fi
}

# The mirror is whatever this machine's own Debian source names; its apt lists may be empty.
mirror() {
  . /etc/os-release
  apt-get indextargets --format '$(SITE)' 'Created-By: Packages' "Release: $VERSION_CODENAME" \
    'Component: main' | sort -u
}

fetch() {
  [ -e "$home/.complete" ] && return
  say "fetching TimescaleDB's packages"
  local apt=$home/apt site d
  rm -rf "$root" "$apt"; mkdir -p "$apt"/{lists/partial,cache/archives/partial,preferences.d} "$home/debs"
  : >"$apt/status"; : >"$apt/list"
  for site in $(mirror); do
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $site $suite main" >>"$apt/list"
  done
  [ -s "$apt/list" ] || die "no Debian source among this machine's apt sources"
  cat >"$apt/conf" <<C
Dir::Etc::sourcelist "$apt/list"; Dir::Etc::sourceparts "-";
Dir::Etc::preferences "-"; Dir::Etc::preferencesparts "$apt/preferences.d";
Dir::State "$apt"; Dir::State::lists "$apt/lists"; Dir::State::status "$apt/status";
Dir::Cache "$apt/cache"; APT::Sandbox::User ""; Acquire::Languages "none";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
C
  (
    export APT_CONFIG=$apt/conf; cd "$home/debs"
    { apt-get -qq update && apt-get -qq download $packages; } >"$home/apt.log" 2>&1
  ) || { tail -5 "$home/apt.log" >&2; die "TimescaleDB's packages could not be fetched"; }
  mkdir -p "$root"/usr/{bin,sbin,lib,lib64} "$root"/{etc,tmp,dev/shm}
  for d in bin sbin lib lib64; do ln -s "usr/$d" "$root/$d"; done
  for d in "$home"/debs/*.deb; do
    dpkg-deb --fsys-tarfile "$d" | tar -x -C "$root" --keep-directory-symlink --no-same-owner \
      --exclude=./usr/share/{doc,man,locale} --exclude='*/bitcode/*'
  done
  ln -sf dash "$root/usr/bin/sh"
  : >"$root/dev/null"  # an ordinary user makes no devices, and a file does
  chmod a+rwx "$root/tmp" "$root/dev/shm"; chmod a+rw "$root/dev/null"
  echo "postgres:x:$uid:$uid::/data:/bin/sh" >"$root/etc/passwd"
  echo "postgres:x:$uid:" >"$root/etc/group"
  echo '127.0.0.1 localhost' >"$root/etc/hosts"
  rm -rf "$apt" "$home/debs"; touch "$home/.complete"
}

initialise() {
  [ -e "$home/.initialised" ] && return
  rm -rf "$root/data"; mkdir -m 700 "$root/data"
  [ "${inside[0]}" != chroot ] || chown $uid:$uid "$root/data"
  "${inside[@]}" $bin/initdb -D /data -U postgres -A trust -E UTF8 --locale=C.UTF-8 \
    >"$home/initdb.log" 2>&1 || { cat "$home/initdb.log" >&2; return 1; }
  cat >>"$root/data/postgresql.conf" <<C
listen_addresses='127.0.0.1'
unix_socket_directories=''
shared_preload_libraries='timescaledb'
timescaledb.telemetry_level=off
jit=off
shared_buffers=256MB
max_connections=200
max_worker_processes=16
C
  touch "$home/.initialised"
}

query() { "${inside[@]}" $bin/psql -h 127.0.0.1 -p "$port" -U postgres -qAtX "$@" </dev/null; }

case "${1:-}" in
  start)
    mkdir -p "$home"
    if ! running "$home/pid" "$mark"; then
      possible; fetch; initialise
      rm -f "$root/data/postmaster.pid"  # of a killed server: nothing of ours runs here
      port=$(free_port "${STACK_TIMESCALE_PORT:-5544}")
      nohup setsid "${inside[@]}" $bin/postgres -D /data -p "$port" -c "$mark" \
        -c "fsync=${STACK_TIMESCALE_FSYNC:-on}" >>"$log" 2>&1 </dev/null 9>&- &
      echo $! >"$home/pid"
      until_ready 60 "$log" "$home/pid" "$mark" query -d postgres -c 'select 1'
      [ "$(query -d postgres -c "select 1 from pg_database where datname = 'tapewire'")" = 1 ] ||
        query -d postgres -c 'create database tapewire'
      PGOPTIONS='-c client_min_messages=error' query -d tapewire -c 'create extension if not exists timescaledb'
      echo "TAPEWIRE_DATABASE=postgresql://postgres@127.0.0.1:$port/tapewire" >"$home/address"
    fi
    cat "$home/address" ;;
  stop) end "$home/pid" "$mark" INT ;;
  status) running "$home/pid" "$mark" && echo "up pid $(cat "$home/pid") $(cat "$home/address")" ;;
  purge) end "$home/pid" "$mark" QUIT; rm -rf --one-file-system "$home" ;;
  *) sed -n 2,7p "$0" >&2; exit 2 ;;
esac
