/* room: the disk of data_dir, and what is kept of it for psd's own way out.
 *
 * With 64 MiB free all is well. With less, models and artifacts are refused, and /readyz says so;
 * the catalog, the audit log and the checkpoints go on. With no room at all, what makes room and
 * what a person takes back still go through: data_dir/reserve holds 8 files of 2 MiB, of which each
 * call that meets the full disk (cancel, and everything that deletes) gives one up.
 *
 * The reserve is made again when there is room for it. Parts, so that whoever else fills the disk
 * does not get all of it at the first call.
 *
 * Any thread. Everything here blocks: off the loop.
 */
#ifndef PS_RUNS_ROOM_H
#define PS_RUNS_ROOM_H

#include "common/base/disk.h"

#include <stdbool.h>

typedef struct ps_room ps_room;

#define PS_ROOM_KEPT_BYTES (UINT64_C(64) << 20)
enum { PS_ROOM_PARTS = 8, PS_ROOM_PART_BYTES = 2 << 20 };

/* disk and data_dir are borrowed. Finds the reserve that is there, and makes what is missing if
 * there is room; that there is none is not a failure. */
PS_MUST_CHECK ps_status ps_room_create(const ps_disk *disk, const char *data_dir, ps_room **out);
void ps_room_free(ps_room **room); /* the files stay */

/* Gives a part up; false: there is none any more. For ps_catalog_set_make_room. */
bool ps_room_give_up(void *room);
/* Makes what is missing of the reserve, if there is room; call it from time to time. */
void ps_room_tick(ps_room *room);
unsigned ps_room_parts(ps_room *room); /* of the reserve that are there */

/* PS_NO_SPACE: "data_dir has 6 MB left, and 64 MB are kept for psd's own state: make room". */
PS_MUST_CHECK ps_status ps_room_check(const ps_disk *disk, const char *data_dir);

#endif
