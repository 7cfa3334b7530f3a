/* form_stream: the numbers of a tensor of psd's model file out of its bytes as they come, in psd's
 * order. A block is read when it is whole; only of a tensor that is stored transposed all numbers
 * are held, and of one that is two factors their bytes, until its last byte. Not thread-safe (not
 * asserted: it is its reader's alone).
 *
 *     ps_form_stream_begin(s, tensor)              // the next tensor
 *     ps_form_stream_feed(s, bytes) … until ps_form_stream_missing(s) is 0
 */
#ifndef PS_MODEL_FORM_STREAM_H
#define PS_MODEL_FORM_STREAM_H

#include "common/base/slice.h"
#include "common/model/model_forms.h"

/* Numbers first to first + n - 1 of the tensor, in psd's order; each comes once, in order. Any
 * bytes may have come: what they say may be NaN. What it fails with ends the feed and is its
 * failure. */
typedef struct ps_form_sink {
    ps_status (*numbers)(void *user, const ps_model_form *tensor, uint64_t first,
                         const float *values, size_t n);
    void *user;
} ps_form_sink;

typedef struct ps_form_stream ps_form_stream;

ps_form_stream *ps_form_stream_new(ps_form_sink sink);
void ps_form_stream_free(ps_form_stream **stream); /* NULL is nothing */

/* tensor is borrowed until the next begin. The one before may be left unfinished. PS_NO_MEMORY. */
PS_MUST_CHECK ps_status ps_form_stream_begin(ps_form_stream *stream, const ps_model_form *tensor);
/* The tensor's next bytes; no more than are missing. */
PS_MUST_CHECK ps_status ps_form_stream_feed(ps_form_stream *stream, ps_slice bytes);
uint64_t ps_form_stream_missing(const ps_form_stream *stream); /* bytes; 0: it is whole */

#endif
