/* sealed_file: what was written is read at any place, in pieces of any size; nothing else is. */
#include "common/seal/sealed_file.h"

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/seal/seal_lanes.h"
#include "common/seal/seal_memory.h"
#include "common/security/aead.h"
#include "tests/lib/check_main.h"
#include "tests/lib/fault_disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char aad[] = "psd/v1 lab model x 3";
static const ps_disk *disk = &ps_disk_system;
static char folder[64];

/* Files are named within it. */
static void begin(void)
{
    strcpy(folder, "/tmp/psd-seal-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0);
}

static void end(void)
{
    (void)unlink("sealed");
    (void)unlink("changed");
    ck_assert_int_eq(rmdir(folder), 0);
}

/* What files have in them, made once: byte by byte it would be most of a sanitizer's time. */
enum { MOST = 21 << 20 };
static uint8_t content[MOST];

static uint8_t byte_at(uint64_t i)
{
    return (uint8_t)(i ^ i >> 8 ^ i >> 16);
}

static void make_content(void)
{
    for (size_t i = 0; i < MOST; i++)
        content[i] = byte_at(i);
}

static void seal(const char *path, const ps_secret *key, size_t n, size_t piece)
{
    int file;
    (void)unlink(path);
    ck_ok(disk->open(disk->state, path, PS_DISK_CREATE, &file));
    ps_seal_writer *w = ps_seal_writer_new(disk, file, key, ps_slice_str(aad));
    ck_assert_uint_le(n, MOST);
    uint8_t *bytes = ps_alloc(piece + 1); /* so that what is read beyond them is found */
    for (size_t at = 0; at < n; at += piece) {
        size_t len = n - at < piece ? n - at : piece;
        memcpy(bytes, content + at, len);
        ck_ok(ps_seal_writer_write(w, bytes, len));
    }
    ck_ok(ps_seal_writer_finish(w));
    ck_ok(ps_seal_writer_finish(w)); /* does nothing */
    ck_assert_uint_eq(ps_seal_writer_bytes(w), n);
    uint64_t size;
    disk->close(disk->state, file);
    ck_ok(disk->open(disk->state, path, PS_DISK_READ, &file));
    ck_ok(disk->size(disk->state, file, &size));
    ck_assert_uint_eq(size, ps_seal_file_bytes(&ps_seal_1mb, n));
    disk->close(disk->state, file);
    ps_seal_writer_free(&w);
    ps_free(&bytes);
}

typedef struct opened {
    int file;
    ps_seal_reader *reader;
} opened;

static ps_status open_it(const char *path, const ps_secret *key, const char *whose, opened *o)
{
    o->reader = NULL;
    ck_ok(disk->open(disk->state, path, PS_DISK_READ, &o->file));
    return ps_seal_reader_new(disk, o->file, key, ps_slice_str(whose), &o->reader);
}

static void close_it(opened *o)
{
    ps_seal_reader_free(&o->reader);
    disk->close(disk->state, o->file);
}

static void expect(ps_seal_reader *r, uint64_t at, size_t len, uint64_t n)
{
    uint8_t *out = ps_alloc(len + 1);
    size_t got;
    ck_ok(ps_seal_reader_read(r, at, out, len, &got));
    ck_assert_uint_eq(got, at >= n ? 0 : n - at < len ? n - at : len);
    ck_assert(got == 0 || memcmp(out, content + at, got) == 0);
    ps_free(&out);
}

START_TEST(bytes_come_back_whatever_the_pieces)
{
    static const size_t sizes[] = {0,       1,       11,      1048519, 1048520,
                                   1048521, 2097080, 2097081, 4194296, 9000000};
    static const size_t pieces[] = {1 << 16, 1048520, 1048560, 1 << 20, 5000000};
    begin();
    ps_secret *key = ps_secret_random();
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (size_t p = 0; p < sizeof pieces / sizeof *pieces; p++) {
            seal("sealed", key, sizes[s], pieces[p]);
            opened o;
            ck_ok(open_it("sealed", key, aad, &o));
            ck_assert_uint_eq(ps_seal_reader_bytes(o.reader), sizes[s]);
            size_t by = pieces[(p + s) % (sizeof pieces / sizeof *pieces)];
            for (uint64_t at = 0; at <= sizes[s]; at += by)
                expect(o.reader, at, by, sizes[s]);
            close_it(&o);
        }
    ps_secret_free(&key);
    end();
}
END_TEST

START_TEST(a_read_anywhere_opens_only_where_its_bytes_lie)
{
    enum { N = 20 << 20, TRIES = 80 };
    begin();
    ps_secret *key = ps_secret_random();
    seal("sealed", key, N, 3 << 20);
    opened o;
    ck_ok(open_it("sealed", key, aad, &o));
    ps_rng rng;
    ps_rng_seed(&rng, 4);
    for (size_t i = 0; i < TRIES; i++) {
        uint64_t at = ps_rng_below(&rng, N), before = ps_seal_reader_opened(o.reader);
        expect(o.reader, at, 1 << 20, N);
        ck_assert_uint_le(ps_seal_reader_opened(o.reader) - before, 2);
    }
    close_it(&o);
    ps_secret_free(&key);
    end();
}
END_TEST

/* True: all of it is read, and as it was. */
static bool whole(const char *path, const ps_secret *key, const char *whose, size_t n)
{
    opened o;
    uint8_t *out = ps_alloc(n + 1);
    size_t got = 0;
    ps_status st = open_it(path, key, whose, &o);
    if (!st)
        st = ps_seal_reader_read(o.reader, 0, out, n + 1, &got);
    ck_assert(st == PS_OK || st == PS_CORRUPT);
    close_it(&o);
    ps_free(&out);
    return !st && got == n;
}

static void write_bytes(const char *path, const ps_buf *bytes)
{
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes->data, 1, bytes->len, file), bytes->len);
    ck_assert_int_eq(fclose(file), 0);
}

