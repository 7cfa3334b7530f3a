/* calibration_load: the sums of a file come to the slots of a plan, of a triangle the diagonal
 * where squares are enough; what no calibration makes is refused before anything is solved by it.
 */
#include "server/files/calibration_file.h"

#include "common/base/mem.h"
#include "common/compress/calibration.h"
#include "common/compress/store_plan.h"
#include "server/catalog/jobs.h"
#include "server/files/artifact_file.h"
#include "server/runs/plan_store.h"
#include "server/sched/kinds/kind_compress.h"
#include "tests/lib/check_main.h"
#include "tests/lib/params.h"
#include "tests/lib/stored.h"

#include <math.h>
#include <string.h>

enum { COLUMNS = 3, TRIANGLE = 6 };

#define INPUT(tensor, columns) \
    "{\"columns\":" columns ",\"squares\":false,\"tensors\":[\"" tensor "\"]}"
#define ABOUT(first, columns)                                                   \
    "{\"model\":\"m\",\"config\":\"{}\",\"tokens_a_row\":1,\"inputs\":[" INPUT( \
        "b", "3") "," INPUT(first, columns) "]}"

typedef struct content {
    const char *about;
    float tokens[2], sums[2][TRIANGLE]; /* sums: of "b", then of "a" */
    bool sum_held;                      /* rows are held out: they have the sums of "b" */
} content;

static const content good = {.about = ABOUT("a", "3"),
                             .tokens = {20, 4},
                             .sums = {{7, 0, 1, 80, 2, 900}, {1, -2, 3, 40, -5, 600}}};

static ps_status to_buf(void *state, const void *data, size_t len)
{
    ps_buf_append(state, data, len);
    return PS_OK;
}

static ps_buf file_of(const content *c)
{
    const char *const names[] = {"held.0", "sum.0", "sum.1", "tokens"};
    const float *const numbers[] = {c->sums[0], c->sums[0], c->sums[1], c->tokens};
    ps_safetensors_tensor tensors[4];
    size_t first = c->sum_held ? 0 : 1, n = 4 - first;
    for (size_t i = 0; i < n; i++)
        tensors[i] = (ps_safetensors_tensor){.name = names[first + i],
                                             .dtype = PS_SAFETENSORS_F32,
                                             .n_dims = 1,
                                             .shape = {i + 1 < n ? TRIANGLE : 2}};
    ps_buf out = PS_BUF_EMPTY;
    const ps_safetensors_pair pair = {PS_CALIBRATION_META, c->about};
    ps_safetensors_writer *w = NULL;
    ck_ok(ps_safetensors_writer_new(tensors, n, &pair, 1, (ps_safetensors_sink){to_buf, &out}, &w));
    for (size_t i = 0; i < n; i++)
        ck_ok(ps_safetensors_writer_data(w, numbers[first + ps_safetensors_writer_order(w, i)],
                                         tensors[ps_safetensors_writer_order(w, i)].shape[0] *
                                             sizeof(float)));
    ck_ok(ps_safetensors_writer_finish(&w));
    return out;
}

static ps_status fill(void *user, ps_safetensors_sink sink)
{
    ps_buf file = file_of(user);
    ps_status st = sink.write(sink.state, file.data, file.len);
    ps_buf_free(&file);
    return st;
}

static uint64_t put_job(const test_stored *t, content c)
{
    ps_job_record *r = ps_new(ps_job_record);
    uint64_t id;
    char **const texts[] = {&r->name, &r->kind, &r->reason, &r->submitter, &r->spec, &r->result};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        *texts[i] = ps_strdup("x");
    ck_ok(ps_catalog_job_add(t->catalog, r, &id));
    ps_job_record_free(&r);
    ck_ok(ps_artifact_file_make(&t->files, id, PS_CALIBRATION_FILE, fill, &c));
    return id;
}

