/* text_look: what bytes that are taken for text have in them that no text in UTF-8 has. Fed piece
 * by piece, wherever the pieces are cut. Any thread. */
#ifndef PS_FORMAT_TEXT_LOOK_H
#define PS_FORMAT_TEXT_LOOK_H

#include "common/base/slice.h"

typedef struct ps_text_look {
    uint64_t zeros;   /* bytes of 0 */
    bool foreign;     /* there are bytes that are no UTF-8, */
    uint64_t at;      /* and so many stand before the first; until then, what is looked at */
    uint8_t carry[4]; /* the beginning of a sequence whose rest has not come */
    size_t carry_len;
} ps_text_look;

/* look: zeros at first. */
void ps_text_look_feed(ps_text_look *look, ps_slice bytes);
/* Nothing follows: a sequence that was begun is none. */
void ps_text_look_end(ps_text_look *look);

#endif
