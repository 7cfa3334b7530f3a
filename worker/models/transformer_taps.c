/* Which points the passes of a transformer have, how wide they are, and what each weight
 * multiplies.
 */
#include "common/base/require.h"
#include "worker/models/transformer.h"

int64_t ps_transformer_tap_columns(const ps_model *m, ps_tap tap)
{
    const ps_transformer *t = (const ps_transformer *)m;
    const ps_attention_layer *a = &t->attention;
    if (tap.layer < 0 ||
        tap.layer >= (ps_tap_place_of(tap.kind) == PS_TAP_ONCE ? 1 : t->size.num_layers))
        return 0;
    switch (tap.kind) {
    case PS_TAP_INPUT:
    case PS_TAP_LAYER_PRE:
    case PS_TAP_LAYER_POST:
    case PS_TAP_PATTERN:
    case PS_TAP_KINDS:
        return 0;
    case PS_TAP_Q:
    case PS_TAP_Z:
        return a->heads * a->head_dim;
    case PS_TAP_K:
    case PS_TAP_V:
        return a->kv_heads * a->head_dim;
    case PS_TAP_MLP_PRE:
    case PS_TAP_MLP_POST:
        return t->size.intermediate_size;
    case PS_TAP_MLP_PRE_LINEAR:
        return ps_transformer_has(t, PS_PART_GATE) ? t->size.intermediate_size : 0;
    case PS_TAP_POS_EMBED:
        return ps_transformer_has(t, PS_PART_POSITIONS) ? t->size.hidden_size : 0;
    default:
        return t->size.hidden_size;
    }
}

/* One head after the other, as many of its queries at a time as have room where the head makes its
 * logits. */
ps_status ps_transformer_attention(ps_model *m, int64_t layer, int64_t row, float *out)
{
    const ps_transformer *t = (const ps_transformer *)m;
    int64_t length = t->length, at_once = ps_tensor_count(t->head.logits) / length;
    ps_tensor packed = t->states[layer].packed, lse = t->states[layer].lse, p = t->head.logits;
    const ps_attention_layer attention = ps_transformer_attention_of(t, layer);
    PS_REQUIRE(at_once > 0);
    packed.offset += (size_t)(row * length * packed.shape[1]) * ps_dtype_bytes(packed.dtype);
    lse.offset += (size_t)(row * t->size.num_heads * length) * sizeof(float);
    ps_status st = PS_OK;
    for (int64_t head = 0; !st && head < t->size.num_heads; head++)
        for (int64_t first = 0; !st && first < length; first += at_once) {
            int64_t n = length - first < at_once ? length - first : at_once;
            p = ps_tensor_2d(p.buffer, p.offset, PS_DTYPE_F32, n, length);
            ps_attention_layer_weights(m->stream, &attention, p, ps_tensor_head(packed, length),
                                       lse, head, first);
            st = ps_copy_to_host(m->stream, out + (head * length + first) * length, p,
                                 ps_tensor_bytes(p));
        }
    return st;
}

/* ---- weights that may be replaced ---- */

static bool shows_patterns(const ps_transformer *t)
{
    return t->base.watching && t->base.watching->patterns;
}

static ps_status take_patterns(ps_transformer *t, ps_tensor *out)
{
    ps_backend *backend = t->base.backend;
    int64_t rows = t->batch * t->size.num_heads * t->length;
    size_t bytes = (size_t)(rows * t->length) * sizeof(float);
    ps_status st = PS_OK;
    if (t->pattern_bytes < bytes) {
        ps_buffer_free(backend, &t->patterns);
        t->pattern_bytes = 0;
        st = ps_buffer_new(backend, bytes, &t->patterns);
        t->pattern_bytes = st ? 0 : bytes;
    }
    if (st)
        return ps_wrap(st, "attention of %lld rows of %lld tokens", (long long)t->batch,
                       (long long)t->length);
    *out = ps_tensor_2d(t->patterns, 0, PS_DTYPE_F32, rows, t->length);
    return PS_OK;
}

/* Of row and head, its place in x, whose rows are `width` wide and one a token; F32, as everything
 * is of a model that is explained. */
static ps_tensor columns_of(const ps_transformer *t, ps_tensor x, int64_t width, int64_t row,
                            int64_t head)
{
    x.offset += (size_t)(row * t->length * width + head * t->attention.head_dim) * sizeof(float);
    return x;
}

static ps_tensor pattern_of(const ps_transformer *t, ps_tensor patterns, int64_t row, int64_t head)
{
    int64_t square = t->length * t->length, number = row * t->size.num_heads + head;
    return ps_tensor_2d(patterns.buffer, (size_t)(number * square) * sizeof(float), PS_DTYPE_F32,
                        t->length, t->length);
}

/* z = p·v of a row and head; back: dp = dz·vᵀ. */
static void mix(ps_transformer *t, int64_t l, ps_tensor p, ps_tensor z, int64_t row, int64_t head,
                bool back)
{
    const ps_attention_layer *a = &t->attention;
    ps_tensor packed = t->states[l].packed;
    PS_REQUIRE(row < t->batch && head < a->heads && p.dtype == packed.dtype);
    int64_t width = packed.shape[1], size = a->head_dim;
    ps_tensor v = ps_attention_layer_part(a, packed, PS_ATTENTION_VALUES);
    v = columns_of(t, v, width, row, head / (a->heads / a->kv_heads));
    z = columns_of(t, z, a->heads * size, row, head);
    ps_gemm g = {.m = t->length,
                 .n = size,
                 .k = t->length,
                 .alpha = 1,
                 .a = p,
                 .b = v,
                 .c = z,
                 .ld_a = t->length,
                 .ld_b = width,
                 .ld_c = a->heads * size,
                 .batch = 1};
    if (back) {
        g.transpose_b = true;
        g.n = t->length;
        g.k = size;
        g.a = z;
        g.c = p;
        g.ld_a = a->heads * size;
        g.ld_c = t->length;
    }
    ps_op_gemm(t->base.stream, &g);
}

