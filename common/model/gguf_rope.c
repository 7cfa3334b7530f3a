/* Happy path: what a type of scaling has there becomes keys of the section, and the way back. */
#include "common/model/gguf_rope.h"

#include "common/arch/arch.h"
#include "common/base/mem.h"
#include "common/conf/value.h"
#include "common/model/gguf_model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* psd's own: numbers of which llama.cpp has what follows from them. */
#define KEY_FACTOR    "psd.rope_factor"
#define KEY_LOW       "psd.rope_low_freq_factor"
#define KEY_HIGH      "psd.rope_high_freq_factor"
#define KEY_ORIGINAL  "psd.rope_original_context"
#define KEY_ATTENTION "psd.rope_attention_factor"

#define TYPE      ".rope.scaling.type"
#define FACTOR    ".rope.scaling.factor"
#define LINEAR    ".rope.scale_linear" /* older */
#define ORIGINAL  ".rope.scaling.original_context_length"
#define ATTENTION ".rope.scaling.attn_factor"
#define BETA_FAST ".rope.scaling.yarn_beta_fast"
#define BETA_SLOW ".rope.scaling.yarn_beta_slow"

static const char *const known[] = {TYPE,      FACTOR,    LINEAR,   ORIGINAL,
                                    ATTENTION, BETA_FAST, BETA_SLOW};

static bool scales(const ps_arch *arch)
{
    return ps_arch_key_find(arch, "rope_type") != NULL;
}

bool ps_gguf_rope_has(const ps_arch *arch, ps_slice key)
{
    for (size_t i = 0; scales(arch) && i < sizeof known / sizeof *known; i++)
        if (key.len == strlen(known[i]) && !memcmp(key.data, known[i], key.len))
            return true;
    return false;
}

/* ---- reading ---- */

typedef struct source {
    const ps_gguf *file;
    const ps_arch *arch;
} source;

static const ps_gguf_key *find(const source *s, const char *key)
{
    char name[64];
    (void)snprintf(name, sizeof name, "%s%s", ps_arch_gguf_name(s->arch), key);
    return ps_gguf_find_key(s->file, name);
}

/* *out stays what it is where the key is not there. None of them means anything below 0, or as no
 * number: llama.cpp computes with it all the same. */
static ps_status real_of(const source *s, const char *key, double *out)
{
    const ps_gguf_key *found = find(s, key);
    ps_status st = found ? ps_gguf_get_real(found, out) : PS_OK;
    if (!st && found && !(*out >= 0 && isfinite(*out)))
        return ps_fail(PS_INVALID_ARGUMENT, "key %s%s: %g is not supported, only numbers from 0",
                       ps_arch_gguf_name(s->arch), key, *out);
    *out = ps_gguf_real_as_read(*out);
    return st;
}

/* A file that has a factor and no type means linear. */
static ps_status type_of(const source *s, ps_rope_type *out)
{
    static const struct {
        const char *name;
        ps_rope_type type;
    } types[] = {{"none", PS_ROPE_DEFAULT}, {"linear", PS_ROPE_LINEAR}, {"yarn", PS_ROPE_YARN}};
    const ps_gguf_key *key = find(s, TYPE);
    ps_slice text = ps_slice_str("linear");
    ps_status st = key ? ps_gguf_get_text(key, &text) : PS_OK;
    if (st)
        return st;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (text.len == strlen(types[i].name) && !memcmp(text.data, types[i].name, text.len)) {
            *out = types[i].type;
            return PS_OK;
        }
    char word[64];
    (void)snprintf(word, sizeof word, "%.*s", text.len < 63 ? (int)text.len : 63,
                   (const char *)text.data);
    return ps_fail(PS_INVALID_ARGUMENT,
                   "key %s" TYPE ": %s is not supported, only none linear yarn",
                   ps_arch_gguf_name(s->arch), ps_conf_quote(word).text);
}

/* llama.cpp's is how many times the factor of the paper. */
static double more_than_usual(double attention, double factor)
{
    return attention / (1 + 0.1 * log(factor));
}

