/* room: a reserve that lets what makes room through on a full disk, and comes back. */
#include "server/runs/room.h"

#include "common/base/mem.h"
#include "server/catalog/models.h"
#include "tests/lib/check_main.h"
#include "tests/lib/model_row.h"
#include "tests/lib/stored.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MB (UINT64_C(1) << 20)

typedef struct rig {
    test_stored t;
    ps_room *room;
} rig;

static void begin(rig *r, uint64_t free_bytes)
{
    test_stored_open(&r->t);
    r->t.fault.free_bytes = free_bytes;
    ck_ok(ps_room_create(&r->t.disk, r->t.dir, &r->room));
    ps_catalog_set_make_room(r->t.catalog, ps_room_give_up, r->room);
}

static void end(rig *r)
{
    ps_room_free(&r->room);
    test_stored_close(&r->t);
}

START_TEST(the_reserve_is_whole_and_is_found_again)
{
    rig r;
    begin(&r, 100 * MB);
    ck_assert_uint_eq(ps_room_parts(r.room), PS_ROOM_PARTS);
    ck_assert_uint_eq(test_stored_count(&r.t, "reserve"), PS_ROOM_PARTS);
    char *part = ps_asprintf("%s/reserve/3", r.t.dir);
    struct stat s;
    ck_assert_int_eq(stat(part, &s), 0);
    ck_assert_int_ge(s.st_blocks * 512, PS_ROOM_PART_BYTES); /* not sparse */
    ps_room_free(&r.room);
    r.t.fault.free_bytes = 1; /* nothing could be made now */
    ck_assert_int_eq(truncate(part, 1000), 0);
    ck_ok(ps_room_create(&r.t.disk, r.t.dir, &r.room));
    ck_assert_uint_eq(ps_room_parts(r.room), PS_ROOM_PARTS - 1); /* one was cut short by a crash */
    ps_free(&part);
    end(&r);
}
END_TEST

START_TEST(it_takes_no_room_that_is_wanted_and_comes_when_there_is_some)
{
    rig r;
    begin(&r, 79 * MB);
    ck_assert_uint_eq(ps_room_parts(r.room), 0);
    ck_assert(!ps_room_give_up(r.room));
    r.t.fault.free_bytes = 80 * MB;
    ps_room_tick(r.room);
    ck_assert_uint_eq(ps_room_parts(r.room), PS_ROOM_PARTS);
    end(&r);
}
END_TEST

START_TEST(a_part_that_could_not_be_written_is_not_counted_on)
{
    rig r;
    test_stored_open(&r.t);
    r.t.fault.free_bytes = 100 * MB;
    r.t.fault.room = 3 * MB; /* whatever the file system says */
    ck_ok(ps_room_create(&r.t.disk, r.t.dir, &r.room));
    ck_assert_uint_eq(ps_room_parts(r.room), 1);
    ck_assert_uint_eq(test_stored_count(&r.t, "reserve"), 1);
    end(&r);
}
END_TEST

static void store(rig *r, const char *name)
{
    char config[] = "{}", tensor[] = "w";
    ps_model_tensor t = {.name = tensor, .rank = 1, .shape = {1}};
    char *copy = ps_strdup(name);
    ps_model_record m = {.name = copy, .config = config, .tensors = &t, .n_tensors = 1};
    ck_ok(test_model_put(r->t.catalog, &m));
    ps_free(&m.path);
    ps_free(&copy);
}

/* Room comes only when two parts are given up. */
static bool give_up_twice(void *user)
{
    rig *r = user;
    bool gave = ps_room_give_up(r->room);
    if (ps_room_parts(r->room) == PS_ROOM_PARTS - 2)
        ps_catalog_limit_writes(r->t.catalog, PS_CATALOG_ALL);
    return gave;
}

START_TEST(what_makes_room_goes_through_on_a_full_disk_and_nothing_else)
{
    rig r;
    begin(&r, 100 * MB);
    store(&r, "a");
    store(&r, "b");
    ps_catalog_set_make_room(r.t.catalog, give_up_twice, &r);
    ps_catalog_limit_writes(r.t.catalog, 0);
    ps_model_record *m = NULL;
    ck_ok(ps_catalog_model_get(r.t.catalog, "a", &m));
    ck_assert_int_eq(ps_catalog_model_publish(r.t.catalog, "a", m->path), PS_NO_SPACE);
    ck_assert_uint_eq(ps_room_parts(r.room), PS_ROOM_PARTS);
    ck_ok(ps_catalog_model_delete(r.t.catalog, "a"));
    ck_assert_uint_eq(ps_room_parts(r.room), PS_ROOM_PARTS - 2);
    ps_model_record_free(&m);
    ps_room_tick(r.room); /* there is room again */
    ck_assert_uint_eq(ps_room_parts(r.room), PS_ROOM_PARTS);
    end(&r);
}
END_TEST

START_TEST(when_the_reserve_is_spent_the_call_says_that_the_disk_is_full)
{
    rig r;
    begin(&r, 100 * MB);
    store(&r, "a");
    ps_catalog_limit_writes(r.t.catalog, 0);
    ck_assert_int_eq(ps_catalog_model_delete(r.t.catalog, "a"), PS_NO_SPACE);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "the disk is full"));
    ck_assert_uint_eq(ps_room_parts(r.room), 0);
    end(&r);
}
END_TEST

START_TEST(what_is_kept_free_is_said)
{
    rig r;
    begin(&r, 64 * MB);
    ck_ok(ps_room_check(&r.t.disk, r.t.dir));
    r.t.fault.free_bytes = 6 * MB;
    ck_assert_int_eq(ps_room_check(&r.t.disk, r.t.dir), PS_NO_SPACE);
    ck_assert_str_eq(ps_error_message(),
                     "data_dir has 6 MB left, and 64 MB are kept for psd's own state: make room");
    end(&r);
}
END_TEST

static const ps_check_case cases[] = {
    {&the_reserve_is_whole_and_is_found_again},
    {&it_takes_no_room_that_is_wanted_and_comes_when_there_is_some},
    {&a_part_that_could_not_be_written_is_not_counted_on},
    {&what_makes_room_goes_through_on_a_full_disk_and_nothing_else},
    {&when_the_reserve_is_spent_the_call_says_that_the_disk_is_full},
    {&what_is_kept_free_is_said},
    {0},
};

int main(void)
{
    return ps_check_main("server/runs/room", cases);
}
