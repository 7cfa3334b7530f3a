/* tls_limit: what one bare TLS 1.3 stream between two processes on loopback carries: the limit that
 * psd's transport is measured against. Own code over OpenSSL: blocking sockets, SSL_write and
 * SSL_read with AES-256-GCM and certificates on both sides, and nothing else.
 *
 *     tls_limit CA.pem SERVER.pem SERVER.key CLIENT.pem CLIENT.key [--bytes N] [--json]
 *
 * For each size of chunk N bytes (default 512 MiB) go from the client to the server; the best size
 * is the limit. Then 1 KiB goes there and back 2000 times: the limit of a unary call. GB are 1e9
 * bytes. Exit status 1 where the stream could not be set up.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHUNKS     4
#define LARGEST    (1u << 20)
#define PING_BYTES 1024
#define PINGS      2000

static const size_t chunks[CHUNKS] = {16384, 65536, 262144, LARGEST};

typedef struct results {
    const char *cipher;
    double rate[CHUNKS], best;    /* GB/s */
    double send_cpu, receive_cpu; /* CPU seconds for a GB, mean over the sizes */
    double p50, p99;              /* microseconds */
} results;

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void die(const char *what)
{
    (void)fprintf(stderr, "tls_limit: %s\n", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static SSL *session(const SSL_METHOD *method, const char *ca, const char *cert, const char *key,
                    int fd)
{
    SSL_CTX *ctx = SSL_CTX_new(method);
    if (!ctx || SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(ctx, "TLS_AES_256_GCM_SHA384") != 1 ||
        SSL_CTX_load_verify_locations(ctx, ca, NULL) != 1 ||
        SSL_CTX_use_certificate_chain_file(ctx, cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
        die("certificates");
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_num_tickets(ctx, 0);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_default_read_buffer_len(ctx, 64 * 1024);
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    SSL *ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    if (!ssl || SSL_set_fd(ssl, fd) != 1)
        die("session");
    return ssl;
}

static void put(SSL *ssl, const uint8_t *data, size_t len)
{
    if (SSL_write(ssl, data, (int)len) != (int)len)
        die("write");
}

static void get(SSL *ssl, uint8_t *data, size_t len)
{
    for (size_t got = 0; got < len;) {
        int n = SSL_read(ssl, data + got, (int)(len - got));
        if (n <= 0)
            die("read");
        got += (size_t)n;
    }
}

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The receiving process: a stream is answered with the CPU time it took, a ping with its bytes. */
static void serve(SSL *ssl, uint8_t *buffer, size_t bytes)
{
    if (SSL_accept(ssl) != 1)
        die("accept");
    for (int i = 0; i < CHUNKS; i++) {
        double begun = cpu_seconds();
        for (size_t left = bytes; left;) {
            size_t piece = left < LARGEST ? left : LARGEST;
            get(ssl, buffer, piece);
            left -= piece;
        }
        double took = cpu_seconds() - begun;
        put(ssl, (const uint8_t *)&took, sizeof took);
    }
    for (int i = 0; i < PINGS; i++) {
        get(ssl, buffer, PING_BYTES);
        put(ssl, buffer, PING_BYTES);
    }
    SSL_free(ssl);
}

static double stream(SSL *ssl, uint8_t *buffer, size_t chunk, size_t bytes, results *out)
{
    double begun = seconds(), cpu_begun = cpu_seconds(), took = 0;
    for (size_t left = bytes; left;) {
        size_t piece = left < chunk ? left : chunk;
        put(ssl, buffer, piece);
        left -= piece;
    }
    get(ssl, (uint8_t *)&took, sizeof took);
    double gb = (double)bytes / 1e9;
    out->send_cpu += (cpu_seconds() - cpu_begun) / gb / CHUNKS;
    out->receive_cpu += took / gb / CHUNKS;
    return gb / (seconds() - begun);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void ping(SSL *ssl, uint8_t *buffer, results *out)
{
    static double us[PINGS];
    for (int i = 0; i < PINGS; i++) {
        double begun = seconds();
        put(ssl, buffer, PING_BYTES);
        get(ssl, buffer, PING_BYTES);
        us[i] = (seconds() - begun) * 1e6;
    }
    qsort(us, PINGS, sizeof *us, by_value);
    out->p50 = us[PINGS / 2];
    out->p99 = us[PINGS * 99 / 100];
}

static void measure(SSL *ssl, uint8_t *buffer, size_t bytes, results *out)
{
    if (SSL_connect(ssl) != 1)
        die("connect");
    out->cipher = SSL_get_cipher(ssl);
    for (int i = 0; i < CHUNKS; i++) {
        out->rate[i] = stream(ssl, buffer, chunks[i], bytes, out);
        if (out->rate[i] > out->best)
            out->best = out->rate[i];
    }
    ping(ssl, buffer, out);
}

static void print(const results *r, bool json)
{
    printf(json ? "{\"bench\": \"tls_limit\", \"cipher\": \"%s\", \"chunks\": {" : "%s:",
           r->cipher);
    for (int i = 0; i < CHUNKS; i++)
        printf(json ? "%s\"%zu\": %.4f" : "%s %zu: %.3f GB/s", i ? "," : "", chunks[i], r->rate[i]);
    printf(json ? "}, \"gbps\": %.4f, \"p50_us\": %.1f, \"p99_us\": %.1f, "
                  "\"send_cpu_s\": %.3f, \"receive_cpu_s\": %.3f}\n"
                : "; best %.3f GB/s; 1 KiB there and back p50 %.0f us p99 %.0f us; CPU s a GB, "
                  "sender and receiver: %.2f %.2f\n",
           r->best, r->p50, r->p99, r->send_cpu, r->receive_cpu);
}

int main(int argc, char **argv)
{
    size_t bytes = 512u << 20;
    bool json = false;
    for (int i = 6; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (strcmp(argv[i], "--bytes") == 0 && i + 1 < argc)
            bytes = (size_t)atof(argv[++i]);
        else
            argc = 0;
    }
    if (argc < 6 || bytes == 0) {
        (void)fprintf(stderr, "usage: tls_limit CA SERVER.pem SERVER.key CLIENT.pem CLIENT.key "
                              "[--bytes N] [--json]\n");
        return 2;
    }
    uint8_t *buffer = malloc(LARGEST);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (!buffer || bind(listener, (struct sockaddr *)&address, sizeof address) ||
        listen(listener, 1) || getsockname(listener, (struct sockaddr *)&address, &len))
        die("listen");
    memset(buffer, 7, LARGEST);
    pid_t child = fork();
    if (child == 0) {
        int fd = accept(listener, NULL, NULL);
        serve(session(TLS_server_method(), argv[1], argv[2], argv[3], fd), buffer, bytes);
        _exit(0);
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (child < 0 || connect(fd, (struct sockaddr *)&address, sizeof address))
        die("connect");
    SSL *ssl = session(TLS_client_method(), argv[1], argv[4], argv[5], fd);
    results r = {0};
    measure(ssl, buffer, bytes, &r);
    print(&r, json);
    SSL_free(ssl);
    free(buffer);
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
