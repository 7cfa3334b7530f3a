/* bench_seal: sealing and opening a file, beside AES-256-GCM of pieces of 64 KiB that stay in the
 * cache (what `openssl speed -evp aes-256-gcm -bytes 65536` does), in the same run; and writing and
 * reading a file of age beside ChaCha20-Poly1305, likewise.
 *
 * The file is memory: what the disk does is no matter of sealing. Whole: in pieces of 16 MiB, as a
 * checkpoint's blocks come; small: in pieces of 64 KiB, as a model is sent. One core: processor
 * time of the process, whatever threads it has; threads: by the clock.
 *
 *     bench_seal [--json] [MiB, default 256]
 */
#include "common/age/age_file.h"
#include "common/base/mem.h"
#include "common/seal/sealed_file.h"
#include "common/security/aead.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 5, SMALL = 64 << 10, LARGE = 16 << 20 };

static double now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- a file that is memory ---- */

typedef struct memory {
    uint8_t *bytes;
    size_t room, len, at;
    double copied_s; /* so long it took */
} memory;

static void copy(memory *m, void *to, const void *from, size_t len)
{
    double start = now(CLOCK_THREAD_CPUTIME_ID);
    memcpy(to, from, len);
    m->copied_s += now(CLOCK_THREAD_CPUTIME_ID) - start;
}

static ps_status put(void *state, int file, const void *data, size_t len, size_t *written)
{
    (void)file;
    memory *m = state;
    if (m->room - m->len < len)
        return ps_fail(PS_NO_SPACE, "the memory of bench_seal is full");
    copy(m, m->bytes + m->len, data, len);
    m->len += len;
    *written = len;
    return PS_OK;
}

static ps_status get(void *state, int file, void *data, size_t len, size_t *got)
{
    (void)file;
    memory *m = state;
    *got = len < m->len - m->at ? len : m->len - m->at;
    copy(m, data, m->bytes + m->at, *got);
    m->at += *got;
    return PS_OK;
}

static ps_status seek(void *state, int file, uint64_t at)
{
    (void)file;
    memory *m = state;
    m->at = at < m->len ? (size_t)at : m->len;
    return PS_OK;
}

static ps_status size(void *state, int file, uint64_t *out)
{
    (void)file;
    *out = ((memory *)state)->len;
    return PS_OK;
}

/* ---- rounds ---- */

typedef struct bench {
    ps_age_recipients recipients;
    ps_age_identities *identities;
    size_t bytes;
    memory file;
    ps_disk disk;
    ps_secret *key;
    uint8_t *plain;
} bench;

static void best(double *speed, size_t bytes, double seconds)
{
    double now_reached = (double)bytes / seconds;
    *speed = now_reached > *speed ? now_reached : *speed;
}

static ps_status seal(bench *b, size_t piece)
{
    b->file.len = 0;
    ps_seal_writer *w = ps_seal_writer_new(&b->disk, 0, b->key, ps_slice_str("bench"));
    ps_status st = PS_OK;
    for (size_t at = 0; !st && at < b->bytes; at += piece)
        st = ps_seal_writer_write(w, b->plain + at, piece);
    st = st ? st : ps_seal_writer_finish(w);
    ps_seal_writer_free(&w);
    return st;
}

static ps_status open_all(bench *b, size_t piece)
{
    ps_seal_reader *r;
    ps_status st = ps_seal_reader_new(&b->disk, 0, b->key, ps_slice_str("bench"), &r);
    if (st)
        return st;
    for (size_t at = 0, got; !st && at < b->bytes; at += piece)
        st = ps_seal_reader_read(r, at, b->plain + at, piece, &got);
    ps_seal_reader_free(&r);
    return st;
}

static ps_status write_age(bench *b, size_t piece)
{
    b->file.len = 0;
    ps_age_writer *w;
    ps_status st = ps_age_writer_new(&b->disk, 0, &b->recipients, &w);
    if (st)
        return st;
    for (size_t at = 0; !st && at < b->bytes; at += piece)
        st = ps_age_writer_write(w, b->plain + at, piece);
    st = st ? st : ps_age_writer_finish(w);
    ps_age_writer_free(&w);
    return st;
}

static ps_status read_age(bench *b, size_t piece)
{
    ps_age_reader *r;
    ps_status st = ps_age_reader_new(&b->disk, 0, b->identities, NULL, &r);
    if (st)
        return st;
    for (size_t at = 0, got; !st && at < b->bytes; at += piece)
        st = ps_age_reader_read(r, at, b->plain + at, piece, &got);
    ps_age_reader_free(&r);
    return st;
}

