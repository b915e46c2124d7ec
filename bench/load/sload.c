/* Streaming load generator: one thread, epoll, closed loop.
 *
 * sload PORT|SOCKET CONCURRENCY SECONDS HEADERS_FILE BODY_FILE [PATH]
 *   SOCKET: path of a Unix socket, to ask an engine directly
 *   HEADERS_FILE: extra request headers, one per line (key, provider ...)
 * Every connection posts BODY to PATH (default /v1/chat/completions), reads the SSE answer to the end of
 * its chunked body, and posts again.  Prints one JSON line.  TTFT is the time from the
 * request's write to the first "data:" byte; a "chunk" is one "data:" event that is not
 * [DONE]; `reads` counts recv() calls that carried data, so chunks/reads tells whether
 * a gateway coalesces events.  After SECONDS no new request starts; streams under way may
 * finish, and are counted.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CAP (1 << 20)
typedef struct { int fd, len, scan, chunks, done, open, busy, used; double t0, t1; char *buf; } conn_t;

static int ep, port, nreq_bytes; static char *req; static const char *path_of_socket;
static double *ttft, *total; static int nlat, caplat;
static long streams, chunks, reads, errors, nodone, bytes;
static char first_err[200];

static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec / 1e9; }

static int dial(conn_t *c) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_un u = {.sun_family = AF_UNIX};
    int one = 1;
    if (path_of_socket) snprintf(u.sun_path, sizeof u.sun_path, "%s", path_of_socket);
    c->fd = socket(path_of_socket ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
    if (path_of_socket ? connect(c->fd, (void *)&u, sizeof u) : connect(c->fd, (void *)&a, sizeof a)) {
        close(c->fd); c->open = 0; return -1;
    }
    if (!path_of_socket) setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e);
    c->open = 1; c->used = 0; return 0;
}

static void start(conn_t *c) {
    c->len = c->scan = c->chunks = c->done = 0; c->t1 = 0; c->busy = 1;
    if (!c->open && dial(c)) { errors++; c->busy = 0; return; }
    c->t0 = now();
    if (send(c->fd, req, nreq_bytes, MSG_NOSIGNAL) != nreq_bytes) {
        if (c->used) { close(c->fd); c->open = 0; start(c); return; }
        errors++; close(c->fd); c->open = 0; c->busy = 0;
    }
}

static void finish(conn_t *c, int ok) {
    double t = now();
    c->busy = 0; c->used = 1;
    if (!ok) { errors++; if (!first_err[0]) snprintf(first_err, sizeof first_err, "%.180s", c->buf); return; }
    if (!c->done) nodone++;
    streams++; chunks += c->chunks;
    if (nlat == caplat) { caplat = caplat ? caplat * 2 : 4096; ttft = realloc(ttft, caplat * 8); total = realloc(total, caplat * 8); }
    ttft[nlat] = c->t1 - c->t0; total[nlat++] = t - c->t0;
}

static int cmp(const void *a, const void *b) { double x = *(double *)a, y = *(double *)b; return x < y ? -1 : x > y; }
static double pct(double *v, double p) { return nlat ? v[(int)(p * (nlat - 1))] * 1e3 : -1; }
static char *slurp(const char *f, long *n) {
    FILE *h = fopen(f, "rb"); if (!h) { perror(f); exit(2); }
    char *b = malloc(1 << 20); *n = fread(b, 1, (1 << 20) - 1, h); b[*n] = 0; fclose(h); return b;
}

int main(int argc, char **argv) {
    if (argc < 6) { fprintf(stderr, "usage: sload PORT|SOCKET CONC SECONDS HEADERS BODY [PATH]\n"); return 2; }
    port = atoi(argv[1]); if (argv[1][0] == '/') path_of_socket = argv[1];
    int conc = atoi(argv[2]); double secs = atof(argv[3]);
    long hn, bn; char *h = slurp(argv[4], &hn), *b = slurp(argv[5], &bn);
    req = malloc(hn * 2 + bn + 1024);
    nreq_bytes = sprintf(req, "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n",
        argc > 6 ? argv[6] : "/v1/chat/completions", port);
    for (char *l = strtok(h, "\r\n"); l; l = strtok(NULL, "\r\n")) nreq_bytes += sprintf(req + nreq_bytes, "%s\r\n", l);
    nreq_bytes += sprintf(req + nreq_bytes, "Content-Length: %ld\r\n\r\n", bn);
    memcpy(req + nreq_bytes, b, bn); nreq_bytes += bn;

    ep = epoll_create1(0);
    conn_t *cs = calloc(conc, sizeof *cs);
    double t0 = now(), end = t0 + secs, hard = end + 10;
    for (int i = 0; i < conc; i++) { cs[i].buf = malloc(CAP + 1); start(&cs[i]); }
    struct epoll_event evs[256];
    for (;;) {
        int busy = 0; for (int i = 0; i < conc; i++) busy += cs[i].busy;
        double t = now();
        if (t > hard || (!busy && t >= end)) break;
        if (t < end) for (int i = 0; i < conc; i++) if (!cs[i].busy && errors < 1000) start(&cs[i]);
        if (errors >= 1000) break;
        int n = epoll_wait(ep, evs, 256, 100);
        for (int i = 0; i < n; i++) {
            conn_t *c = evs[i].data.ptr;
            ssize_t r = recv(c->fd, c->buf + c->len, CAP - c->len, MSG_DONTWAIT);
            if (r < 0 && errno == EAGAIN) continue;
            if (r <= 0) {
                close(c->fd); c->open = 0;
                if (c->busy && !c->len && c->used) start(c); /* the server had closed an idle connection: as a client would */
                else if (c->busy) finish(c, c->done);
                continue;
            }
            reads++; bytes += r; c->len += r; c->buf[c->len] = 0;
            for (;;) {
                char *p = memmem(c->buf + c->scan, c->len - c->scan, "data:", 5);
                if (!p) { int s = c->len - 4; if (s > c->scan) c->scan = s; break; }
                if (c->len - (p - c->buf) < 12) { c->scan = p - c->buf; break; } /* wait for the byte that tells [DONE] */
                if (!c->t1) c->t1 = now();
                if (!memcmp(p + 5, " [DONE]", 7) || !memcmp(p + 5, "[DONE]", 6)) c->done = 1; else c->chunks++;
                c->scan = p - c->buf + 5;
            }
            if (c->len >= 7 && !memcmp(c->buf + c->len - 7, "\r\n0\r\n\r\n", 7)) {
                int ok = c->len > 12 && !memcmp(c->buf + 9, "200", 3) && c->chunks;
                finish(c, ok);
                if (now() < end) start(c);
            } else if (c->len > 12 && memcmp(c->buf + 9, "200", 3)) {
                finish(c, 0); close(c->fd); c->open = 0;
            } else if (c->len >= CAP) { finish(c, 0); close(c->fd); c->open = 0; }
        }
    }
    double dt = now() - t0;
    qsort(ttft, nlat, 8, cmp); qsort(total, nlat, 8, cmp);
    for (char *p = first_err; *p; p++) if (*p < 32 || *p == '"' || *p == '\\') *p = ' ';
    printf("{\"seconds\":%.3f,\"streams\":%ld,\"chunks\":%ld,\"reads\":%ld,\"errors\":%ld,\"no_done\":%ld,\"bytes\":%ld,"
           "\"streams_per_s\":%.2f,\"chunks_per_s\":%.1f,\"ttft_p50_ms\":%.3f,\"ttft_p99_ms\":%.3f,\"total_p50_ms\":%.3f,\"total_p99_ms\":%.3f,\"first_error\":\"%s\"}\n",
           dt, streams, chunks, reads, errors, nodone, bytes, streams / dt, chunks / dt, pct(ttft, .5), pct(ttft, .99), pct(total, .5), pct(total, .99), first_err);
    return 0;
}