/* As psd wrote it, unless it is another model's by now. */
static double attention_of(const source *s, double factor, double more)
{
    double own = 0;
    const ps_gguf_key *key = ps_gguf_find_key(s->file, KEY_ATTENTION);
    if (key && !ps_gguf_get_real(key, &own)) {
        own = ps_gguf_real_as_read(own);
        if ((float)more_than_usual(own, factor) == (float)more)
            return own;
    }
    return more * (1 + 0.1 * log(factor));
}

static ps_status read_yarn(const source *s, double factor, double attention, ps_buf *out)
{
    double fast = 32, slow = 1;
    uint64_t original = 0;
    const ps_gguf_key *key = find(s, ORIGINAL);
    ps_status st = key ? ps_gguf_get_uint(key, &original) : PS_OK;
    if (!st)
        st = real_of(s, BETA_FAST, &fast);
    if (!st)
        st = real_of(s, BETA_SLOW, &slow);
    if (st)
        return st;
    ps_buf_printf(out,
                  ", rope_original_context: %llu, rope_beta_fast: %.17g, rope_beta_slow: %.17g",
                  (unsigned long long)original, fast, slow);
    if (attention != 1)
        ps_buf_printf(out, ", rope_attention_factor: %.17g", attention_of(s, factor, attention));
    return PS_OK;
}

ps_status ps_gguf_rope_read(const ps_gguf *file, const ps_arch *arch, ps_buf *out)
{
    const source s = {file, arch};
    ps_rope_type type = PS_ROPE_DEFAULT;
    double factor = 0, older = 0, attention = 1;
    if (!scales(arch))
        return PS_OK;
    ps_status st = type_of(&s, &type);
    if (!st)
        st = real_of(&s, LINEAR, &older);
    if (!st)
        st = real_of(&s, FACTOR, &factor);
    if (!st)
        st = real_of(&s, ATTENTION, &attention);
    factor = find(&s, FACTOR) ? factor : older;
    bool nothing = factor == 0 || (factor == 1 && type == PS_ROPE_LINEAR);
    bool takes = type == PS_ROPE_YARN && !nothing; /* 0 would be as if it were not said */
    if (!st && attention != 1 && !(takes && attention > 0))
        st = ps_fail(PS_INVALID_ARGUMENT, "key %s" ATTENTION ": %g is not supported, only 1%s",
                     ps_arch_gguf_name(arch), attention, takes ? ", or what is more than 0" : "");
    if (st || nothing || type == PS_ROPE_DEFAULT)
        return st;
    ps_buf_printf(out, ", rope_type: %s, rope_factor: %.17g", ps_rope_type_names[type], factor);
    return type == PS_ROPE_YARN ? read_yarn(&s, factor, attention, out) : PS_OK;
}

static bool all_ones(const float *factors, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (factors[i] != 1)
            return false;
    return true;
}

/* In a model section. */
static bool can_be_said(const ps_rope_spec *r)
{
    return r->factor >= 1 && r->factor <= PS_SPEC_ROPE_FACTOR_MAX &&
           r->low_freq_factor >= PS_SPEC_ROPE_TURNS_MIN &&
           r->high_freq_factor <= PS_SPEC_ROPE_TURNS_MAX &&
           r->low_freq_factor < r->high_freq_factor;
}

/* What psd wrote beside the tensor; false: it did not, or it is another model's by now. */
static bool own_numbers(const ps_gguf *file, const ps_spec_model *m, const float *factors,
                        ps_rope_spec *rope)
{
    const ps_gguf_key *original = ps_gguf_find_key(file, KEY_ORIGINAL);
    const ps_gguf_key *low = ps_gguf_find_key(file, KEY_LOW);
    const ps_gguf_key *high = ps_gguf_find_key(file, KEY_HIGH);
    const ps_gguf_key *factor = ps_gguf_find_key(file, KEY_FACTOR);
    uint64_t tokens = 0;
    rope->type = PS_ROPE_LLAMA3;
    rope->factor = (double)factors[m->head_dim / 2 - 1]; /* but where no pair turns so slowly */
    if (!original || !low || !high || (factor && ps_gguf_get_real(factor, &rope->factor)) ||
        ps_gguf_get_uint(original, &tokens) || ps_gguf_get_real(low, &rope->low_freq_factor) ||
        ps_gguf_get_real(high, &rope->high_freq_factor) || tokens < 1 || tokens > 1 << 24)
        return false;
    rope->original_context = (int64_t)tokens;
    rope->factor = ps_gguf_real_as_read(rope->factor);
    rope->low_freq_factor = ps_gguf_real_as_read(rope->low_freq_factor);
    rope->high_freq_factor = ps_gguf_real_as_read(rope->high_freq_factor);
    return can_be_said(rope) && ps_rope_gives(rope, factors, m->head_dim);
}