START_TEST(no_changed_byte_is_accepted)
{
    begin();
    ps_secret *key = ps_secret_random(), *other = ps_secret_random();
    seal("sealed", key, 40, 40);
    ps_buf bytes = PS_BUF_EMPTY;
    ck_ok(ps_disk_read_file(disk, "sealed", 1 << 10, &bytes));
    ck_assert(whole("sealed", key, aad, 40));
    ck_assert(!whole("sealed", other, aad, 40));
    ck_assert(!whole("sealed", key, "psd/v1 lab model x 2", 40));
    for (size_t i = 0; i < bytes.len; i++) {
        bytes.data[i] ^= 0x40;
        write_bytes("changed", &bytes);
        ck_assert_msg(!whole("changed", key, aad, 40), "byte %zu", i);
        bytes.data[i] ^= 0x40;
    }
    while (bytes.len--) {
        write_bytes("changed", &bytes);
        size_t n = bytes.len < 56 ? 0 : bytes.len - 56; /* as many as it claims now */
        ck_assert_msg(!whole("changed", key, aad, n), "cut to %zu", bytes.len);
    }
    bytes.len = 0;
    ps_buf_free(&bytes);
    ps_secret_free(&key);
    ps_secret_free(&other);
    end();
}
END_TEST

START_TEST(segments_keep_their_order_and_their_number)
{
    enum { C = PS_SEAL_SEGMENT, N = 3 * C };
    begin();
    ps_secret *key = ps_secret_random();
    seal("sealed", key, N, N);
    ps_buf all = PS_BUF_EMPTY, changed = PS_BUF_EMPTY;
    ck_ok(ps_disk_read_file(disk, "sealed", 8 << 20, &all));
    for (size_t n = 1; n <= 3; n++) { /* cut at the border of each segment */
        ps_buf_clear(&changed);
        ps_buf_append(&changed, all.data, n * C);
        write_bytes("changed", &changed);
        ck_assert(!whole("changed", key, aad, n * (C - PS_AEAD_TAG) - 40));
    }
    ps_buf_clear(&changed); /* the second and the third change places */
    ps_buf_append(&changed, all.data, C);
    ps_buf_append(&changed, all.data + 2 * C, C);
    ps_buf_append(&changed, all.data + C, C);
    ps_buf_append(&changed, all.data + 3 * C, all.len - 3 * C);
    write_bytes("changed", &changed);
    ck_assert(!whole("changed", key, aad, N));
    ck_assert_ptr_nonnull(
        strstr(ps_error_message(), "segment 1 does not authenticate (byte 1048576)"));
    seal("sealed", key, N, N); /* and one of another stream by the same key */
    ps_buf other = PS_BUF_EMPTY;
    ck_ok(ps_disk_read_file(disk, "sealed", 8 << 20, &other));
    memcpy(other.data + C, all.data + C, C);
    write_bytes("changed", &other);
    ck_assert(!whole("changed", key, aad, N));
    ps_buf_free(&all);
    ps_buf_free(&changed);
    ps_buf_free(&other);
    ps_secret_free(&key);
    end();
}
END_TEST

