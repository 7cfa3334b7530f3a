/* The kinds, and their rules: the first that says something of a tensor decides. Cannot fail. */
#include "common/form/mix.h"

#include "common/base/require.h"

#include <string.h>

/* When a rule holds; layers are counted from 0. */
typedef enum when {
    ALWAYS,
    MORE,      /* the first and the last eighth of the layers, and every third between */
    EIGHTH,    /* the first eighth, */
    SIXTEENTH, /* sixteenth, */
    TWO,       /* two, */
    FOUR,      /* four of the layers */
    GROUPED,   /* four or more heads share a key head */
    WEIGHTED,  /* the first eighth, with importance; and without */
    PLAIN,
} when;

/* Of a part; PS_PART_V is also the q, k and v that are one tensor. */
typedef struct rule {
    ps_arch_part part;
    when when;
    const char *form; /* NULL ends a list */
} rule;

enum { RULES = 5 };

struct ps_mix {
    const char *name;
    uint32_t file_type;
    const char *base;
    rule rules[RULES];
};

#define V    PS_PART_V
#define O    PS_PART_O
#define DOWN PS_PART_DOWN

#define Q3_K_M                                                                                    \
    "q3_k",                                                                                       \
    {                                                                                             \
        {V, TWO, "q5_k"}, {V, ALWAYS, "q4_k"}, {DOWN, SIXTEENTH, "q5_k"}, {DOWN, ALWAYS, "q4_k"}, \
        {                                                                                         \
            O, ALWAYS, "q4_k"                                                                     \
        }                                                                                         \
    }
#define Q4_K_M                 \
    "q4_k",                    \
    {                          \
        {V, MORE, "q6_k"},     \
        {                      \
            DOWN, MORE, "q6_k" \
        }                      \
    }
#define Q5_K_M                 \
    "q5_k",                    \
    {                          \
        {V, MORE, "q6_k"},     \
        {                      \
            DOWN, MORE, "q6_k" \
        }                      \
    }

static const ps_mix mixes[] = {
    {"f16", 1, "float16"},
    {"f32", 0, "float32"},
    {"bf16", 32, "bfloat16"},
    {"q8_0", 7, "q8_0"},
    {"q4_0", 2, "q4_0", {{DOWN, WEIGHTED, "q4_1"}}},
    {"q4_1", 3, "q4_1"},
    {"q5_0", 8, "q5_0", {{DOWN, WEIGHTED, "q5_1"}}},
    {"q5_1", 9, "q5_1"},
    {"q2_k",
     10,
     "q2_k",
     {{V, GROUPED, "q4_k"}, {V, ALWAYS, "q3_k"}, {DOWN, ALWAYS, "q3_k"}, {O, ALWAYS, "q3_k"}}},
    {"q3_k_s", 11, "q3_k"},
    {"q3_k_m", 12, Q3_K_M},
    {"q3_k_l", 13, "q3_k", {{V, ALWAYS, "q5_k"}, {DOWN, ALWAYS, "q5_k"}, {O, ALWAYS, "q5_k"}}},
    {"q4_k_s", 14, "q4_k", {{V, FOUR, "q5_k"}, {DOWN, EIGHTH, "q5_k"}}},
    {"q4_k_m", 15, Q4_K_M},
    {"q5_k_s", 16, "q5_k"},
    {"q5_k_m", 17, Q5_K_M},
    {"q6_k", 18, "q6_k"},
    {"iq4_nl", 25, "iq4_nl", {{V, GROUPED, "q5_k"}, {DOWN, PLAIN, "q5_k"}}},
    {"mxfp4", 38, "mxfp4"},
    {"q3_k", 12, Q3_K_M}, /* other words, as llama-quantize has them */
    {"q4_k", 15, Q4_K_M},
    {"q5_k", 17, Q5_K_M},
};
enum { MIXES = sizeof mixes / sizeof *mixes };

