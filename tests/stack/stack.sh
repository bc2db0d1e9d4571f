#!/usr/bin/env bash
# The real servers of the tests, all on loopback, data under .stack/ of this checkout.
#   stack.sh start|stop|status|purge [kafka|timescale|valkey|tsl ...]  (the first three by default)
# `start` is idempotent and prints TAPEWIRE_BROKER=, TAPEWIRE_DATABASE= and TAPEWIRE_REDIS= for those
# that are up (also in .stack/env); a server that cannot be had is named on stderr, exit code 1.
# An ordinary user who cannot have TimescaleDB gets plain PostgreSQL, said on stderr.
# Ports 29092, 5544 and 16379, or the next free ones; STACK_KAFKA_PORT, STACK_TIMESCALE_PORT and
# STACK_VALKEY_PORT choose others.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
command=${1:-}; [ $# -eq 0 ] || shift
case $command in start | stop | status | purge) ;; *) sed -n 2,9p "$0" >&2; exit 2 ;; esac
servers=("$@"); [ $# -gt 0 ] || servers=(kafka timescale valkey)
[ $# -gt 0 ] || [ "$command" = start ] || [ ! -d "$stack/postgres" ] || servers+=(postgres)
[ $# -gt 0 ] || [ "$command" = start ] || [ ! -d "$stack/tsl" ] || servers+=(tsl)
for server in "${servers[@]}"; do
  [ -x "$here/$server.sh" ] && [ "$server" != stack ] || die "expected kafka, timescale, valkey or tsl, got $server"
done

failed=0
if [ "$command" = status ]; then
  for server in "${servers[@]}"; do
    echo "$server: $("$here/$server.sh" status || echo down)"
  done
  exit
fi
[ "$command" = start ] || [ -d "$stack" ] || exit 0
if [ "$command" != start ] && [ $# -eq 0 ]; then
  for each in "$stack"/worker*/; do # those of tests side by side
    [ ! -d "$each" ] || STACK_DIR=${each%/} "$here/stack.sh" "$command"
  done
fi
mkdir -p "$stack" "$repo/.stack"
[ -w "$stack" ] || die "$stack: expected a folder of $(id -un), it belongs to $(stat -c %U "$stack")"
exec 9>"$repo/.stack/.lock"; flock 9 # also around what is fetched
declare -A job
for server in "${servers[@]}"; do
  "$here/$server.sh" "$command" >"$stack/$server.out" & job[$server]=$!
done
for server in "${servers[@]}"; do
  wait "${job[$server]}" && continue
  say "$server: no $command"
  if [ "$command $server $#" = "start timescale 0" ] && [ "$(id -u)" != 0 ] &&
    "$here/postgres.sh" start >"$stack/timescale.out"; then
    say "plain PostgreSQL instead of TimescaleDB"
  else
    failed=1
  fi
done
if [ "$command" = start ]; then
  for server in "${servers[@]}"; do cat "$stack/$server.out"; done
  for server in kafka timescale postgres valkey; do
    "$here/$server.sh" status | sed 's/^up pid [0-9]* //' || true
  done >"$stack/env"
else
  rm -f "$stack/env"
fi
rm -f "$stack"/*.out
if [ "$command" = purge ] && [ $# -eq 0 ]; then rm -rf "$stack"; fi
exit $failed
