/* bench_sign: signing a folder beside sha256sum of the same file, both from memory: a file of the
 * given size is written below the folder, read once, and then by turns
 *
 *     sha256sum        coreutils' program, one thread
 *     digest           SHA-256 of memory, one thread: the limit of a core
 *     files            the folder's digests, by files (one large file: one thread)
 *     shards           the same in shards of 64 MiB, a thread a core
 *
 * as the median of the rounds' clocks, and its ratio to sha256sum.
 *
 *     bench_sign [--json] [MiB, default 256] [FOLDER, default /dev/shm]
 */
#include "common/base/mem.h"
#include "common/json/json.h"
#include "common/security/digest.h"
#include "common/signing/folder.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 5, MIB = 1 << 20, SHARD_MIB = 64, WAYS = 4 };

static const char *const names[WAYS] = {"sha256sum", "digest", "files", "shards"};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void die(const char *what)
{
    fprintf(stderr, "bench_sign: %s: %s\n", what, ps_error_message());
    exit(1);
}

typedef struct bench {
    char folder[256], file[300], command[400];
    uint64_t bytes;
    uint8_t *piece; /* of a MiB */
    ps_folder list;
    double seconds[WAYS][ROUNDS];
} bench;

static void write_file(bench *b)
{
    int file = open(b->file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    for (uint64_t at = 0; file >= 0 && at < b->bytes; at += MIB) {
        memset(b->piece, (int)(at / MIB), 64);
        if (write(file, b->piece, MIB) != MIB)
            die("write");
    }
    if (file < 0)
        die(b->file);
    close(file);
}

static void by_program(const bench *b)
{
    if (system(b->command))
        die("sha256sum");
}

static void by_digest(const bench *b)
{
    char text[PS_DIGEST_TEXT];
    ps_digest *digest = ps_digest_new();
    for (uint64_t at = 0; at < b->bytes; at += MIB)
        ps_digest_add(digest, b->piece, MIB);
    ps_digest_end(&digest, text);
}

static void by_folder(const bench *b, uint64_t shard)
{
    size_t n = shard ? (size_t)((b->bytes + shard - 1) / shard) : 1;
    ps_resource *resources = ps_alloc_array(n, sizeof *resources);
    for (size_t i = 0; i < n; i++) {
        uint64_t end = (i + 1) * shard;
        resources[i] = (ps_resource){.path = (char *)(uintptr_t) "file",
                                     .begin = i * shard,
                                     .end = shard && end > b->bytes ? b->bytes : end};
    }
    if (ps_folder_digest(&b->list, resources, n))
        die("digest");
    ps_free(&resources);
}

static void run(const bench *b, int way)
{
    if (way == 0)
        by_program(b);
    else if (way == 1)
        by_digest(b);
    else
        by_folder(b, way == 3 ? (uint64_t)SHARD_MIB * MIB : 0);
}

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double median(double *seconds)
{
    qsort(seconds, ROUNDS, sizeof *seconds, by_value);
    return seconds[ROUNDS / 2];
}

static void tell(bench *b, bool json)
{
    double gb = (double)b->bytes * 1e-9, program = gb / median(b->seconds[0]);
    ps_buf out = PS_BUF_EMPTY;
    ps_json_writer w = ps_json_writer_to(&out);
    ps_json_object(&w);
    for (int way = 0; way < WAYS; way++) {
        double speed = gb / median(b->seconds[way]);
        if (!json)
            printf("%-10s %6.2f GB/s  %5.2f x sha256sum\n", names[way], speed, speed / program);
        ps_json_put_double(&w, names[way], speed);
    }
    ps_json_object_end(&w);
    if (json)
        printf("%s\n", ps_buf_cstr(&out));
    ps_buf_free(&out);
}

int main(int argc, char **argv)
{
    bench b = {.piece = ps_alloc(MIB)};
    bool json = argc > 1 && !strcmp(argv[1], "--json");
    argc -= json;
    argv += json;
    b.bytes = (argc > 1 ? strtoull(argv[1], NULL, 10) : 256) * MIB;
    (void)snprintf(b.folder, sizeof b.folder, "%.200s/bench_sign.XXXXXX",
                   argc > 2 ? argv[2] : "/dev/shm");
    if (!b.bytes || !mkdtemp(b.folder))
        die(b.folder);
    (void)snprintf(b.file, sizeof b.file, "%s/file", b.folder);
    (void)snprintf(b.command, sizeof b.command, "sha256sum %s > /dev/null", b.file);
    write_file(&b);
    if (ps_folder_list(b.folder, NULL, &b.list))
        die("list");
    by_program(&b); /* it is in memory from here on */
    for (int round = 0; round < ROUNDS; round++)
        for (int way = 0; way < WAYS; way++) {
            double begin = now();
            run(&b, way);
            b.seconds[way][round] = now() - begin;
        }
    tell(&b, json);
    ps_folder_free(&b.list);
    (void)unlink(b.file);
    (void)rmdir(b.folder);
    ps_free(&b.piece);
    return 0;
}
