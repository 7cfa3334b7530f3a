/* sealed_disk: what is written through it is read through it under its own name and no other; and
 * whatever fails, and whenever, a file is what it was or what it was to be. */
#include "common/seal/sealed_disk.h"

#include "common/base/mem.h"
#include "common/base/whole_file.h"
#include "tests/lib/check_main.h"
#include "tests/lib/fault_disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char text[] = "these weights are nobody's business, and they are these weights";

typedef struct rig {
    char folder[64];
    fault_disk fault;
    ps_disk disk;
    ps_sealed_disk *sealed;
    const ps_disk *row;
} rig;

/* NAME-VERSION and NAME-VERSION.damaged; names with a dot before are temporary. */
static ps_sealed_form identity(void *user, const char *path, ps_buf *aad)
{
    const rig *r = user;
    const char *name = path + strlen(r->folder) + 1, *dot = strchr(name, '.');
    if (dot == name || (dot && strcmp(dot, ".damaged") != 0))
        return PS_SEALED_NONE;
    ps_buf_printf(aad, "psd/v1 lab file %.*s", (int)(dot ? dot - name : (long)strlen(name)), name);
    return strncmp(name, "log", 3) ? PS_SEALED_STREAM : PS_SEALED_LOG;
}

static ps_secret *kek_of(int key)
{
    ps_secret *kek = ps_secret_new();
    memset(ps_secret_bytes(kek), key, PS_SECRET_BYTES);
    return kek;
}

/* previous 0: none. */
static void open_with(rig *r, int current, int previous, bool require)
{
    ps_secret *kek = kek_of(current);
    ps_keyring *ring = ps_keyring_new(&kek);
    if (previous) {
        ps_secret *old = kek_of(previous);
        ck_ok(ps_keyring_add(ring, &old));
    }
    r->disk = fault_disk_table(&r->fault);
    r->sealed = ps_sealed_disk_new(&(ps_sealed_disk_conf){
        .disk = &r->disk, .ring = ring, .require = require, .identity = identity, .user = r});
    r->row = ps_sealed_disk_row(r->sealed);
}

