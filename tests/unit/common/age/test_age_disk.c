/* age_disk: what goes through it comes back, for each recipient and for nobody else; of a small
 * file every flipped byte and every cut is noticed. That others read it,
 * tests/integration/test_age.py says, and that it reads what others wrote, test_vectors. */
#include "common/age/age_disk.h"
#include "common/age/age_file.h"
#include "common/age/age_header.h"
#include "common/base/mem.h"
#include "common/base/new_file.h"
#include "tests/lib/check_main.h"
#include "tests/lib/fault_disk.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST   "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
#define FIRST_R "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
#define SECOND  "AGE-SECRET-KEY-1EGTZVFFV20835NWYV6270LXYVK2VKNX2MMDKWYKLMGR48UAWX40Q2P2LM0"

enum { MOST = 3 * 65536 + 100 };

typedef struct rig {
    char folder[32], path[64], encrypted[80];
    ps_age_identities *ids[2];
    ps_age_recipients recipients;
    ps_age_disk *writer, *reader;
} rig;

static void fill(uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(i * 2654435761u >> 13);
}

static rig *set_up(void)
{
    rig *r = ps_new(rig);
    strcpy(r->folder, "/tmp/psd-age-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(r->folder));
    (void)snprintf(r->path, sizeof r->path, "%s/model", r->folder);
    (void)snprintf(r->encrypted, sizeof r->encrypted, "%s.age", r->path);
    ck_ok(ps_age_identities_parse(ps_slice_str(FIRST), "first", &r->ids[0]));
    ck_ok(ps_age_identities_parse(ps_slice_str(SECOND), "second", &r->ids[1]));
    ck_ok(ps_age_recipients_add(&r->recipients, FIRST_R));
    memcpy(r->recipients.at[r->recipients.n++], ps_age_identity_point(r->ids[1], 0),
           PS_X25519_BYTES);
    r->writer =
        ps_age_disk_new(&(ps_age_disk_conf){.disk = &ps_disk_system, .recipients = &r->recipients});
    r->reader =
        ps_age_disk_new(&(ps_age_disk_conf){.disk = &ps_disk_system, .identities = r->ids[0]});
    return r;
}

static void tear_down(rig *r)
{
    ps_age_disk_free(&r->writer);
    ps_age_disk_free(&r->reader);
    ps_age_identities_free(&r->ids[0]);
    ps_age_identities_free(&r->ids[1]);
    (void)unlink(r->path);
    (void)unlink(r->encrypted);
    (void)rmdir(r->folder);
    ps_free(&r);
}

/* In pieces that fit nothing. */
static void write_model(const rig *r, const uint8_t *bytes, size_t n)
{
    ps_new_file *file = NULL;
    ck_ok(ps_new_file_open(
        r->encrypted, &(ps_new_file_options){.force = true, .disk = ps_age_disk_row(r->writer)},
        &file));
    for (size_t at = 0; at < n; at += 40009)
        ck_ok(ps_new_file_write(file, bytes + at, n - at < 40009 ? n - at : 40009));
    ck_assert_uint_eq(ps_new_file_bytes(file), n);
    ck_ok(ps_new_file_finish(&file));
}

static ps_status read_model(const ps_disk *disk, const char *path, ps_buf *out)
{
    ps_buf_clear(out);
    return ps_disk_read_file(disk, path, MOST, out);
}

static const size_t sizes[] = {0, 1, 65535, 65536, 65537, 131072, MOST};

START_TEST(what_is_written_comes_back_for_each_recipient)
{
    static uint8_t bytes[MOST];
    ps_buf back = PS_BUF_EMPTY;
    rig *r = set_up();
    fill(bytes, sizes[_i]);
    write_model(r, bytes, sizes[_i]);
    ps_age_disk *other =
        ps_age_disk_new(&(ps_age_disk_conf){.disk = &ps_disk_system, .identities = r->ids[1]});
    const ps_disk *rows[] = {ps_age_disk_row(r->reader), ps_age_disk_row(other),
                             ps_age_disk_row(r->writer)}; /* the last has no identity */
    for (size_t i = 0; i < 3; i++) {
        ck_ok(read_model(rows[i], r->path, &back)); /* of the name without .age */
        ck_assert_uint_eq(back.len, sizes[_i]);
        ck_assert(!back.len || !memcmp(back.data, bytes, back.len));
    }
    ps_buf_clear(&back);
    ck_ok(ps_disk_read_file(&ps_disk_system, r->encrypted, MOST + 4096, &back));
    ck_assert_uint_eq(back.len, sizes[_i] + (sizes[_i] ? (sizes[_i] + 65535) / 65536 : 1) * 16 +
                                    16 + 21 + 1 + 2 * 98 + 48);
    ps_age_disk_free(&other);
    ps_buf_free(&back);
    tear_down(r);
}
END_TEST

START_TEST(any_place_is_read_alone)
{
    static uint8_t bytes[MOST];
    rig *r = set_up();
    fill(bytes, MOST);
    write_model(r, bytes, MOST);
    const ps_disk *disk = ps_age_disk_row(r->reader);
    int file = -1;
    uint8_t piece[300];
    ck_ok(disk->open(disk->state, r->encrypted, PS_DISK_READ, &file));
    static const size_t places[] = {MOST - 300, 0, 65536 - 150, 131072, 65535};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        ck_ok(disk->seek(disk->state, file, places[i]));
        ck_ok(ps_disk_read_full(disk, file, piece, sizeof piece));
        ck_assert_mem_eq(piece, bytes + places[i], sizeof piece);
    }
    size_t got = 1;
    ck_ok(disk->seek(disk->state, file, MOST));
    ck_ok(disk->read(disk->state, file, piece, sizeof piece, &got));
    ck_assert_uint_eq(got, 0);
    disk->close(disk->state, file);
    tear_down(r);
}
END_TEST

