/* age: the vectors of C2SP/CCTV (tests/golden/age/cctv.py). What is of X25519 ends as they say;
 * what is of another kind, or in armor, is refused whatever they say. PSD_AGE_VECTORS: a file of
 * other lines, all of them say. */
#include "common/age/age_file.h"
#include "common/base/mem.h"
#include "common/security/digest.h"
#include "tests/lib/check_main.h"
#include "tests/lib/vectors.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

enum { NAME, EXPECTED, KIND, PAYLOAD, IDENTITIES, COMPRESSED, FILE_BYTES };

/* Somebody's, for vectors that have none. */
#define ANY "AGE-SECRET-KEY-1EGTZVFFV20835NWYV6270LXYVK2VKNX2MMDKWYKLMGR48UAWX40Q2P2LM0"

static void put(int fd, const void *bytes, size_t len)
{
    ck_ok(ps_disk_write_all(&ps_disk_system, fd, bytes, len));
}

static void inflate_to(int fd, ps_slice bytes)
{
    static uint8_t out[1 << 20];
    z_stream z = {.next_in = (void *)(uintptr_t)bytes.data, .avail_in = (unsigned)bytes.len};
    ck_assert_int_eq(inflateInit(&z), Z_OK);
    int code = Z_OK;
    while (code == Z_OK) {
        z.next_out = out;
        z.avail_out = sizeof out;
        code = inflate(&z, Z_NO_FLUSH);
        put(fd, out, sizeof out - z.avail_out);
    }
    ck_assert_int_eq(code, Z_STREAM_END);
    (void)inflateEnd(&z);
}

static int open_file(const ps_vector *v)
{
    static uint8_t bytes[PS_VECTOR_LINE / 2];
    ps_slice file = ps_vector_bytes(v, FILE_BYTES, bytes, sizeof bytes);
    int fd = memfd_create("vector", MFD_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    if (ps_vector_is(v, COMPRESSED, "zlib"))
        inflate_to(fd, file);
    else
        put(fd, file.data, file.len);
    return fd;
}

static ps_age_identities *identities_of(const ps_vector *v)
{
    ps_age_identities *out = NULL;
    char text[1024];
    (void)snprintf(text, sizeof text, "%s", v->words[IDENTITIES]);
    for (char *comma = text; (comma = strchr(comma, ','));)
        *comma = '\n';
    if (ps_age_identities_parse(ps_slice_str(text), "vector", &out))
        ck_ok(ps_age_identities_parse(ps_slice_str(ANY), "any", &out));
    return out;
}

/* All that comes out, and how it ended. */
static ps_status read_all(int fd, const ps_age_identities *ids, char digest[PS_DIGEST_TEXT],
                          uint64_t *bytes)
{
    static uint8_t piece[100000];
    ps_digest *d = ps_digest_new();
    ps_age_reader *reader = NULL;
    size_t got = 1;
    ps_status st = ps_age_reader_new(&ps_disk_system, fd, ids, NULL, &reader);
    for (*bytes = 0; !st && got; *bytes += got) {
        st = ps_age_reader_read(reader, *bytes, piece, sizeof piece, &got);
        ps_digest_add(d, piece, got);
    }
    if (!st)
        ck_assert_uint_eq(*bytes, ps_age_reader_bytes(reader));
    ps_age_reader_free(&reader);
    ps_digest_end(&d, digest);
    return st;
}

/* Who knows how long the file is gives out less: of a file that goes on behind a last chunk not
 * that chunk. */
static bool is_less(const ps_vector *v, uint64_t bytes)
{
    return ps_vector_is(v, NAME, "stream_two_final_chunks_second") && bytes == 65536;
}

static void expect(const ps_vector *v, ps_status st, const char *digest, uint64_t bytes)
{
    const bool refused = st == PS_CORRUPT || st == PS_FAILED_PRECONDITION;
    const bool mac = st && strstr(ps_error_message(), "MAC is another");
    bool fine = false;
    if (ps_vector_is(v, KIND, "other"))
        fine = refused && !bytes;
    else if (ps_vector_is(v, EXPECTED, "success"))
        fine = !st && ps_vector_is(v, PAYLOAD, digest);
    else if (ps_vector_is(v, EXPECTED, "no_match"))
        fine = st == PS_FAILED_PRECONDITION && !bytes;
    else if (ps_vector_is(v, EXPECTED, "HMAC_failure"))
        fine = mac && !bytes;
    else if (ps_vector_is(v, EXPECTED, "header_failure"))
        fine = refused && !mac && strstr(ps_error_message(), "age file") && !bytes;
    else if (ps_vector_is(v, EXPECTED, "payload_failure"))
        fine =
            st == PS_CORRUPT && (!bytes || ps_vector_is(v, PAYLOAD, digest) || is_less(v, bytes));
    ck_assert_msg(fine, "%s: expected %s, got %s: %s", v->words[NAME], v->words[EXPECTED],
                  ps_status_name(st), st ? ps_error_message() : digest);
    ck_assert_msg(!st || !strchr(ps_error_message(), '\n'), "%s: one line", v->words[NAME]);
}

START_TEST(vectors_end_as_they_say)
{
    static ps_vector v;
    const char *all = getenv("PSD_AGE_VECTORS");
    FILE *file = ps_vectors_open(all ? all : "age/cctv.txt");
    size_t n = 0, opened = 0;
    for (; ps_vector_next(file, &v); n++) {
        int fd = open_file(&v);
        ps_age_identities *ids = identities_of(&v);
        char digest[PS_DIGEST_TEXT];
        uint64_t bytes = 0;
        ps_status st = read_all(fd, ids, digest, &bytes);
        opened += !st;
        expect(&v, st, digest, bytes);
        ps_age_identities_free(&ids);
        (void)close(fd);
    }
    (void)fclose(file);
    ck_assert_uint_eq(n, all ? 143 : 76);
    ck_assert_uint_eq(opened, all ? 14 : 11);
}
END_TEST

static const ps_check_case tests[] = {{&vectors_end_as_they_say, 60}, {0}};

int main(void)
{
    return ps_check_main("age/vectors", tests);
}
