# Redis with a password.  Its append-only file is written before each answer,
# so a killed Redis comes back with what it answered.  Sourced by up.

redis_settings() {
    cat <<CONF
bind 127.0.0.1
port $PORT_REDIS
requirepass $REDIS_PASSWORD
daemonize no
dir $RUN/redis
save ""
appendonly yes
CONF
}

redis_answers() {
    [ "$(REDISCLI_AUTH=$REDIS_PASSWORD redis-cli -p "$PORT_REDIS" ping 2>/dev/null)" = PONG ]
}

redis_up() {
    ! part_runs redis || return 0
    own_folder "$RUN/redis"
    redis_settings | own_file "$RUN/redis/redis.conf"
    start_part redis redis-server "$RUN/redis/redis.conf"
    wait_for redis 60 redis_answers
}