/* Of a job that needs all of "a", and the squares of "b". */
static ps_status load(const content *c, ps_param_store **out)
{
    test_stored t;
    char a[] = "a", b[] = "b";
    ps_plan_input inputs[] = {{.name = a, .columns = COLUMNS, .numbers = TRIANGLE},
                              {.name = b, .columns = COLUMNS, .numbers = COLUMNS, .squares = true}};
    ps_plan_window window = {.end = 2, .numbers = TRIANGLE + COLUMNS};
    ps_plan plan = {.inputs = inputs, .n_inputs = 2, .windows = &window, .n_windows = 1};
    const ps_job_spec spec = {0};
    test_stored_open(&t);
    plan.from = put_job(&t, *c);
    ps_data_plan *data = ps_compress_store(&plan);
    ck_ok(ps_store_create(&spec, data, &(ps_param_host){0}, out));
    ps_data_plan_free(&data);
    ps_status st = ps_calibration_file_load(&t.files, &plan, *out);
    test_stored_close(&t);
    return st;
}

static void has(ps_param_store *store, const char *name, const float *numbers, size_t n)
{
    uint32_t id;
    ck_ok(ps_placement_find(ps_param_store_placement(store), name, &id));
    float *found = test_params_read(store, id);
    ck_assert_mem_eq(found, numbers, n * sizeof *numbers);
    free(found);
}

START_TEST(sums_come_to_the_slots_of_the_plan)
{
    static const float squares[] = {7, 80, 900}, none[TRIANGLE];
    ps_param_store *store = NULL;
    ck_ok(load(&good, &store));
    has(store, PS_TOKENS_NAME, good.tokens, 2);
    has(store, "psd.sum.0", good.sums[1], TRIANGLE);
    has(store, "psd.sum.1", squares, COLUMNS);
    has(store, "psd.held.1", none, COLUMNS);
    ps_param_store_unref(&store);
    content held = good;
    held.sum_held = true;
    ck_ok(load(&held, &store));
    has(store, "psd.held.0", none, TRIANGLE);
    has(store, "psd.held.1", squares, COLUMNS);
    ps_param_store_unref(&store);
}
END_TEST

static void refuses(content c, ps_status code, const char *text)
{
    ps_param_store *store = NULL;
    ck_assert_int_eq(load(&c, &store), code);
    ck_assert_msg(strstr(ps_error_message(),
                         "compress.calibrate.from: job 1, calibration.safetensors: ") != NULL &&
                      strstr(ps_error_message(), text) != NULL,
                  "%s", ps_error_message());
    ps_param_store_unref(&store);
}

#define BUT(...)            \
    __extension__({         \
        content but = good; \
        but.__VA_ARGS__;    \
        but;                \
    })

START_TEST(what_no_calibration_makes_is_refused)
{
    refuses(BUT(tokens[0] = 0), PS_CORRUPT, "sums of no tokens");
    refuses(BUT(tokens[0] = 0.5F), PS_CORRUPT, "sums of no tokens");
    refuses(BUT(tokens[0] = -3), PS_FAILED_PRECONDITION, "sums of -3 tokens");
    refuses(BUT(tokens[1] = NAN), PS_FAILED_PRECONDITION, "sums of nan tokens");
    refuses(BUT(sums[1][3] = -1), PS_CORRUPT,
            "the squares of the inputs of tensor a add up to -1 in column 1");
    refuses(BUT(sums[0][5] = NAN), PS_CORRUPT, "of tensor b add up to nan in column 2");
    refuses(BUT(sums[1][1] = INFINITY), PS_INVALID_ARGUMENT, "NaN or infinity");
    refuses(BUT(about = ABOUT("c", "3")), PS_FAILED_PRECONDITION,
            "it has not the sums that tensor a needs");
    refuses(BUT(about = ABOUT("a", "16777217")), PS_CORRUPT, "an input of 1.67772e+07 columns");
    refuses(BUT(about = "{}"), PS_CORRUPT, "of which model");
}
END_TEST

static const ps_check_case tests[] = {
    {&sums_come_to_the_slots_of_the_plan}, {&what_no_calibration_makes_is_refused}, {0}};

int main(void)
{
    return ps_check_main("files/calibration_load", tests);
}