static void put_file(const char *path, const void *bytes, size_t n)
{
    ck_ok(ps_new_file_save(path, ps_slice_of(bytes, n), &(ps_new_file_options){.force = true}));
}

/* Each byte once, and each length that it could be cut to; and one byte more. */
START_TEST(every_flip_and_every_cut_of_a_small_file_is_noticed)
{
    static uint8_t bytes[100];
    ps_buf whole = PS_BUF_EMPTY, back = PS_BUF_EMPTY;
    rig *r = set_up();
    const ps_disk *disk = ps_age_disk_row(r->reader);
    fill(bytes, sizeof bytes);
    write_model(r, bytes, sizeof bytes);
    ck_ok(read_model(&ps_disk_system, r->encrypted, &whole));
    for (size_t i = 0; i < whole.len; i++) {
        whole.data[i] ^= 1;
        put_file(r->encrypted, whole.data, whole.len);
        whole.data[i] ^= 1;
        ps_status st = read_model(disk, r->encrypted, &back);
        /* without its mark it is no age file, and is read as it is */
        ck_assert_msg(i < strlen(PS_AGE_MARK) ? !st && !memcmp(back.data + 19, whole.data + 19, 9)
                                              : st == PS_CORRUPT || st == PS_FAILED_PRECONDITION,
                      "byte %zu: %d", i, st);
    }
    for (size_t n = strlen(PS_AGE_MARK); n < whole.len; n++) {
        put_file(r->encrypted, whole.data, n);
        ck_assert_int_eq(read_model(disk, r->encrypted, &back), PS_CORRUPT);
    }
    ps_buf_putc(&whole, 'x');
    put_file(r->encrypted, whole.data, whole.len);
    ck_assert_int_eq(read_model(disk, r->encrypted, &back), PS_CORRUPT);
    ps_buf_free(&whole);
    ps_buf_free(&back);
    tear_down(r);
}
END_TEST

/* A chunk that is missing at the end, or in the middle, and two that have changed places. */
START_TEST(chunks_stay_where_they_were)
{
    enum { SEALED = 65536 + 16 };
    static uint8_t bytes[MOST];
    ps_buf whole = PS_BUF_EMPTY, back = PS_BUF_EMPTY;
    rig *r = set_up();
    const ps_disk *disk = ps_age_disk_row(r->reader);
    fill(bytes, MOST);
    write_model(r, bytes, MOST);
    ck_ok(ps_disk_read_file(&ps_disk_system, r->encrypted, MOST + 4096, &whole));
    size_t begin = whole.len - (MOST + 4 * 16);
    put_file(r->encrypted, whole.data, begin + 3 * SEALED);
    ck_assert_int_eq(read_model(disk, r->encrypted, &back), PS_CORRUPT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "chunk 2 of the age file"));
    uint8_t *chunk = ps_alloc(SEALED);
    memcpy(chunk, whole.data + begin, SEALED);
    memcpy(whole.data + begin, whole.data + begin + SEALED, SEALED);
    memcpy(whole.data + begin + SEALED, chunk, SEALED);
    put_file(r->encrypted, whole.data, whole.len);
    ck_assert_int_eq(read_model(disk, r->encrypted, &back), PS_CORRUPT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "chunk 0 of the age file"));
    ps_free(&chunk);
    ps_buf_free(&whole);
    ps_buf_free(&back);
    tear_down(r);
}
END_TEST

