/* checkpoint_blocks: the blocks of a checkpoint's file, and the sections that they are. Private to
 * this folder. */
#ifndef PS_DURABLE_CHECKPOINT_BLOCKS_H
#define PS_DURABLE_CHECKPOINT_BLOCKS_H

#include "server/durable/section.h"
#include "server/params/snapshot.h"

typedef enum ps_checkpoint_section {
    PS_SECTION_CONFIG = 1,
    PS_SECTION_STATE,
    PS_SECTION_WINDOWS,
    PS_SECTION_CONTROLLER,
    PS_SECTION_PROGRESS,
    PS_SECTION_BLOCK,
    PS_SECTION_END,
} ps_checkpoint_section;

PS_MUST_CHECK ps_status ps_checkpoint_block_write(ps_section_writer *w, uint64_t index,
                                                  uint32_t format, const ps_block_state *block);
/* What one takes in the file. */
uint64_t ps_checkpoint_block_bytes(const ps_param_store *store, uint64_t index);

/* The next section's header, which must be of that type. */
PS_MUST_CHECK ps_status ps_checkpoint_next(ps_section_reader *r, ps_checkpoint_section type);
/* All blocks into the store, which nobody uses yet: r, of the file `path`, stands before the first
 * and afterwards behind the last. A large file is read by as many threads as there are cores. */
PS_MUST_CHECK ps_status ps_checkpoint_blocks_read(ps_section_reader *r, const char *path,
                                                  ps_param_store *store);

#endif