static ps_status time_of(bench *b, ps_status (*work)(bench *, size_t), size_t piece, double *speed)
{
    b->file.copied_s = 0;
    double start = now(CLOCK_PROCESS_CPUTIME_ID);
    ps_status st = work(b, piece);
    best(speed, b->bytes, now(CLOCK_PROCESS_CPUTIME_ID) - start - b->file.copied_s);
    return st;
}

/* Encrypting the pieces of `from`, or its first one over and over. */
static void encrypt(bench *b, const EVP_CIPHER *cipher, bool all, double *speed)
{
    static uint8_t sealed[SMALL], key[32], nonce[12], tag[16];
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int n;
    (void)EVP_EncryptInit_ex(c, cipher, NULL, key, nonce);
    double start = now(CLOCK_PROCESS_CPUTIME_ID);
    for (size_t at = 0; at < b->bytes; at += SMALL) {
        (void)EVP_EncryptInit_ex(c, NULL, NULL, NULL, nonce);
        (void)EVP_EncryptUpdate(c, sealed, &n, b->plain + (all ? at : 0), SMALL);
        (void)EVP_EncryptFinal_ex(c, sealed, &n);
        (void)EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, sizeof tag, tag);
    }
    best(speed, b->bytes, now(CLOCK_PROCESS_CPUTIME_ID) - start);
    EVP_CIPHER_CTX_free(c);
}

/* What rows are measured beside: in the cache, and out of memory. */
typedef struct peer {
    const EVP_CIPHER *cipher;
    double cached, memory;
} peer;

typedef struct row {
    size_t peer;
    const char *name;
    ps_status (*work)(bench *, size_t);
    size_t piece;
    double speed;
} row;

static ps_status run(bench *b, bool json)
{
    peer peers[] = {{EVP_aes_256_gcm(), 0, 0}, {EVP_chacha20_poly1305(), 0, 0}};
    row rows[] = {{0, "seal", seal, LARGE, 0},
                  {0, "open", open_all, LARGE, 0},
                  {0, "seal, 64 KiB a call", seal, SMALL, 0},
                  {0, "open, 64 KiB a call", open_all, SMALL, 0},
                  {1, "write age", write_age, LARGE, 0},
                  {1, "read age", read_age, LARGE, 0}};
    enum { N = sizeof rows / sizeof *rows };
    ps_status st = PS_OK;
    for (int round = 0; !st && round < ROUNDS; round++) {
        for (size_t i = 0; i < sizeof peers / sizeof *peers; i++) {
            encrypt(b, peers[i].cipher, false, &peers[i].cached);
            encrypt(b, peers[i].cipher, true, &peers[i].memory);
        }
        for (size_t i = 0; !st && i < N; i++)
            st = time_of(b, rows[i].work, rows[i].piece, &rows[i].speed);
    }
    for (size_t i = 0; !st && i < N; i++) {
        double speed = rows[i].speed;
        const double cached = peers[rows[i].peer].cached, memory_speed = peers[rows[i].peer].memory;
        if (json)
            printf("{\"name\": \"%s\", \"ratio\": %.3f, \"of_memory\": %.3f}\n", rows[i].name,
                   speed / cached, speed / memory_speed);
        else
            printf("%-20s %.2f of %.2f GB/s a core, ratio %.2f; of the same out of memory %.2f\n",
                   rows[i].name, speed / 1e9, cached / 1e9, speed / cached, speed / memory_speed);
    }
    return st;
}

int main(int argc, char **argv)
{
    bool json = argc > 1 && !strcmp(argv[1], "--json");
    size_t mib = argc > 1 + json ? strtoul(argv[1 + json], NULL, 10) : 256;
    bench b = {.bytes = (mib / 16 ? mib / 16 : 1) * LARGE, .key = ps_secret_random()};
    b.plain = ps_alloc(b.bytes);
    b.file.room = b.bytes + b.bytes / 1024 + LARGE;
    b.file.bytes = ps_alloc(b.file.room);
    memset(b.plain, 1, b.bytes);
    memset(b.file.bytes, 1, b.file.room);
    b.disk = (ps_disk){.write = put, .read = get, .seek = seek, .size = size, .state = &b.file};
    /* those of the specification of age */
    ps_status st = ps_age_recipients_add(
        &b.recipients, "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj");
    if (!st)
        st = ps_age_identities_parse(
            ps_slice_str(
                "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"),
            "bench", &b.identities);
    if (!st)
        st = run(&b, json);
    if (st)
        fprintf(stderr, "bench_seal: %s\n", ps_error_message());
    ps_age_identities_free(&b.identities);
    ps_secret_free(&b.key);
    ps_free(&b.plain);
    ps_free(&b.file.bytes);
    return st ? 1 : 0;
}