/* A hundred thousand recipients, most of a kind that nobody has to try. */
START_TEST(too_many_recipients_are_refused_in_a_line)
{
    ps_buf file = PS_BUF_EMPTY, back = PS_BUF_EMPTY;
    rig *r = set_up();
    ps_buf_puts(&file, "age-encryption.org/v1\n");
    for (size_t i = 0; i < 100000; i++)
        ps_buf_puts(&file, i % 2 ? "-> grease\n\n"
                                 : "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
                                   "hjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n");
    put_file(r->encrypted, file.data, file.len);
    ck_assert_int_eq(read_model(ps_age_disk_row(r->reader), r->encrypted, &back), PS_CORRUPT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "more than 128 KiB"));
    ps_buf_free(&file);
    ps_buf_free(&back);
    tear_down(r);
}
END_TEST

START_TEST(who_is_not_meant_is_told_so)
{
    static const uint8_t bytes[10];
    ps_buf back = PS_BUF_EMPTY;
    rig *r = set_up();
    r->recipients.n = 1; /* the first alone */
    ps_age_disk *writer =
        ps_age_disk_new(&(ps_age_disk_conf){.disk = &ps_disk_system, .recipients = &r->recipients});
    ck_ok(ps_new_file_save(r->encrypted, ps_slice_of(bytes, sizeof bytes),
                           &(ps_new_file_options){.disk = ps_age_disk_row(writer)}));
    ps_age_disk_free(&writer);
    ps_age_disk *other =
        ps_age_disk_new(&(ps_age_disk_conf){.disk = &ps_disk_system, .identities = r->ids[1]});
    ps_age_disk *none = ps_age_disk_new(&(ps_age_disk_conf){.disk = &ps_disk_system});
    ck_assert_int_eq(read_model(ps_age_disk_row(other), r->path, &back), PS_FAILED_PRECONDITION);
    ck_assert_ptr_nonnull(strstr(ps_error_message(),
                                 "model.age: it is encrypted for others: 1 "
                                 "recipient, and the identity given is not one"));
    ck_assert_int_eq(read_model(ps_age_disk_row(none), r->path, &back), PS_FAILED_PRECONDITION);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "no identity is given"));
    put_file(r->encrypted, "-----BEGIN AGE ENCRYPTED FILE-----\n", 35);
    ck_assert_int_eq(read_model(ps_age_disk_row(other), r->path, &back), PS_FAILED_PRECONDITION);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "armor"));
    ck_assert_int_eq(unlink(r->encrypted), 0);
    ck_assert_int_eq(mkfifo(r->encrypted, 0600), 0); /* nobody writes there */
    ck_assert_int_eq(read_model(ps_age_disk_row(other), r->path, &back), PS_INVALID_ARGUMENT);
    ps_age_disk_free(&other);
    ps_age_disk_free(&none);
    ps_buf_free(&back);
    tear_down(r);
}
END_TEST

/* Bytes are missing: whatever follows, the file does not count as written. */
START_TEST(what_could_not_be_written_stays_so)
{
    static const uint64_t rooms[] = {0, 1, 65551, 65552, 2 * 65552, 3 * 65552, 3 * 65552 + 115};
    rig *r = set_up();
    uint8_t *bytes = ps_alloc(MOST);
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) {
        fault_disk state;
        ps_disk full = fault_disk_table(&state);
        ps_age_writer *w = NULL;
        int file;
        ck_ok(full.open(full.state, r->path, PS_DISK_CREATE, &file));
        ck_ok(ps_age_writer_new(&full, file, &r->recipients, &w));
        state.room = rooms[i];
        ps_status st = ps_age_writer_write(w, bytes, MOST);
        ck_assert_int_eq(st, rooms[i] < 3 * 65552 ? PS_NO_SPACE : PS_OK);
        if (!st)
            ck_assert_int_eq(ps_age_writer_finish(w), PS_NO_SPACE);
        state.room = UINT64_MAX; /* somebody has made some */
        if (st)
            ck_assert_int_eq(ps_age_writer_write(w, bytes, 1), PS_NO_SPACE);
        for (int again = 0; again < 2; again++)
            ck_assert_int_eq(ps_age_writer_finish(w), PS_NO_SPACE);
        full.close(full.state, file);
        ps_age_writer_free(&w);
        ck_ok(full.unlink(full.state, r->path));
    }
    ps_free(&bytes);
    tear_down(r);
}
END_TEST

#define N(list) (sizeof(list) / sizeof *(list))
static const ps_check_case tests[] = {
    {&what_is_written_comes_back_for_each_recipient, .repeat = N(sizes)},
    {&any_place_is_read_alone},
    {&every_flip_and_every_cut_of_a_small_file_is_noticed, 60},
    {&chunks_stay_where_they_were},
    {&too_many_recipients_are_refused_in_a_line},
    {&who_is_not_meant_is_told_so},
    {&what_could_not_be_written_stays_so},
    {0},
};

int main(void)
{
    return ps_check_main("age/age_disk", tests);
}
