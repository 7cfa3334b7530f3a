/* golden: tensors that another implementation made, of a file below tests/golden. */
#ifndef PS_TEST_COMPRESS_GOLDEN_H
#define PS_TEST_COMPRESS_GOLDEN_H

#include "common/base/mem.h"
#include "common/format/safetensors.h"
#include "tests/unit/worker/compress/sample.h"

#include <stdio.h>

enum { PS_GOLDEN_MOST = 1 << 20 };

typedef struct ps_golden {
    uint8_t *bytes;
    ps_safetensors *file;
} ps_golden;

static inline ps_golden ps_golden_open(const char *name)
{
    char path[512];
    ps_golden g = {.bytes = ps_alloc_array(PS_GOLDEN_MOST, 1)};
    (void)snprintf(path, sizeof path, "%s/tests/golden/%s", getenv("PSD_SOURCE_ROOT"), name);
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s", path);
    size_t size = fread(g.bytes, 1, PS_GOLDEN_MOST, f);
    fclose(f);
    ck_ok(ps_safetensors_parse(ps_slice_of(g.bytes, size), size, &g.file));
    return g;
}

static inline void ps_golden_close(ps_golden *g)
{
    ps_safetensors_free(&g->file);
    ps_free(&g->bytes);
}

static inline const ps_safetensors_tensor *ps_golden_find(const ps_golden *g, const char *name)
{
    for (size_t i = 0; i < g->file->n_tensors; i++)
        if (strcmp(g->file->tensors[i].name, name) == 0)
            return &g->file->tensors[i];
    ck_abort_msg("the golden file has no %s", name);
    return NULL;
}

static inline const uint8_t *ps_golden_data(const ps_golden *g, const ps_safetensors_tensor *t)
{
    return g->bytes + g->file->data_start + t->begin;
}

/* Of "weights" F32 [rows, columns] and "inputs" I8 [tokens, columns]. */
static inline ps_sample ps_golden_sample(const ps_golden *g)
{
    const ps_safetensors_tensor *w = ps_golden_find(g, "weights"), *x = ps_golden_find(g, "inputs");
    ps_sample s = {.rows = w->shape[0], .columns = w->shape[1], .tokens = x->shape[0]};
    s.weights = ps_sample_room(s.rows * s.columns);
    s.inputs = ps_sample_room(s.tokens * s.columns);
    s.sums = ps_sample_room(s.columns * s.columns);
    memcpy(s.weights, ps_golden_data(g, w), s.rows * s.columns * sizeof(float));
    for (uint64_t i = 0; i < s.tokens * s.columns; i++)
        s.inputs[i] = (float)(int8_t)ps_golden_data(g, x)[i];
    ps_sample_sum(&s);
    return s;
}

#endif
