/* room: whether there is memory for what a method is about to take. Linux promises more than it has
 * and ends somebody for it later, so that what the keys of a job file make large asks first. Any
 * thread. */
#ifndef PS_EXPLAIN_ROOM_H
#define PS_EXPLAIN_ROOM_H

#include "common/base/status.h"

#include <stdint.h>

/* PS_NO_MEMORY: fewer bytes than that are left; the text says how many, and what for, and what to
 * do ("lower explain.batch"). What is small is not asked for. */
PS_MUST_CHECK ps_status ps_explain_room(uint64_t bytes, const char *what, const char *remedy);

#endif
