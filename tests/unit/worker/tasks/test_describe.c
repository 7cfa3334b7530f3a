/* describe: numbers of a file that a Models service sends, over the real transport, compared with
 * two plain passes over the same numbers in long double. */
#include "common/json/json.h"
#include "tests/lib/check_main.h"
#include "tests/unit/worker/task_rig.h"

enum { MANY = 3000, FEW = 5, ODD = 8 };

static const char header[] =
    "{\"far\":{\"dtype\":\"F32\",\"shape\":[3,1000],\"data_offsets\":[0,12000]},"
    "\"none\":{\"dtype\":\"F32\",\"shape\":[0,7],\"data_offsets\":[12000,12000]},"
    "\"odd\":{\"dtype\":\"F32\",\"shape\":[8],\"data_offsets\":[12000,12032]},"
    "\"bad\":{\"dtype\":\"F32\",\"shape\":[5],\"data_offsets\":[12032,12052]}}";

static float all[MANY + ODD + FEW];

/* Numbers far from 0 and close to each other, of which a sum of squares would lose the variance;
 * then some zeros and what is no number; then nothing that is finite. */
static void make_numbers(void)
{
    static const float odd[ODD] = {0, -0.0f, 0x1p-149f, -3, INFINITY, NAN, 3e38f, -INFINITY};
    uint32_t state = 1;
    for (size_t i = 0; i < MANY; i++) {
        state = state * 1664525u + 1013904223u;
        all[i] = 1000 + (float)(state >> 8) * 0x1p-24f;
    }
    memcpy(all + MANY, odd, sizeof odd);
    for (size_t i = 0; i < FEW; i++)
        all[MANY + ODD + i] = i % 2 ? NAN : -INFINITY;
}

static uint8_t *serve(const char *of, size_t piece)
{
    size_t len;
    make_numbers();
    uint8_t *file = ps_test_safetensors(of, ps_slice_of(all, sizeof all), &len);
    pthread_mutex_lock(&t.models.lock);
    t.models.file = ps_slice_of(file, len);
    t.models.piece = piece;
    pthread_mutex_unlock(&t.models.lock);
    return file;
}

static Psd__V1__Task *describe(uint64_t lease)
{
    Psd__V1__Task *task = task_new(lease, "describe",
                                   ps_strdup("kind: describe\nname: look\nmodel_name: line\n"), "");
    task->model_version = ps_strdup("line.1");
    return task;
}

/* The number of that key behind the first `from` in the text; NAN: it is null. */
static double number(const char *text, const char *from, const char *key)
{
    char word[64];
    const char *at = strstr(text, from);
    ck_assert_msg(at != NULL, "no %s in %s", from, text);
    (void)snprintf(word, sizeof word, "\"%s\":", key);
    at = strstr(at, word);
    ck_assert_msg(at != NULL, "%s: no %s in %s", from, key, text);
    at += strlen(word);
    return strncmp(at, "null", 4) ? strtod(at, NULL) : NAN;
}

static void same(const char *text, const char *from, const char *key, double want)
{
    double got = number(text, from, key), scale = fabs(want) > 1e-30 ? fabs(want) : 1;
    bool ok = isnan(want) ? isnan(got) : fabs(got - want) <= 1e-12 * scale;
    ck_assert_msg(ok, "%s: %s is %.17g, wanted %.17g", from, key, got, want);
}

static void compare(const char *text, const char *from, const float *v, size_t n)
{
    long double sum = 0, squares = 0, norm = 0;
    double least = INFINITY, most = -INFINITY;
    size_t finite = 0, zeros = 0, nans = 0, infinite = 0;
    for (size_t i = 0; i < n; i++) {
        nans += v[i] != v[i];
        infinite += v[i] == INFINITY || v[i] == -INFINITY;
        zeros += v[i] == 0;
        if (!isfinite(v[i]))
            continue;
        finite++;
        sum += v[i];
        norm += (long double)v[i] * v[i];
        least = (double)v[i] < least ? (double)v[i] : least;
        most = (double)v[i] > most ? (double)v[i] : most;
    }
    long double mean = sum / finite;
    for (size_t i = 0; i < n; i++)
        squares += isfinite(v[i]) ? (v[i] - mean) * (v[i] - mean) : 0;
    same(text, from, "elements", (double)n);
    same(text, from, "zeros", (double)zeros);
    same(text, from, "nan", (double)nans);
    same(text, from, "inf", (double)infinite);
    same(text, from, "mean", finite ? (double)mean : NAN);
    same(text, from, "std", finite ? (double)sqrtl(squares / finite) : NAN);
    same(text, from, "min", finite ? least : NAN);
    same(text, from, "max", finite ? most : NAN);
    same(text, from, "l2_norm", finite ? (double)sqrtl(norm) : NAN);
}

