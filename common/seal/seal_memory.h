/* seal_memory: what the open sealed files of the process hold, in slots of a mebibyte
 * (PS_SEAL_SEGMENT). Who reads one has a batch of them while there is much room, then one alone,
 * and then none: many readers get slower before one is refused. Who writes one is counted and never
 * refused: these are few, and what was trained is among them. Private to this folder but for the
 * two of psd. Any thread. */
#ifndef PS_SEAL_SEAL_MEMORY_H
#define PS_SEAL_SEAL_MEMORY_H

#include "common/base/status.h"

#include <stddef.h>
#include <stdint.h>

#define PS_SEAL_MEMORY_MOST (UINT64_C(256) << 20)

/* Bytes from which on readers are refused; PS_SEAL_MEMORY_MOST before it is said. */
void ps_seal_memory_set_most(uint64_t bytes);
uint64_t ps_seal_memory_held(void); /* bytes */

/* To read: *slots of `wanted`, at least one. PS_RESOURCE_EXHAUSTED. */
PS_MUST_CHECK ps_status ps_seal_memory_take(size_t wanted, size_t *slots);
void ps_seal_memory_count(size_t slots); /* to write */
void ps_seal_memory_give(size_t slots);  /* back */

#endif