static void open_rig(rig *r)
{
    strcpy(r->folder, "/tmp/psd-sealed-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(r->folder));
    open_with(r, 1, 0, false);
}

/* Another start of the same program. */
static void again(rig *r, int current, int previous, bool require)
{
    ps_sealed_disk_free(&r->sealed);
    open_with(r, current, previous, require);
    ck_ok(ps_sealed_disk_settle(r->sealed, r->folder));
}

static void count_name(void *user, const char *name)
{
    (void)name;
    ++*(size_t *)user;
}

static size_t count(const rig *r, const ps_disk *disk)
{
    size_t n = 0;
    ck_ok(disk->list(disk->state, r->folder, count_name, &n));
    return n;
}

static void remove_name(void *user, const char *name)
{
    const rig *r = user;
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", r->folder, name);
    ck_assert_int_eq(unlink(path), 0);
}

static void empty(rig *r)
{
    ck_ok(ps_disk_system.list(NULL, r->folder, remove_name, r));
}

static void close_rig(rig *r)
{
    ps_sealed_disk_free(&r->sealed);
    empty(r);
    ck_assert_int_eq(rmdir(r->folder), 0);
}

static char *in(const rig *r, const char *name)
{
    static char paths[8][128];
    static unsigned next;
    char *path = paths[next++ % 8];
    (void)snprintf(path, sizeof *paths, "%s/%s", r->folder, name);
    return path;
}

static ps_status put(const rig *r, const char *name, const char *what)
{
    ps_whole_file *file = NULL;
    ps_status st = ps_whole_file_open(r->row, in(r, ".new"), in(r, name), &file);
    if (st)
        return st;
    st = ps_disk_write_all(r->row, ps_whole_file_handle(file), what, strlen(what));
    if (!st)
        return ps_whole_file_place(&file, in(r, name), true);
    ps_whole_file_drop(&file);
    return st;
}

static ps_status get(const rig *r, const char *name, ps_buf *out)
{
    ps_buf_clear(out);
    return ps_disk_read_file(r->row, in(r, name), 1 << 20, out);
}

static void assert_has(const rig *r, const char *name, const char *what)
{
    ps_buf out = PS_BUF_EMPTY;
    ck_ok(get(r, name, &out));
    ck_assert_str_eq(ps_buf_cstr(&out), what);
    ps_buf_free(&out);
}

static void assert_refused(const rig *r, const char *name, ps_status wanted, const char *words)
{
    ps_buf out = PS_BUF_EMPTY;
    ck_assert_int_eq(get(r, name, &out), wanted);
    ck_assert_msg(strstr(ps_error_message(), words), "%s", ps_error_message());
    ps_buf_free(&out);
}

static void raw(const rig *r, const char *name, ps_buf *out)
{
    ps_buf_clear(out);
    ck_ok(ps_disk_read_file(&ps_disk_system, in(r, name), 1 << 20, out));
}

static void put_raw(const rig *r, const char *name, ps_slice bytes)
{
    (void)unlink(in(r, name));
    ck_ok(ps_whole_file_save(&ps_disk_system, in(r, name), bytes));
}

static void copy_raw(const rig *r, const char *from, const char *to)
{
    ps_buf bytes = PS_BUF_EMPTY;
    raw(r, from, &bytes);
    put_raw(r, to, ps_buf_slice(&bytes));
    ps_buf_free(&bytes);
}

START_TEST(what_is_written_is_sealed_and_read_back)
{
    rig r = {0};
    ps_buf bytes = PS_BUF_EMPTY;
    open_rig(&r);
    ck_ok(put(&r, "m-1", text));
    assert_has(&r, "m-1", text);
    raw(&r, "m-1", &bytes);
    ck_assert_uint_eq(bytes.len, strlen(text) + 56);
    ck_assert_ptr_null(memmem(bytes.data, bytes.len, text, 8));
    ck_assert_uint_eq(count(&r, r.row), 1); /* its key is not for others */
    ck_assert_uint_eq(count(&r, &ps_disk_system), 2);
    again(&r, 1, 0, true);
    assert_has(&r, "m-1", text);
    ck_ok(r.row->rename(r.row->state, in(&r, "m-1"), in(&r, "m-1.damaged")));
    assert_has(&r, "m-1.damaged", text);
    ck_ok(r.row->unlink(r.row->state, in(&r, "m-1.damaged")));
    ck_assert_uint_eq(count(&r, &ps_disk_system), 0);
    ps_buf_free(&bytes);
    close_rig(&r);
}
END_TEST

START_TEST(a_file_before_its_name_is_read_and_may_lose_its_name_again)
{
    rig r = {0};
    open_rig(&r);
    ps_whole_file *file = NULL;
    ck_ok(ps_whole_file_open(r.row, in(&r, ".new"), in(&r, "m-1"), &file));
    ck_ok(ps_disk_write_all(r.row, ps_whole_file_handle(file), text, strlen(text)));
    ck_ok(ps_whole_file_keep(&file));
    assert_has(&r, ".new", text);
    ck_ok(r.row->rename_new(r.row->state, in(&r, ".new"), in(&r, "m-1")));
    assert_has(&r, "m-1", text);
    ck_ok(r.row->rename(r.row->state, in(&r, "m-1"), in(&r, ".new"))); /* undone */
    assert_has(&r, ".new", text);
    ck_assert_uint_eq(count(&r, &ps_disk_system), 1);
    ck_ok(r.row->rename(r.row->state, in(&r, ".new"), in(&r, "m-1")));
    assert_has(&r, "m-1", text);
    ck_assert_int_eq(r.row->rename(r.row->state, in(&r, "m-1"), in(&r, "m-2")), PS_INTERNAL);
    close_rig(&r);
}
END_TEST

START_TEST(no_other_file_and_no_other_version_is_taken_for_it)
{
    rig r = {0};
    open_rig(&r);
    ck_ok(put(&r, "m-1", "the first version of it"));
    ck_ok(put(&r, "m-2", "the next version of it!"));
    copy_raw(&r, "m-1", "old");
    copy_raw(&r, "m-1.key", "old.k");
    copy_raw(&r, "m-2", "m-1"); /* one file for another, as long */
    assert_refused(&r, "m-1", PS_CORRUPT, "/m-1: segment 0 does not authenticate (byte 40)");
    copy_raw(&r, "m-2.key", "m-1.key"); /* and its key */
    assert_refused(&r, "m-1", PS_CORRUPT, "/m-1.key: its wrapped key does not authenticate");
    copy_raw(&r, "old", "m-2"); /* the old version under the new name */
    copy_raw(&r, "old.k", "m-2.key");
    assert_refused(&r, "m-2", PS_CORRUPT, "/m-2.key: its wrapped key does not authenticate");
    ck_assert_int_eq(unlink(in(&r, "m-2.key")), 0); /* plain, it says now */
    again(&r, 1, 0, true);
    assert_refused(&r, "m-2", PS_FAILED_PRECONDITION,
                   "/m-2: not sealed, and sealing.require is set");
    close_rig(&r);
}
END_TEST

START_TEST(who_lacks_the_key_is_told_and_another_wrap_moves_no_byte)
{
    rig r = {0};
    ps_buf before = PS_BUF_EMPTY, after = PS_BUF_EMPTY;
    bool changed;
    ps_sealed_kind kind;
    uint32_t first, kek;
    open_rig(&r);
    ck_ok(put(&r, "m-1", text));
    ck_ok(ps_sealed_disk_look(r.sealed, in(&r, "m-1"), &kind, &first));
    ck_assert_int_eq(kind, PS_SEALED_YES);
    raw(&r, "m-1", &before);
    again(&r, 2, 0, false);
    assert_refused(&r, "m-1", PS_FAILED_PRECONDITION, "is needed and is not here");
    ck_assert_int_eq(ps_sealed_disk_rewrap(r.sealed, in(&r, "m-1"), &changed),
                     PS_FAILED_PRECONDITION);
    again(&r, 2, 1, false);
    assert_has(&r, "m-1", text);
    ck_ok(ps_sealed_disk_rewrap(r.sealed, in(&r, "m-1"), &changed));
    ck_assert(changed);
    ck_ok(ps_sealed_disk_rewrap(r.sealed, in(&r, "m-1"), &changed));
    ck_assert(!changed);
    again(&r, 2, 0, true);
    assert_has(&r, "m-1", text);
    ck_ok(ps_sealed_disk_look(r.sealed, in(&r, "m-1"), &kind, &kek));
    ck_assert_uint_ne(kek, first);
    raw(&r, "m-1", &after);
    ck_assert_uint_eq(before.len, after.len);
    ck_assert_mem_eq(before.data, after.data, before.len);
    ck_ok(ps_sealed_disk_look(r.sealed, in(&r, ".new"), &kind, &kek));
    ck_assert_int_eq(kind, PS_SEALED_NOT);
    ps_buf_free(&before);
    ps_buf_free(&after);
    close_rig(&r);
}
END_TEST

START_TEST(whatever_fails_the_file_is_the_old_or_the_new_one)
{
    rig r = {0};
    open_rig(&r);
    unsigned long failures = 0;
    for (unsigned long k = 1;; k++) {
        empty(&r);
        again(&r, 1, 0, false);
        ck_ok(put(&r, "m-1", "old"));
        fault_at(&r.fault.fails, k);
        ps_status st = put(&r, "m-1", "new");
        bool struck = fault_struck(&r.fault.fails);
        fault_at(&r.fault.fails, 0);
        failures += st != PS_OK;
        again(&r, 1, 0, true); /* a crash then */
        ps_buf out = PS_BUF_EMPTY;
        ck_ok(get(&r, "m-1", &out));
        ck_assert(!strcmp(ps_buf_cstr(&out), "new") || (st && !strcmp(ps_buf_cstr(&out), "old")));
        ps_buf_free(&out);
        ck_ok(put(&r, "m-1", "newer"));
        assert_has(&r, "m-1", "newer");
        if (!struck)
            break;
    }
    ck_assert_uint_ge(failures, 8);
    close_rig(&r);
}
END_TEST

START_TEST(a_plain_file_is_sealed_in_its_place_whatever_fails)
{
    rig r = {0};
    open_rig(&r);
    unsigned long failures = 0;
    for (unsigned long k = 1;; k++) {
        empty(&r);
        again(&r, 1, 0, false);
        put_raw(&r, "m-1", ps_slice_str(text));
        assert_has(&r, "m-1", text);
        fault_at(&r.fault.fails, k);
        ps_status st = ps_sealed_disk_seal(r.sealed, in(&r, "m-1"));
        bool struck = fault_struck(&r.fault.fails);
        fault_at(&r.fault.fails, 0);
        failures += st != PS_OK;
        assert_has(&r, "m-1", text); /* it goes on */
        again(&r, 1, 0, false);      /* a crash then */
        assert_has(&r, "m-1", text);
        ck_ok(ps_sealed_disk_seal(r.sealed, in(&r, "m-1")));
        ck_ok(ps_sealed_disk_seal(r.sealed, in(&r, "m-1"))); /* nothing to do */
        again(&r, 1, 0, true);
        assert_has(&r, "m-1", text);
        ck_assert_uint_eq(count(&r, &ps_disk_system), 2);
        if (!struck)
            break;
    }
    ck_assert_uint_ge(failures, 10);
    close_rig(&r);
}
END_TEST

START_TEST(a_plain_file_is_replaced_by_a_sealed_one_whatever_fails)
{
    rig r = {0};
    open_rig(&r);
    unsigned long failures = 0;
    for (unsigned long k = 1;; k++) {
        empty(&r);
        again(&r, 1, 0, false);
        put_raw(&r, "m-1", ps_slice_str("old"));
        fault_at(&r.fault.fails, k);
        ps_status st = put(&r, "m-1", "new");
        bool struck = fault_struck(&r.fault.fails);
        fault_at(&r.fault.fails, 0);
        failures += st != PS_OK;
        ps_buf now = PS_BUF_EMPTY, then = PS_BUF_EMPTY;
        ck_ok(get(&r, "m-1", &now)); /* it goes on */
        again(&r, 1, 0, false);      /* a crash then */
        ck_ok(get(&r, "m-1", &then));
        ck_assert_str_eq(ps_buf_cstr(&now), ps_buf_cstr(&then));
        ck_assert(!strcmp(ps_buf_cstr(&now), "new") || (st && !strcmp(ps_buf_cstr(&now), "old")));
        ps_buf_free(&now);
        ps_buf_free(&then);
        if (!struck)
            break;
    }
    ck_assert_uint_ge(failures, 8);
    close_rig(&r);
}
END_TEST

/* As kill -9 leaves it between FILE.key and FILE: what is on disk is put there by hand. */
START_TEST(a_crash_before_a_plain_file_is_replaced_leaves_what_replaces_it)
{
    rig r = {0};
    open_rig(&r);
    ck_ok(put(&r, "m-1", text));
    copy_raw(&r, "m-1", "m-1.sealing");
    put_raw(&r, "m-1", ps_slice_str("plain"));
    again(&r, 1, 0, true);
    assert_has(&r, "m-1", text);
    put_raw(&r, "m-1.sealing", ps_slice_str("half of one that came too late"));
    again(&r, 1, 0, true);
    assert_has(&r, "m-1", text);
    ck_assert_uint_eq(count(&r, &ps_disk_system), 2);
    close_rig(&r);
}
END_TEST

START_TEST(a_file_whose_key_is_not_here_is_replaced_whole_or_not_at_all)
{
    rig r = {0};
    open_rig(&r);
    unsigned long failures = 0;
    for (unsigned long k = 1;; k++) {
        empty(&r);
        again(&r, 1, 0, false);
        ck_ok(put(&r, "m-1", "old"));
        again(&r, 2, 0, false);
        fault_at(&r.fault.fails, k);
        ps_status st = put(&r, "m-1", "new");
        bool struck = fault_struck(&r.fault.fails);
        fault_at(&r.fault.fails, 0);
        failures += st != PS_OK;
        again(&r, 2, 1, true); /* whichever it is, its key opens it */
        ps_buf out = PS_BUF_EMPTY;
        ck_ok(get(&r, "m-1", &out));
        ck_assert(!strcmp(ps_buf_cstr(&out), "new") || (st && !strcmp(ps_buf_cstr(&out), "old")));
        ps_buf_free(&out);
        if (!struck)
            break;
    }
    ck_assert_uint_ge(failures, 8);
    close_rig(&r);
}
END_TEST

START_TEST(a_name_that_is_taken_keeps_its_file_and_its_key)
{
    rig r = {0};
    open_rig(&r);
    for (int sealed = 0; sealed < 2; sealed++) {
        ps_whole_file *file = NULL;
        ck_ok(ps_whole_file_open(r.row, in(&r, ".other"), in(&r, "m-1"), &file));
        if (sealed)
            ck_ok(put(&r, "m-1", text));
        else
            put_raw(&r, "m-1", ps_slice_str(text));
        ck_assert_int_eq(ps_whole_file_place(&file, in(&r, "m-1"), false), PS_ALREADY_EXISTS);
        assert_has(&r, "m-1", text);
        empty(&r);
    }
    close_rig(&r);
}
END_TEST

/* The disk on which another replaces FILE, when what seals it in place looks for its bytes. */
static rig *meanwhile;
static ps_status (*read_below)(void *state, int file, void *data, size_t len, size_t *got);

static ps_status read_late(void *state, int file, void *data, size_t len, size_t *got)
{
    if (meanwhile) {
        const rig *r = meanwhile;
        meanwhile = NULL;
        ck_ok(put(r, "m-1", "new"));
    }
    return read_below(state, file, data, len, got);
}

START_TEST(what_replaces_a_file_while_it_is_sealed_in_its_place_stays)
{
    rig r = {0};
    open_rig(&r);
    put_raw(&r, "m-1", ps_slice_str("old"));
    read_below = r.disk.read;
    r.disk.read = read_late;
    meanwhile = &r;
    ck_ok(ps_sealed_disk_seal(r.sealed, in(&r, "m-1")));
    ck_assert_ptr_null(meanwhile);
    assert_has(&r, "m-1", "new");
    ck_assert_uint_eq(count(&r, &ps_disk_system), 2);
    again(&r, 1, 0, true);
    assert_has(&r, "m-1", "new");
    close_rig(&r);
}
END_TEST

START_TEST(keys_of_files_that_are_gone_go_at_the_start)
{
    rig r = {0};
    open_rig(&r);
    ck_ok(put(&r, "m-1", text));
    put_raw(&r, "m-2.key", ps_slice_str("{}"));
    put_raw(&r, "m-3.key.tmp", ps_slice_str("{"));
    again(&r, 1, 0, false);
    ck_assert_uint_eq(count(&r, &ps_disk_system), 2);
    assert_has(&r, "m-1", text);
    ck_ok(ps_sealed_disk_settle(r.sealed, in(&r, "no-such-folder")));
    close_rig(&r);
}
END_TEST

static const ps_check_case tests[] = {
    {&what_is_written_is_sealed_and_read_back},
    {&a_file_before_its_name_is_read_and_may_lose_its_name_again},
    {&no_other_file_and_no_other_version_is_taken_for_it},
    {&who_lacks_the_key_is_told_and_another_wrap_moves_no_byte},
    {&whatever_fails_the_file_is_the_old_or_the_new_one, 60},
    {&a_plain_file_is_sealed_in_its_place_whatever_fails, 60},
    {&a_plain_file_is_replaced_by_a_sealed_one_whatever_fails, 60},
    {&a_crash_before_a_plain_file_is_replaced_leaves_what_replaces_it},
    {&a_file_whose_key_is_not_here_is_replaced_whole_or_not_at_all, 60},
    {&a_name_that_is_taken_keeps_its_file_and_its_key},
    {&what_replaces_a_file_while_it_is_sealed_in_its_place_stays},
    {&keys_of_files_that_are_gone_go_at_the_start},
    {0},
};

int main(void)
{
    return ps_check_main("seal/sealed_disk", tests);
}