static void is_json(const char *text)
{
    ps_json_reader in;
    ps_json_reader_init(&in, ps_slice_str(text));
    ps_status st = ps_json_skip(&in);
    ps_json_token token;
    ck_ok(st ? st : ps_json_expect(&in, PS_JSON_END, &token));
    ps_json_reader_free(&in);
}

/* The stream is cut between the bytes of a number, between tensors, and not at all; it breaks. */
START_TEST(the_numbers_of_each_tensor_are_those_of_plain_arithmetic)
{
    static const size_t pieces[] = {7, 4096, 1 << 20};
    begin();
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        uint8_t *file = serve(header, pieces[i]);
        if (i == 1)
            fault_next(&t.models.break_exports, 1);
        const Psd__V1__TaskResult *r = run(describe(i + 1));
        is_done(r);
        ck_assert_str_eq(t.models.artifact_name, "describe.json");
        ck_assert_uint_eq(r->n_artifacts, 1);
        ck_assert_str_eq(r->artifacts[0], "describe.json");
        const char *text = ps_buf_cstr(&t.models.artifact);
        is_json(text);
        is_json(r->report);
        ck_assert_ptr_nonnull(strstr(text, "{\"model\":\"line\",\"version\":\"line.1\",\"tensors\":"
                                           "[{\"name\":\"far\",\"shape\":[3,1000],\"dtype\":"
                                           "\"F32\",\"form\":\"float32\",\"bits\":32,"
                                           "\"elements\":3000,"));
        compare(text, "\"far\"", all, MANY);
        compare(text, "\"none\"", all, 0);
        compare(text, "\"odd\"", all + MANY, ODD);
        compare(text, "\"bad\"", all + MANY + ODD, FEW);
        compare(text, "\"total\"", all, MANY + ODD + FEW);
        compare(r->report, "{\"tensors\":4,", all, MANY + ODD + FEW);
        free(file);
    }
    end();
}
END_TEST

START_TEST(what_is_not_float32_is_named)
{
    begin();
    uint8_t *file =
        serve("{\"half\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[0,4]}}", 64);
    failed(run(describe(1)), 15, false,
           "model line: tensor half is BF16; psd holds F32, and its own forms");
    ck_assert_uint_eq(fake_models_count(&t.models, &t.models.puts), 0);
    free(file);
    end();
}
END_TEST

/* Two rows of int8/row, stored transposed: a scale and two codes, 128 added to them. */
START_TEST(a_tensor_in_a_form_is_described_by_what_it_is_decoded_to)
{
    static const uint8_t bytes[] = {0x00, 0x38, 129, 126, 0x00, 0x3c, 131, 128};
    static const float decoded[] = {0.5F, 3, -1, 0};
    size_t len;
    begin();
    uint8_t *file = ps_test_safetensors(
        "{\"__metadata__\":{\"psd.forms\":\"{\\\"w\\\":{\\\"form\\\":\\\"int8/row\\\","
        "\\\"shape\\\":[2,2],\\\"transposed\\\":true}}\"},"
        "\"w\":{\"dtype\":\"U8\",\"shape\":[2,4],\"data_offsets\":[0,8]}}",
        ps_slice_of(bytes, sizeof bytes), &len);
    pthread_mutex_lock(&t.models.lock);
    t.models.file = ps_slice_of(file, len);
    t.models.piece = 3;
    pthread_mutex_unlock(&t.models.lock);
    is_done(run(describe(1)));
    const char *text = ps_buf_cstr(&t.models.artifact);
    ck_assert_ptr_nonnull(strstr(text, "{\"name\":\"w\",\"shape\":[2,2],\"dtype\":\"U8\","
                                       "\"form\":\"int8/row\",\"bits\":16,\"elements\":4,"));
    compare(text, "\"w\"", decoded, 4);
    compare(text, "\"total\"", decoded, 4);
    free(file);
    end();
}
END_TEST

static const ps_check_case cases[] = {
    {.test = &the_numbers_of_each_tensor_are_those_of_plain_arithmetic},
    {.test = &what_is_not_float32_is_named},
    {.test = &a_tensor_in_a_form_is_described_by_what_it_is_decoded_to},
    {0},
};

int main(void)
{
    return ps_check_main("worker/tasks/describe", cases);
}
