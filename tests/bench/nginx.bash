# shellcheck shell=bash
# nginx.bash - a vault and a token endpoint of static files behind nginx with TLS and
# HTTP/2, for scripts/bench. Sourced.
#
# Serves $work/www/NAME.json at https://localhost:VAULT_PORT/secrets/NAME (401 with a
# challenge when no token comes) and one token at https://localhost:TOKEN_PORT. The secret
# "absent" is missing, and absent.log has a line for each request about it.

# shellcheck disable=SC2154  # work is set by scripts/bench

# make_files COUNT: secrets key-00000 ..., a certificate, a token of a usual length.
make_files() {
    mkdir -p "$work/www" "$work/tmp"
    awk -v dir="$work/www" -v count="$1" 'BEGIN {
        for (i = 0; i < count; i++) {
            name = sprintf("key-%05d", i)
            file = dir "/" name ".json"
            printf "{\"value\":\"postgresql://etl:%032x@db.example:5432/sales\"," \
                "\"id\":\"https://localhost/secrets/%s/%032x\",\"contentType\":\"text/plain\"," \
                "\"attributes\":{\"enabled\":true,\"created\":1700000000,\"updated\":1700000000," \
                "\"recoveryLevel\":\"Recoverable+Purgeable\",\"recoverableDays\":90}," \
                "\"tags\":{\"env\":\"bench\"}}", i, name, i >file
            close(file)
        }
    }'
    token=eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0.$(head -c 900 /dev/zero | tr '\0' 'a').$(
        head -c 342 /dev/zero | tr '\0' 'b')
    quietly "$work/openssl.log" openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 \
        -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
        -keyout "$work/key.pem" -out "$work/cert.pem"
}

# nginx_config VAULT_PORT TOKEN_PORT
nginx_config() {
    [[ $(id -u) != 0 ]] || printf 'user %s %s;\n' "$(id -un)" "$(id -gn)"
    cat <<CONF
daemon off;
worker_processes 1;
pid $work/nginx.pid;
error_log $work/error.log warn;
events { worker_connections 512; }
http {
    access_log off;
    default_type application/json;
    client_body_temp_path $work/tmp/body;
    proxy_temp_path $work/tmp/proxy;
    fastcgi_temp_path $work/tmp/fastcgi;
    uwsgi_temp_path $work/tmp/uwsgi;
    scgi_temp_path $work/tmp/scgi;
    ssl_certificate $work/cert.pem;
    ssl_certificate_key $work/key.pem;
    keepalive_requests 1000000;
    open_file_cache max=10000;
    server {
        listen 127.0.0.1:$1 ssl http2;
        root $work/www;
        location ~ ^/secrets/(?<name>[0-9A-Za-z-]+)/?\$ {
            if (\$http_authorization = "") {
                add_header WWW-Authenticate 'Bearer authorization="https://localhost:$2/bench", resource="https://vault.azure.net"' always;
                return 401;
            }
            try_files /\$name.json =404;
        }
        location = /secrets/absent {
            access_log $work/absent.log;
            return 404 '{"error":{"code":"SecretNotFound","message":"not here"}}';
        }
    }
    server {
        listen 127.0.0.1:$2 ssl http2;
        location / {
            return 200 '{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"$token"}';
        }
    }
}
CONF
}

# start_nginx: sets vault_port, token_port, nginx_pid. A port may be taken between the
# asking and the binding, so more than one attempt.
start_nginx() {
    local attempt i
    for attempt in 1 2 3; do
        vault_port=$(free_port)
        token_port=$(free_port)
        nginx_config "$vault_port" "$token_port" >"$work/nginx.conf"
        rm -f "$work/nginx.pid"
        dies_with_us nginx -e "$work/error.log" -p "$work" -c "$work/nginx.conf" \
            </dev/null >"$work/nginx.log" 2>&1 &
        nginx_pid=$!
        for ((i = 0; i < 100; i++)); do
            [[ ! -s $work/nginx.pid ]] || return 0
            kill -0 "$nginx_pid" 2>/dev/null || break
            sleep 0.1
        done
        stop_nginx
    done
    cat "$work/nginx.log" "$work/error.log" >&2
    die "nginx did not start in $attempt attempts"
}

stop_nginx() {
    [[ -n ${nginx_pid:-} ]] || return 0
    kill "$nginx_pid" 2>/dev/null || true
    wait "$nginx_pid" 2>/dev/null || true
    nginx_pid=
}