/* Readers get less while much is held, and one is refused in the end; writers never are. */
START_TEST(what_open_files_hold_has_an_end)
{
    enum { FILES = 40, BYTES = 3 << 20 };
    begin();
    ps_secret *key = ps_secret_random();
    static uint8_t bytes[BYTES];
    opened o[FILES];
    size_t got, n = 0;
    seal("sealed", key, BYTES, BYTES);
    ck_assert_uint_eq(ps_seal_memory_held(), 0); /* nothing is open */
    ps_seal_memory_set_most(16 << 20);
    ps_status st = PS_OK;
    for (; !st && n < FILES; n++) {
        ck_ok(open_it("sealed", key, aad, &o[n])); /* costs nothing yet */
        st = ps_seal_reader_read(o[n].reader, 5, bytes, BYTES, &got);
        ck_assert(st || (got == BYTES - 5 && bytes[0] == byte_at(5) &&
                         bytes[got - 1] == byte_at(BYTES - 1)));
        ck_assert_uint_le(ps_seal_memory_held(), 16 << 20);
    }
    ck_assert_int_eq(st, PS_RESOURCE_EXHAUSTED);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "hold 16 MiB already"));
    ck_assert_uint_ge(n, 16 / PS_SEAL_BATCH_MOST + 1);
    seal("changed", key, BYTES, BYTES);
    close_it(&o[0]);
    ck_ok(ps_seal_reader_read(o[n - 1].reader, 5, bytes, BYTES, &got)); /* now there is room */
    for (size_t i = 1; i < n; i++)
        close_it(&o[i]);
    ck_assert_uint_eq(ps_seal_memory_held(), 0);
    ps_seal_memory_set_most(PS_SEAL_MEMORY_MOST);
    ps_secret_free(&key);
    end();
}
END_TEST

/* Bytes are missing: whatever follows, the file does not count as written. */
static void seal_with_room(const ps_secret *key, uint64_t room, size_t piece)
{
    enum { N = (2 * PS_SEAL_BATCH_MOST + 2) * PS_SEAL_SEGMENT };
    static uint8_t bytes[N];
    fault_disk state;
    ps_disk full = fault_disk_table(&state);
    int file;
    state.room = room;
    (void)unlink("sealed");
    ck_ok(full.open(full.state, "sealed", PS_DISK_CREATE, &file));
    ps_seal_writer *w = ps_seal_writer_new(&full, file, key, ps_slice_str(aad));
    bool failed = false;
    for (size_t at = 0; at < N; at += piece) {
        ps_status st = ps_seal_writer_write(w, bytes, N - at < piece ? N - at : piece);
        ck_assert(st == PS_NO_SPACE || (!st && !failed));
        failed = st != PS_OK;
    }
    state.room = UINT64_MAX; /* somebody has made some */
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(ps_seal_writer_finish(w), PS_NO_SPACE);
    full.close(full.state, file);
    ps_seal_writer_free(&w);
}

START_TEST(what_could_not_be_written_stays_so)
{
    static const size_t pieces[] = {1000003, PS_SEAL_SEGMENT, 32 << 20};
    begin();
    ps_secret *key = ps_secret_random();
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        for (uint64_t n = 0; n < PS_SEAL_BATCH_MOST + 1; n++) {
            seal_with_room(key, n * PS_SEAL_SEGMENT, pieces[i]);
            seal_with_room(key, (n + 1) * PS_SEAL_SEGMENT - 1, pieces[i]);
        }
    ck_assert_uint_eq(ps_seal_memory_held(), 0);
    ps_secret_free(&key);
    end();
}
END_TEST

static const ps_check_case tests[] = {
    {&bytes_come_back_whatever_the_pieces, 120},
    {&a_read_anywhere_opens_only_where_its_bytes_lie, 60},
    {&no_changed_byte_is_accepted, 60},
    {&segments_keep_their_order_and_their_number, 60},
    {&what_open_files_hold_has_an_end, 60},
    {&what_could_not_be_written_stays_so, 60},
    {0},
};

int main(void)
{
    make_content();
    return ps_check_main("seal/sealed_file", tests);
}
