#!/usr/bin/env bash
# Apache Kafka 4 (one KRaft node) on loopback, its jars from Maven Central by pom.xml.
#   kafka.sh start|stop|status|purge      prints TAPEWIRE_BROKER=host:port
# Environment: STACK_KAFKA_PORT (29092; the controller takes the next one), STACK_KAFKA_HEAP (384m)
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
home=$stack/kafka; lib=$home/lib; config=$home/server.properties; log=$home/server.log
cluster=dGFwZXdpcmUtdGVzdC0wMQ
# The log itself says how the node fares; class data and heap are kept small for a shared machine.
jvm=(-XX:+UseSerialGC "-Dlog4j2.configurationFile=$here/log4j2.properties" -cp "$lib/*")

need_java() {
  command -v java >/dev/null && command -v mvn >/dev/null && return
  [ "$(id -u)" = 0 ] || die "Kafka needs java 17+ and mvn, which only root can install here:" \
    "apt-get install default-jre-headless maven"
  command -v apt-get >/dev/null || die "Kafka needs java 17+ and mvn; no apt-get to install them"
  say "installing java and maven"
  apt-get -qq update
  DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
    default-jre-headless maven >"$home/apt.log" 2>&1 || { tail -5 "$home/apt.log" >&2; return 1; }
}

fetch() {
  [ -e "$lib/.complete" ] && cmp -s "$here/pom.xml" "$lib/.complete" && return
  say "fetching Kafka's jars"
  rm -rf "$lib" "$home/data" # another release's data may not open
  mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies \
    -DoutputDirectory="$lib" -DincludeScope=runtime >"$home/maven.log" 2>&1 ||
    { tail -15 "$home/maven.log" >&2; die "Kafka's jars could not be fetched"; }
  cp "$here/pom.xml" "$lib/.complete"
}

configure() { # $1 port
  cat >"$config" <<P
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$(($1 + 1))
listeners=PLAINTEXT://127.0.0.1:$1,CONTROLLER://127.0.0.1:$(($1 + 1))
advertised.listeners=PLAINTEXT://127.0.0.1:$1
controller.listener.names=CONTROLLER
log.dirs=$home/data
num.partitions=4
auto.create.topics.enable=false
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.segment.delete.delay.ms=1000
log.cleaner.dedupe.buffer.size=16777216
num.network.threads=2
num.io.threads=4
P
  [ -e "$home/data/meta.properties" ] ||
    java -Xmx128m -XX:TieredStopAtLevel=1 "${jvm[@]}" kafka.tools.StorageTool format \
      -t "$cluster" -c "$config" >"$home/format.log" 2>&1 || { cat "$home/format.log" >&2; return 1; }
}

started() { tail -c "+$((log_before + 1))" "$log" | grep -q 'Kafka Server started'; }

case "${1:-}" in
  start)
    mkdir -p "$home"
    if ! running "$home/pid" "$config"; then
      need_java; fetch
      port=$(free_port "${STACK_KAFKA_PORT:-29092}"); configure "$port"
      touch "$log"; log_before=$(stat -c %s "$log"); heap=${STACK_KAFKA_HEAP:-384m}
      nohup setsid java "-Xms$heap" "-Xmx$heap" "${jvm[@]}" kafka.Kafka "$config" \
        >>"$log" 2>&1 </dev/null 9>&- &
      echo $! >"$home/pid"
      until_ready 60 "$log" "$home/pid" "$config" started
      echo "TAPEWIRE_BROKER=127.0.0.1:$port" >"$home/address"
    fi
    cat "$home/address" ;;
  stop) end "$home/pid" "$config" TERM ;;
  status) running "$home/pid" "$config" && echo "up pid $(cat "$home/pid") $(cat "$home/address")" ;;
  purge) end "$home/pid" "$config" KILL; rm -rf "$home" ;;
  *) sed -n 2,4p "$0" >&2; exit 2 ;;
esac
