/* Names by ggml's numbers. Cannot fail. */
#include "common/model/gguf_types.h"

#include "common/format/numbers.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* enum ggml_type; those between that are NULL are gone from ggml. */
static const char *const names[] = {
    "F32",    "F16",   "Q4_0",  "Q4_1",   NULL,    NULL,    "Q5_0",    "Q5_1",   "Q8_0",    "Q8_1",
    "Q2_K",   "Q3_K",  "Q4_K",  "Q5_K",   "Q6_K",  "Q8_K",  "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S",
    "IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS", "I8",    "I16",   "I32",     "I64",    "F64",     "IQ1_M",
    "BF16",   NULL,    NULL,    NULL,     "TQ1_0", "TQ2_0", NULL,      NULL,     NULL,      "MXFP4",
};

const char *ps_gguf_type_name(uint32_t type)
{
    return type < sizeof names / sizeof *names ? names[type] : NULL;
}

/* ---- F64, which is read, and never kept or written ---- */

static size_t eight(uint32_t numbers)
{
    (void)numbers;
    return sizeof(double);
}

static void decode_wide(const uint8_t *blocks, uint32_t group, size_t n, float *out)
{
    (void)group;
    ps_numbers_widen(PS_SAFETENSORS_F64, blocks, n, out);
}

static const ps_form_row wide = {.name = "float64",
                                 .group = 1,
                                 .bits = 64,
                                 .ggml = 28,
                                 .plain = true,
                                 .limit = INFINITY,
                                 .bytes = eight,
                                 .decode = decode_wide};

const ps_form_row *ps_gguf_form_row(uint32_t type)
{
    return type == (uint32_t)wide.ggml ? &wide : ps_form_of_ggml(type);
}

ps_gguf_types ps_gguf_types_known(void)
{
    ps_gguf_types out = {""};
    for (uint32_t type = 0; type < sizeof names / sizeof *names; type++) {
        size_t len = strlen(out.text);
        if (ps_gguf_form_row(type))
            (void)snprintf(out.text + len, sizeof out.text - len, "%s%s", len ? ", " : "",
                           names[type]);
    }
    return out;
}
