/* Happy path: eight files are there, and stay. A part that cannot be written whole is removed
 * again: it would be counted on. Random bytes, so that a file system that compresses keeps room,
 * too. */
#include "server/runs/room.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/mutex.h"
#include "common/base/rng.h"
#include "common/base/whole_file.h"
#include "common/loop/loop.h"

#include <stdio.h>

struct ps_room {
    const ps_disk *disk;
    const char *data_dir;
    char *folder;
    ps_mutex mutex;
    bool there[PS_ROOM_PARTS];
};

static char *part_path(const ps_room *room, unsigned part)
{
    return ps_asprintf("%s/%u", room->folder, part);
}

static unsigned count(const ps_room *room)
{
    ps_mutex_require_held(&room->mutex);
    unsigned n = 0;
    for (unsigned i = 0; i < PS_ROOM_PARTS; i++)
        n += room->there[i];
    return n;
}

/* ---- making ---- */

static ps_status fill(const ps_disk *disk, int handle)
{
    enum { PIECE = 64 << 10 };
    uint64_t words[PIECE / sizeof(uint64_t)];
    ps_rng rng;
    ps_rng_seed(&rng, ps_rng_entropy());
    ps_status st = PS_OK;
    for (size_t at = 0; !st && at < PS_ROOM_PART_BYTES; at += PIECE) {
        for (size_t i = 0; i < PIECE / sizeof *words; i++)
            words[i] = ps_rng_next(&rng);
        st = ps_disk_write_all(disk, handle, words, PIECE);
    }
    return st;
}

static ps_status make_part(ps_room *room, unsigned part)
{
    ps_mutex_require_held(&room->mutex);
    PS_REQUIRE(part < PS_ROOM_PARTS && !room->there[part]);
    char *path = part_path(room, part);
    ps_whole_file *file = NULL;
    ps_status st = ps_whole_file_open(room->disk, path, path, &file);
    if (!st)
        st = fill(room->disk, ps_whole_file_handle(file));
    if (!st)
        st = ps_whole_file_keep(&file);
    ps_whole_file_drop(&file);
    ps_free(&path);
    room->there[part] = !st;
    return st;
}

/* Only where the disk stays well above what is kept free beside it. */
static bool room_for(const ps_room *room, unsigned missing)
{
    uint64_t have;
    if (room->disk->free_space(room->disk->state, room->data_dir, &have))
        return false;
    return have >= PS_ROOM_KEPT_BYTES + (uint64_t)missing * PS_ROOM_PART_BYTES;
}

void ps_room_tick(ps_room *room)
{
    ps_loop_require_off();
    ps_mutex_lock(&room->mutex);
    unsigned missing = PS_ROOM_PARTS - count(room);
    if (missing && room_for(room, missing)) {
        ps_status st = ps_disk_mkdir_if_missing(room->disk, room->folder);
        for (unsigned i = 0; !st && i < PS_ROOM_PARTS; i++)
            if (!room->there[i])
                st = make_part(room, i);
        if (!st)
            ps_log_info("room", "the reserve is there: %d MB in %s",
                        PS_ROOM_PARTS * (PS_ROOM_PART_BYTES >> 20), room->folder);
    }
    ps_mutex_unlock(&room->mutex);
}

/* ---- giving up ---- */

static bool remove_part(ps_room *room, unsigned part)
{
    ps_mutex_require_held(&room->mutex);
    PS_REQUIRE(part < PS_ROOM_PARTS && room->there[part]);
    char *path = part_path(room, part);
    ps_error before; /* of the caller, who asks because of it */
    ps_error_save(&before, PS_NO_SPACE);
    ps_status st = room->disk->unlink(room->disk->state, path);
    if (st)
        ps_log_warning("room", "%s", ps_error_message());
    (void)ps_error_raise(&before);
    ps_free(&path);
    room->there[part] = st && st != PS_NOT_FOUND;
    return !st;
}

bool ps_room_give_up(void *user)
{
    ps_room *room = user;
    bool gave = false;
    ps_mutex_lock(&room->mutex);
    for (unsigned i = 0; !gave && i < PS_ROOM_PARTS; i++)
        if (room->there[i])
            gave = remove_part(room, i);
    if (gave)
        ps_log_warning("room",
                       "the disk of data_dir is full: a part of the reserve is given up, %u left",
                       count(room));
    ps_mutex_unlock(&room->mutex);
    return gave;
}

unsigned ps_room_parts(ps_room *room)
{
    ps_mutex_lock(&room->mutex);
    unsigned n = count(room);
    ps_mutex_unlock(&room->mutex);
    return n;
}

/* ---- the start ---- */

/* A part that a crash cut short is made anew. */
static void find_part(ps_room *room, unsigned part)
{
    const ps_disk *disk = room->disk;
    char *path = part_path(room, part);
    int file = -1;
    uint64_t bytes = 0;
    if (!disk->open(disk->state, path, PS_DISK_READ, &file)) {
        room->there[part] = !disk->size(disk->state, file, &bytes) && bytes >= PS_ROOM_PART_BYTES;
        disk->close(disk->state, file);
    }
    ps_free(&path);
}

ps_status ps_room_create(const ps_disk *disk, const char *data_dir, ps_room **out)
{
    ps_room *room = ps_new(ps_room);
    room->disk = disk;
    room->data_dir = data_dir;
    room->folder = ps_asprintf("%s/reserve", data_dir);
    ps_mutex_init(&room->mutex);
    ps_status st = ps_disk_mkdir_if_missing(disk, room->folder);
    if (st == PS_NO_SPACE)
        st = PS_OK; /* a full disk: later */
    if (st) {
        ps_room_free(&room);
        return st;
    }
    for (unsigned i = 0; i < PS_ROOM_PARTS; i++)
        find_part(room, i);
    ps_room_tick(room);
    unsigned parts = ps_room_parts(room);
    if (parts == 0)
        ps_log_warning("room", "data_dir has no room for the reserve: on a full disk nothing could "
                               "be deleted");
    else if (parts < PS_ROOM_PARTS)
        ps_log_warning("room",
                       "data_dir has no room for the whole reserve: %u of %d parts are there",
                       parts, PS_ROOM_PARTS);
    *out = room;
    return PS_OK;
}

void ps_room_free(ps_room **pointer)
{
    ps_room *room = *pointer;
    if (!room)
        return;
    ps_mutex_destroy(&room->mutex);
    ps_free(&room->folder);
    ps_free(pointer);
}

/* ---- what is kept free ---- */

ps_status ps_room_check(const ps_disk *disk, const char *data_dir)
{
    uint64_t have;
    ps_status st = disk->free_space(disk->state, data_dir, &have);
    if (!st && have < PS_ROOM_KEPT_BYTES)
        st = ps_fail(
            PS_NO_SPACE,
            "data_dir has %llu MB left, and %llu MB are kept for psd's own state: make room",
            (unsigned long long)(have >> 20), (unsigned long long)(PS_ROOM_KEPT_BYTES >> 20));
    return st;
}
