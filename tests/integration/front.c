/* front.c - nginx as a TLS and HTTP/2 front before a dev vault. */
#include "support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Paths are below the prefix.  A connection carries few requests, so that many are
 * given up while others are on their way. */
static const char config[] =
    "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log error.log;\n"
    "events { worker_connections 256; }\n"
    "http {\n"
    "  access_log off;\n"
    "  client_body_temp_path a; proxy_temp_path b; fastcgi_temp_path c;\n"
    "  uwsgi_temp_path d; scgi_temp_path e;\n"
    "  ssl_certificate leaf.pem; ssl_certificate_key leaf-key.pem;\n"
    "  upstream vault { server 127.0.0.1:%d; keepalive 16; }\n"
    "  server {\n"
    "    listen 127.0.0.1:%d ssl http2;\n"
    "    keepalive_requests 60;\n"
    "    location / {\n"
    "      proxy_pass https://vault;\n"
    "      proxy_http_version 1.1; proxy_set_header Connection '';\n"
    "      proxy_set_header Host $http_host;\n"
    "    }\n"
    "  }\n"
    "}\n";

static int free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, n), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
    close(fd);
    return ntohs(at.sin_port);
}

static bool answers(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0;
    close(fd);
    return ok;
}

/* A leaf for localhost, signed by the vault's authority. */
static int make_leaf(const server *vault, const char *dir)
{
    char ca_key[256], key[256], leaf[256];
    snprintf(ca_key, sizeof(ca_key), "%s/key.pem", vault->dir);
    snprintf(key, sizeof(key), "%s/leaf-key.pem", dir);
    snprintf(leaf, sizeof(leaf), "%s/leaf.pem", dir);
    pid_t child = fork();
    if (child == 0) {
        if (!freopen("/dev/null", "w", stderr)) _exit(126);
        execlp("openssl", "openssl", "req", "-x509", "-CA", vault->ca_file, "-CAkey",
               ca_key, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
               "-days", "2", "-keyout", key, "-out", leaf, "-subj", "/CN=localhost",
               "-addext", "subjectAltName=DNS:localhost", "-addext",
               "basicConstraints=critical,CA:FALSE", (char *)NULL);
        _exit(127);
    }
    int status = -1;
    waitpid(child, &status, 0);
    return status;
}

server *front_start(const server *vault)
{
    const char *nginx = "/usr/sbin/nginx";
    if (access(nginx, X_OK) != 0) return NULL;
    server *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    *s = *vault;
    snprintf(s->dir, sizeof(s->dir), "/tmp/moonlatch-front-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    assert_int_equal(make_leaf(vault, s->dir), 0);
    s->port = free_port();
    snprintf(s->url, sizeof(s->url), "https://localhost:%d", s->port);
    char path[256], log[256];
    snprintf(path, sizeof(path), "%s", server_file(s, "nginx.conf"));
    snprintf(log, sizeof(log), "%s", server_file(s, "error.log"));
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    fprintf(f, config, vault->port, s->port);
    assert_int_equal(fclose(f), 0);
    s->pid = fork();
    if (s->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl(nginx, nginx, "-e", log, "-p", s->dir, "-c", path, (char *)NULL);
        _exit(127);
    }
    const struct timespec pause = {0, 20 * 1000 * 1000};
    for (int i = 0; i < 500 && !answers(s->port); i++) {
        int status;
        if (waitpid(s->pid, &status, WNOHANG) == s->pid) {
            fail_msg("nginx did not start:\n%s", read_text(log));
        }
        nanosleep(&pause, NULL);
    }
    return s;
}
