/* block_kinds: the table of kinds of blocks (block.h) that a tensor's plan can name.
 *
 *     dense   parameters that the store's rule changes; needs no name (dense_block.h)
 *     words   32 bits each, any bits: what is pushed takes the place of what is there
 *     sum     what is pushed is added up, in an order that does not matter
 *
 * Any thread. */
#ifndef PS_PARAMS_BLOCK_KINDS_H
#define PS_PARAMS_BLOCK_KINDS_H

typedef struct ps_block_kind ps_block_kind;

extern const ps_block_kind ps_block_words;
extern const ps_block_kind ps_block_sum;

/* NULL: there is none of that name but, perhaps, the dense one. */
const ps_block_kind *ps_block_kind_find(const char *name);
const char *ps_block_kind_name(const ps_block_kind *kind);

#endif