const char *const ps_mix_names[] = {"f16",    "f32",    "bf16",   "q8_0",   "q4_0",   "q4_1",
                                    "q5_0",   "q5_1",   "q2_k",   "q3_k_s", "q3_k_m", "q3_k_l",
                                    "q4_k_s", "q4_k_m", "q5_k_s", "q5_k_m", "q6_k",   "iq4_nl",
                                    "mxfp4",  "q3_k",   "q4_k",   "q5_k",   NULL};
_Static_assert(sizeof ps_mix_names / sizeof *ps_mix_names == MIXES + 1, "a name for each");

const ps_mix *ps_mix_find(const char *name)
{
    for (size_t i = 0; i < MIXES; i++)
        if (!strcmp(mixes[i].name, name))
            return &mixes[i];
    return NULL;
}

const char *ps_mix_name(const ps_mix *mix)
{
    return mix->name;
}

uint32_t ps_mix_file_type(const ps_mix *mix)
{
    return mix->file_type;
}

static ps_form form_of(const char *name)
{
    ps_form form;
    bool known = ps_form_parse(name, &form);
    PS_REQUIRE(known);
    return form;
}

ps_form ps_mix_base(const ps_mix *mix)
{
    return form_of(mix->base);
}

ps_form ps_mix_fallback(ps_form form, uint64_t columns)
{
    static const char *const instead[][2] = {
        {"q2_k", "q4_0"}, {"q3_k", "q4_0"}, {"q4_k", "q5_0"}, {"q5_k", "q5_1"}, {"q6_k", "q8_0"}};
    if (ps_form_divides(form, columns))
        return form;
    for (size_t i = 0; i < sizeof instead / sizeof *instead; i++)
        if (!strcmp(form.row->name, instead[i][0]))
            form = form_of(instead[i][1]);
    return ps_form_divides(form, columns) ? form : form_of("float16");
}

static bool holds(when which, const ps_mix_tensor *t)
{
    uint64_t eighth = t->layers / 8;
    switch (which) {
    case ALWAYS:
        return true;
    case MORE:
        return t->layer < eighth || t->layer >= 7 * t->layers / 8 || (t->layer - eighth) % 3 == 2;
    case EIGHTH:
        return t->layer < eighth;
    case SIXTEENTH:
        return t->layer < t->layers / 16;
    case TWO:
        return t->layer < 2;
    case FOUR:
        return t->layer < 4;
    case GROUPED:
        return t->kv_heads > 0 && t->heads / t->kv_heads >= 4;
    case WEIGHTED:
        return t->importance && t->layer < eighth;
    case PLAIN:
        return !t->importance && t->layer < eighth;
    }
    return false;
}

static bool is_a(const char *form, const char *const *names)
{
    while (*names && strcmp(*names, form) != 0)
        names++;
    return *names;
}

/* llama.cpp's own case of the large llamas, whose few values are shared by many heads. */
static const char *large(const char *form, const ps_mix_tensor *t)
{
    static const char *const low[] = {"q3_k", "q4_k", NULL};
    return t->layers == 80 && t->heads != t->kv_heads && is_a(form, low) ? "q5_k" : form;
}

static const char *by_rules(const ps_mix *mix, const ps_mix_tensor *t)
{
    const char *form = mix->base;
    ps_arch_part part = t->part == PS_PART_QKV ? V : t->part;
    for (size_t i = 0; i < RULES && mix->rules[i].form; i++)
        if (mix->rules[i].part == part && holds(mix->rules[i].when, t)) {
            form = mix->rules[i].form;
            break;
        }
    return part == V ? large(form, t) : form;
}

ps_form ps_mix_form(const ps_mix *mix, const ps_mix_tensor *t)
{
    static const char *const eight[] = {"q8_0", "mxfp4", NULL};
    ps_form base = ps_mix_base(mix);
    if (t->n_dims == 1 || t->part == PS_PART_POSITIONS || t->part == PS_PART_TYPES)
        return form_of("float32");
    if (base.row->plain)
        return base;
    if (!t->head)
        return ps_mix_fallback(form_of(by_rules(mix, t)), t->columns);
    bool wide = is_a(mix->base, eight) || !ps_form_divides(base, t->columns);
    return ps_mix_fallback(form_of(wide ? "q8_0" : "q6_k"), t->columns);
}
