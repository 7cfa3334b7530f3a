/* influence_fixture: a small model of layers and rows of two files, to train on and to ask about,
 * through all passes and shares of a method. */
#ifndef PS_TEST_INFLUENCE_FIXTURE_H
#define PS_TEST_INFLUENCE_FIXTURE_H

#include "tests/lib/data_file.h"
#include "tests/unit/worker/models/golden_fixture.h"

#include "common/conf/explain_rows.h"
#include "worker/explain/method.h"

#include <math.h>

typedef struct influence_fixture {
    ps_test_device device;
    ps_spec_model model_spec;
    ps_spec_explain spec;
    ps_explaining x;
    ps_dataset *train, *test;
    char *paths[2];
} influence_fixture;

static inline ps_status influence_go_on(void *user)
{
    return PS_OK;
}

/* x[rows, n] and numbers of one column behind them; classes 0: these are numbers. */
static inline ps_dataset *influence_data(char **path, const float *x, const float *y, size_t rows,
                                         size_t n, int64_t classes)
{
    static char format[] = "csv", delimiter[] = ",", none[] = "", last[] = "last";
    ps_dataset *out = NULL;
    ps_buf text = PS_BUF_EMPTY;
    for (size_t r = 0; r < rows; r++) {
        for (size_t k = 0; k < n; k++)
            ps_buf_printf(&text, "%.9g,", (double)x[r * n + k]);
        ps_buf_printf(&text, "%.9g\n", (double)y[r]);
    }
    *path = ps_test_file(ps_buf_slice(&text), false);
    ps_buf_free(&text);
    ps_spec_files files = {.features = *path, .labels = none, .tokens = none};
    const ps_spec_data data = {.format = format,
                               .csv = {.delimiter = delimiter,
                                       .targets = 1,
                                       .label_column = {.any = last, .name = none, .index = -1}},
                               .normalise = {.scale = 1, .std = 1}};
    ck_ok(ps_dataset_open(
        &(ps_dataset_options){.data = &data,
                              .files = &files,
                              .labels = classes ? PS_LABELS_CLASSES : PS_LABELS_REALS,
                              .classes = classes},
        &out));
    return out;
}

/* Parameters are zero. */
static inline void influence_open(influence_fixture *f, const int64_t *sizes, size_t n,
                                  bool classes)
{
    const ps_model_config config = {.architecture = "mlp",
                                    .layers = sizes,
                                    .layer_count = n,
                                    .loss = classes ? "cross_entropy" : "squared_error"};
    *f = (influence_fixture){
        .model_spec = {.layers = (int64_t *)(uintptr_t)sizes, /* only read */
                       .n_layers = n,
                       .loss = classes ? PS_SPEC_CROSS_ENTROPY : PS_SPEC_SQUARED_ERROR},
        .spec = {.rows = {.sample = 1000}}};
    ps_test_device_open(&f->device, ps_test_backend());
    ck_ok(ps_model_create(f->device.backend, &config,
                          &(ps_model_options){.max_batch = 8, .explain = true}, &f->x.model));
    f->x = (ps_explaining){.spec = &f->spec,
                           .model_spec = &f->model_spec,
                           .model = f->x.model,
                           .inputs = sizes[0],
                           .outputs = sizes[n - 1],
                           .batch = 3,
                           .check = influence_go_on};
}

static inline void influence_fill(influence_fixture *f, size_t parameter, const float *values)
{
    ps_tensor t = ps_model_parameter(f->x.model, parameter);
    ps_copy_to_device(ps_model_stream(f->x.model), t, values, ps_tensor_bytes(t));
    ck_ok(ps_stream_sync(ps_model_stream(f->x.model)));
    ps_model_refresh(f->x.model);
}

static inline void influence_close(influence_fixture *f)
{
    ps_dataset_close(&f->train);
    ps_dataset_close(&f->test);
    ps_test_file_drop(&f->paths[0]);
    ps_test_file_drop(&f->paths[1]);
    ps_model_free(&f->x.model);
    ps_test_device_close(&f->device);
}

static inline void influence_pass(influence_fixture *f, const ps_spec_explain_method *spec,
                                  ps_explain_part *out)
{
    const ps_explain_method *m = ps_explain_method_find(spec->method);
    *out = PS_EXPLAIN_PART_EMPTY;
    for (unsigned share = 0; share < PS_EXPLAIN_SHARES; share++) {
        ps_explain_part part = PS_EXPLAIN_PART_EMPTY;
        void *state = NULL;
        f->x.share = share;
        if (m->prepare)
            ck_ok(m->prepare(&f->x, spec, &state));
        ck_ok(m->run(&f->x, spec, state, NULL, &part));
        if (m->free)
            m->free(state);
        else
            free(state);
        ck_ok(ps_explain_merge(out, &part));
    }
    ck_ok(m->finish(&f->x, spec, out));
}

/* All passes. */
static inline void influence_run(influence_fixture *f, const ps_spec_explain_method *spec,
                                 ps_explain_part *out)
{
    ps_explain_part before = PS_EXPLAIN_PART_EMPTY;
    unsigned passes = ps_explain_row_find(spec->method)->passes;
    f->x.train = f->train;
    f->x.test = f->test;
    for (unsigned pass = 0; pass < passes; pass++) {
        f->x.pass = pass;
        f->x.before = pass ? &before : NULL;
        influence_pass(f, spec, out);
        ps_explain_part_free(&before);
        before = *out;
    }
}

static inline const float *influence_array(const ps_explain_part *part, const char *name)
{
    const ps_explain_array *a = ps_explain_get(part, name);
    ck_assert_msg(a != NULL, "no array %s", name);
    return a->floats;
}

/* An array is what the golden values say, apart by no more than that share of the largest. */
static inline void influence_is(const golden_file *golden, const ps_explain_part *part,
                                const char *array, const char *name, double tolerance)
{
    const ps_explain_array *got = ps_explain_get(part, array);
    const float *want = golden_get(golden, "", name);
    double largest = 0, off = 0;
    ck_assert(got != NULL);
    for (uint64_t i = 0; i < ps_explain_array_count(got); i++) {
        largest = fmax(largest, fabs((double)want[i]));
        off = fmax(off, fabs((double)got->floats[i] - (double)want[i]));
    }
    ck_assert_msg(off <= tolerance * largest, "%s: off by %g of %g", name, off, largest);
}

#endif