static void mix_all(ps_transformer *t, int64_t l, ps_tensor patterns, ps_tensor z, bool back)
{
    for (int64_t row = 0; row < t->batch; row++)
        for (int64_t head = 0; head < t->size.num_heads; head++)
            mix(t, l, pattern_of(t, patterns, row, head), z, row, head, back);
}

ps_status ps_transformer_show_pattern(ps_transformer *t, int64_t l)
{
    ps_tensor patterns;
    ps_status st = shows_patterns(t) ? take_patterns(t, &patterns) : PS_OK;
    if (st || !shows_patterns(t))
        return st;
    const ps_attention_layer attention = ps_transformer_attention_of(t, l);
    for (int64_t row = 0; row < t->batch; row++) {
        ps_tensor packed = t->states[l].packed, lse = t->states[l].lse;
        packed.offset += (size_t)(row * t->length * packed.shape[1]) * sizeof(float);
        lse.offset += (size_t)(row * t->size.num_heads * t->length) * sizeof(float);
        for (int64_t head = 0; head < t->size.num_heads; head++)
            ps_attention_layer_weights(t->base.stream, &attention,
                                       pattern_of(t, patterns, row, head),
                                       ps_tensor_head(packed, t->length), lse, head, 0);
    }
    ps_model_at(&t->base, PS_TAP_PATTERN, l, patterns, 0);
    mix_all(t, l, patterns, t->states[l].mixed, false);
    return PS_OK;
}

ps_status ps_transformer_show_pattern_gradient(ps_transformer *t, int64_t l)
{
    ps_tensor patterns;
    if (!shows_patterns(t) || !ps_model_shows_gradients(&t->base))
        return PS_OK;
    ps_status st = take_patterns(t, &patterns);
    if (st)
        return st;
    mix_all(t, l, patterns, t->dmixed, true);
    ps_model_gradient_at(&t->base, PS_TAP_PATTERN, l, patterns, 0);
    return PS_OK;
}

/* Of parts that are a weight; PS_TAP_KINDS: it is none. */
static ps_tap_kind before(ps_arch_part part)
{
    switch (part) {
    case PS_PART_QKV:
    case PS_PART_Q:
    case PS_PART_K:
    case PS_PART_V:
        return PS_TAP_LN1;
    case PS_PART_O:
        return PS_TAP_Z;
    case PS_PART_GATE:
    case PS_PART_UP:
        return PS_TAP_LN2;
    case PS_PART_DOWN:
        return PS_TAP_MLP_POST;
    default:
        return PS_TAP_KINDS;
    }
}

/* Of which block, and what of it, weight i is; PS_PARTS: of none. */
static ps_arch_part part_of(const ps_transformer *t, size_t i, int64_t *layer)
{
    for (ps_arch_part part = 0; part < PS_PARTS; part++) {
        if (before(part) == PS_TAP_KINDS || !ps_transformer_has(t, part))
            continue;
        for (*layer = 0; *layer < t->size.num_layers; ++*layer)
            if (ps_transformer_parameter(t, part, *layer) == i)
                return part;
    }
    return PS_PARTS;
}

/* A tied table is two parts: the head is the one that multiplies. */
bool ps_transformer_tap_before(const ps_model *m, size_t i, ps_tap *out)
{
    const ps_transformer *t = (const ps_transformer *)m;
    *out = (ps_tap){PS_TAP_LN_FINAL, 0};
    if (i == t->parts[PS_PART_HEAD].first)
        return true;
    ps_arch_part part = part_of(t, i, &out->layer);
    out->kind = before(part);
    return part != PS_PARTS;
}

size_t ps_transformer_taps_behind(const ps_model *m, size_t i, ps_tap *out)
{
    const ps_transformer *t = (const ps_transformer *)m;
    static const ps_tap_kind kinds[PS_PARTS] = {
        [PS_PART_QKV] = PS_TAP_Q,      [PS_PART_Q] = PS_TAP_Q,
        [PS_PART_K] = PS_TAP_K,        [PS_PART_V] = PS_TAP_V,
        [PS_PART_O] = PS_TAP_ATTN_OUT, [PS_PART_GATE] = PS_TAP_MLP_PRE,
        [PS_PART_UP] = PS_TAP_MLP_PRE, [PS_PART_DOWN] = PS_TAP_MLP_OUT};
    int64_t layer = 0;
    ps_arch_part part = part_of(t, i, &layer);
    bool normed = (part == PS_PART_O && ps_transformer_has(t, PS_PART_NORM_AFTER_ATTENTION)) ||
                  (part == PS_PART_DOWN && ps_transformer_has(t, PS_PART_NORM_AFTER_MLP));
    if (part == PS_PARTS || normed) /* what a norm makes of it is seen alone */
        return 0;
    bool gated = part == PS_PART_UP && ps_transformer_has(t, PS_PART_GATE);
    out[0] = (ps_tap){gated ? PS_TAP_MLP_PRE_LINEAR : kinds[part], layer};
    out[1] = (ps_tap){PS_TAP_K, layer};
    out[2] = (ps_tap){PS_TAP_V, layer};
    return part == PS_PART_QKV ? 3 : 1;
}
