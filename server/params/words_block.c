/* words: a tensor whose elements are 32 bits each that mean nothing here: the bytes of a tensor in
 * a form (common/form), say. A push assigns, bit by bit, in the codec that sends floats as they
 * are; a pull and a checkpoint give the bits. So the same push again changes nothing.
 *
 * It is a dense block under a rule of its own: without state, and without arithmetic, since a float
 * that is loaded and stored may lose bits of a NaN. Of a push only codec and size are checked. */
#include "server/params/block_kinds.h"
#include "server/params/dense_block.h"

#include <string.h>

static void assign(const ps_optimizer_config *config, const ps_optimizer_step *step,
                   const ps_optimizer_part *part)
{
    (void)config;
    (void)step;
    memcpy(part->out, part->g, part->count * sizeof *part->out);
}

static const ps_optimizer rule = {.name = "words", .step = assign};

static ps_status check(const ps_block *block, const ps_block_chunk *chunk, double *sum_sq)
{
    (void)block;
    (void)sum_sq; /* words have no norm */
    if (!chunk->codec->identity)
        return ps_fail(PS_INVALID_ARGUMENT, "codec %s: its words are pushed as float32",
                       chunk->codec->name);
    return ps_codec_check(chunk->codec, chunk->payload, chunk->count);
}

const ps_block_kind ps_block_words = {
    .name = "words",
    .right = PS_BLOCK_LEASED,
    .rule = &rule,
    .alone = true,
    .check = check,
    PS_BLOCK_DENSELY,
};
