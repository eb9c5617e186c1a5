# One Kafka node (KRaft) from Maven Central; its jars are kept in a cache
# folder beside the clone, keyed by version.  Sourced by up.

KAFKA_VERSION=4.4.0
LOG4J_VERSION=2.25.5
JARS=$CACHE/kafka-$KAFKA_VERSION

# pom GROUP:ARTIFACT:VERSION...
pom() {
    cat <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>bank</groupId><artifactId>stack</artifactId><version>1</version>
  <dependencies>
POM
    for pom_jar in "$@"; do
        pom_rest=${pom_jar#*:}
        cat <<POM
    <dependency><groupId>${pom_jar%%:*}</groupId><artifactId>${pom_rest%%:*}</artifactId>
      <version>${pom_rest#*:}</version></dependency>
POM
    done
    echo '  </dependencies>'
    echo '</project>'
}

# fetch_jars FOLDER GROUP:ARTIFACT:VERSION...: with all they depend on.  The
# folder appears whole or not at all, also when two stacks fetch at once.
fetch_jars() {
    fetch_folder=$1
    shift
    [ ! -d "$fetch_folder" ] || return 0
    say "fetching $fetch_folder"
    mkdir -p "$CACHE"
    fetched=$(mktemp -d "$CACHE/fetch-XXXXXX")
    pom "$@" >"$fetched/pom.xml"
    MAVEN_OPTS=-XX:-UsePerfData mvn -B -q -f "$fetched/pom.xml" -Dmaven.repo.local="$CACHE/maven" \
        org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory="$fetched/jars" \
        >"$RUN/log/maven.log" 2>&1 ||
        { tail -n 25 "$RUN/log/maven.log" >&2; rm -rf "$fetched"
            fail "$* could not be fetched"; }
    mv -T "$fetched/jars" "$fetch_folder" 2>/dev/null || [ -d "$fetch_folder" ]
    rm -rf "$fetched"
}

fetch_kafka() {
    fetch_jars "$JARS" "org.apache.kafka:kafka_2.13:$KAFKA_VERSION" \
        "org.apache.logging.log4j:log4j-slf4j-impl:$LOG4J_VERSION"
}

broker_settings() {
    cat <<CONF
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:$PORT_KAFKA,CONTROLLER://127.0.0.1:$PORT_CONTROLLER
controller.listener.names=CONTROLLER
broker.heartbeat.interval.ms=1000
broker.session.timeout.ms=5000
controller.quorum.voters=1@127.0.0.1:$PORT_CONTROLLER
log.dirs=$RUN/kafka/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=4194304
log.cleaner.threads=1
num.network.threads=1
num.io.threads=2
background.threads=2
CONF
}

log_settings() {
    cat <<CONF
Configuration:
  Appenders:
    Console:
      name: console
      PatternLayout:
        pattern: "%d{ISO8601} %p %c{1} %m%n"
  Loggers:
    Root:
      level: warn
      AppenderRef:
        ref: console
CONF
}

cluster_id() {
    echo "$(head -c 15 /dev/urandom | base64 | tr '+/' '-_')AA" | sed 's/^-/_/'
}


JAVA="java -Xms32m -Xmx128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData"

format_broker() {
    own_folder "$RUN/kafka/data"
    # shellcheck disable=SC2086
    as_server $JAVA -cp "$JARS/*" kafka.tools.StorageTool format -t "$(cluster_id)" \
        -c "$RUN/kafka/server.properties" >>"$RUN/log/kafka.log" 2>&1 ||
        part_failed kafka 'could not be formatted'
}

broker_answers() {
    kcat -L -b "127.0.0.1:$PORT_KAFKA" -m 2 2>/dev/null | grep -q '^ *broker 1 at'
}

kafka_up() {
    ! part_runs kafka || return 0
    own_folder "$RUN/kafka"
    broker_settings | own_file "$RUN/kafka/server.properties"
    log_settings | own_file "$RUN/kafka/log4j2.yaml"
    [ -f "$RUN/kafka/data/meta.properties" ] || format_broker
    # shellcheck disable=SC2086
    start_part kafka $JAVA -Dlog4j2.configurationFile="$RUN/kafka/log4j2.yaml" \
        -cp "$JARS/*" kafka.Kafka "$RUN/kafka/server.properties"
    wait_for kafka 120 broker_answers
}
