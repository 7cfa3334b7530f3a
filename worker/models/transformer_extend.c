/* Generation: one sequence, tokens at its end a few at a time. Keys and values go into the cache,
 * where they stay; everything else is as in a forward pass, over the new rows alone. */
#include "common/base/require.h"
#include "worker/models/transformer.h"

static const ps_model_hooks silent;

/* [before, before + count) of the sequence; count <= PS_EXTEND_ROWS */
static ps_status extend(ps_transformer *t, const int32_t *tokens, int64_t count, int64_t before)
{
    PS_REQUIRE(before >= 0 &&
               count <= t->base.options.max_length - before); /* it is in the cache */
    t->batch = 1;
    t->length = t->n = count;
    t->before = before;
    t->dropping = t->several = false;
    for (int64_t i = 0; i < count; i++)
        t->positions_host[i] = (int32_t)(before + i);
    ps_copy_to_device(t->base.stream, ps_transformer_rows(t, t->base.input), tokens,
                      (size_t)count * sizeof *tokens);
    ps_status st = ps_transformer_run(t, &silent);
    return st ? st : ps_stream_sync(t->base.stream); /* positions_host is used again */
}

ps_status ps_transformer_extend(ps_model *m, const int32_t *tokens, int64_t count, int64_t before,
                                float *out)
{
    ps_transformer *t = (ps_transformer *)m;
    int64_t at_once = ps_transformer_max_rows(t);
    for (int64_t done = 0; done < count; done += at_once) {
        int64_t n = count - done < at_once ? count - done : at_once;
        ps_status st = extend(t, tokens + done, n, before + done);
        if (st)
            return st;
    }
    ps_transformer_answer(m);
    ps_tensor logits = ps_tensor_head(m->output, 1);
    return ps_copy_to_host(m->stream, out, logits, ps_tensor_bytes(logits));
}