ps_status ps_gguf_rope_take(const ps_gguf *file, const float *factors, ps_spec_model *m)
{
    ps_rope_spec rope = m->rope;
    if (all_ones(factors, m->head_dim / 2))
        return PS_OK;
    if (!ps_arch_find(m->architecture)->gguf_factors || m->rope.type != PS_ROPE_DEFAULT)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "tensor " PS_GGUF_ROPE_TENSOR ": not for a model whose RoPE is %s%s",
                       ps_rope_type_names[m->rope.type],
                       m->rope.type == PS_ROPE_DEFAULT ? ", of this architecture" : "");
    if (!own_numbers(file, m, factors, &rope)) {
        rope = m->rope;
        if (!ps_rope_of_factors(factors, m->head_dim, &rope))
            return ps_fail(PS_INVALID_ARGUMENT,
                           "tensor " PS_GGUF_ROPE_TENSOR
                           ": scaled RoPE is not supported, only factors of 1, or those of Llama "
                           "3; the last is %g",
                           (double)factors[m->head_dim / 2 - 1]);
    }
    if (rope.original_context == m->context_length)
        rope.original_context = 0;
    m->rope = rope;
    return PS_OK;
}

/* ---- writing ---- */

static int64_t original_of(const ps_spec_model *m)
{
    return m->rope.original_context ? m->rope.original_context : m->context_length;
}

/* llama.cpp reads the betas of some architectures alone. */
static void write_yarn(ps_gguf_keys *k, const ps_rope_spec *r, ps_buf *remarks)
{
    if (r->attention_factor > 0) {
        double own = ps_gguf_real_as_read(r->attention_factor);
        double factor = ps_gguf_real_as_read(r->factor);
        ps_gguf_key_float(k, ATTENTION, more_than_usual(own, factor));
        ps_gguf_key_float(k, KEY_ATTENTION, own);
    }
    if (r->beta_fast != 32)
        ps_gguf_key_float(k, BETA_FAST, r->beta_fast);
    if (r->beta_slow != 1)
        ps_gguf_key_float(k, BETA_SLOW, r->beta_slow);
    if (r->beta_fast != 32 || r->beta_slow != 1)
        ps_buf_printf(remarks,
                      "llama.cpp may take other numbers of YaRN, unless it is told: "
                      "--yarn-beta-fast %g --yarn-beta-slow %g\n",
                      r->beta_fast, r->beta_slow);
}

void ps_gguf_rope_write(ps_gguf_keys *k, const ps_spec_model *m, ps_buf *remarks)
{
    const ps_rope_spec *r = &m->rope;
    if (!scales(ps_arch_find(m->architecture)))
        return;
    if (r->type == PS_ROPE_LLAMA3) {
        ps_gguf_key_u32(k, KEY_ORIGINAL, original_of(m));
        ps_gguf_key_float(k, KEY_FACTOR, r->factor);
        ps_gguf_key_float(k, KEY_LOW, r->low_freq_factor);
        ps_gguf_key_float(k, KEY_HIGH, r->high_freq_factor);
    }
    if (r->type != PS_ROPE_LINEAR && r->type != PS_ROPE_YARN)
        return;
    ps_gguf_key_text(k, TYPE, ps_rope_type_names[r->type]);
    ps_gguf_key_float(k, FACTOR, r->factor);
    if (r->type == PS_ROPE_YARN) {
        ps_gguf_key_u32(k, ORIGINAL, original_of(m));
        write_yarn(k, r, remarks);
    }
}

size_t ps_gguf_rope_factors(const ps_spec_model *m, float **out)
{
    if (m->rope.type != PS_ROPE_LLAMA3)
        return 0;
    size_t n = (size_t)m->head_dim / 2;
    if (!out)
        return n;
    *out = ps_alloc_array(n, sizeof **out);
    ps_rope_factors(&m->rope, m->head_dim, m->context_length, *out);
    return n;
}
