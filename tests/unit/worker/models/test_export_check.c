/* What leaves psd is read back before it has its name. The pass of the check says what the model
 * says, all formats pass it, and whatever is made to differ is refused and leaves nothing. */
#include "common/base/crc32c.h"
#include "common/base/disk.h"
#include "common/base/limits.h"
#include "common/base/mem.h"
#include "common/model/export_check.h"
#include "common/model/model_format.h"
#include "common/model/probe.h"
#include "tests/lib/check_main.h"
#include "tests/lib/device.h"
#include "worker/job/job_model.h"
#include "worker/models/model.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The last is an mlp that is made here. */
static const char *const kinds[] = {"gpt2", "llama", "qwen2", "mlp"};
enum { LANGUAGE = 3, ROOM = 1 << 20 };

#define MLP "{architecture: mlp, layers: [5, 7, 3], activation: gelu}"

typedef struct model {
    ps_buf file; /* psd's */
    char *config;
    uint64_t wrong; /* of the file's bytes, one that comes otherwise; 0: none */
    char folder[32];
    ps_export_original original;
} model;

static ps_status range(void *user, uint64_t begin, uint64_t end,
                       ps_status (*take)(void *to, ps_slice bytes), void *to)
{
    const model *m = user;
    uint8_t *bytes = ps_alloc((size_t)(end - begin) + 1);
    memcpy(bytes, m->file.data + begin, (size_t)(end - begin));
    if (m->wrong && m->wrong >= begin && m->wrong < end)
        bytes[m->wrong - begin] ^= 1;
    ps_status st = take(to, ps_slice_of(bytes, (size_t)(end - begin)));
    ps_free(&bytes);
    return st;
}

static void import(model *m, const char *kind)
{
    char *path = ps_asprintf("%s/tests/golden/gguf/%s.gguf", getenv("PSD_SOURCE_ROOT"), kind);
    ps_model_in *in = NULL;
    ps_safetensors *header = NULL;
    uint8_t piece[4096];
    size_t got = 0;
    ck_ok(ps_model_in_open(path, &(ps_model_in_options){.float32 = true}, &in));
    do {
        ck_ok(ps_model_in_read(in, piece, sizeof piece, &got));
        ps_buf_append(&m->file, piece, got);
    } while (got);
    ps_model_in_close(&in);
    ps_free(&path);
    ck_ok(ps_safetensors_parse(ps_buf_slice(&m->file), m->file.len, &header));
    m->config = ps_strdup(ps_safetensors_metadata(header, PS_MODEL_META_CONFIG));
    ps_safetensors_free(&header);
}

static ps_status append(void *state, const void *data, size_t len)
{
    ps_buf_append(state, data, len);
    return PS_OK;
}

static void make_mlp(model *m)
{
    const ps_safetensors_tensor tensors[] = {
        {.name = "layers.0.weight", .dtype = PS_SAFETENSORS_F32, .n_dims = 2, .shape = {7, 5}},
        {.name = "layers.0.bias", .dtype = PS_SAFETENSORS_F32, .n_dims = 1, .shape = {7}},
        {.name = "layers.1.weight", .dtype = PS_SAFETENSORS_F32, .n_dims = 2, .shape = {3, 7}},
        {.name = "layers.1.bias", .dtype = PS_SAFETENSORS_F32, .n_dims = 1, .shape = {3}}};
    ps_safetensors_writer *writer = NULL;
    float numbers[35 + 7 + 21 + 3];
    for (int i = 0; i < 35 + 7 + 21 + 3; i++)
        numbers[i] = sinf((float)(3 * i + 1));
    ck_ok(ps_safetensors_writer_new(tensors, 4, NULL, 0, (ps_safetensors_sink){append, &m->file},
                                    &writer));
    ck_ok(ps_safetensors_writer_data(writer, numbers, sizeof numbers));
    ck_ok(ps_safetensors_writer_finish(&writer));
    m->config = ps_strdup(MLP);
}

static void open_model(model *m, int kind)
{
    *m = (model){.folder = "/tmp/psd-test.XXXXXX"};
    ck_assert_ptr_nonnull(mkdtemp(m->folder));
    if (kind < LANGUAGE)
        import(m, kinds[kind]);
    else
        make_mlp(m);
    m->original = (ps_export_original){.config = m->config, .range = range, .user = m};
}

static void close_model(model *m)
{
    ck_assert_int_eq(rmdir(m->folder), 0);
    ps_buf_free(&m->file);
    ps_free(&m->config);
}

static int entries(const model *m)
{
    int n = -2; /* . and .. */
    DIR *folder = opendir(m->folder);
    while (readdir(folder))
        n++;
    (void)closedir(folder);
    return n;
}

static void remove_all(const char *folder)
{
    DIR *all = opendir(folder);
    for (struct dirent *e; (e = readdir(all));) {
        char *path = ps_asprintf("%s/%s", folder, e->d_name);
        if (e->d_name[0] != '.' && unlink(path) != 0) {
            remove_all(path);
            ck_assert_int_eq(rmdir(path), 0);
        }
        ps_free(&path);
    }
    (void)closedir(all);
}

/* ---- the pass ---- */

static ps_model *load(ps_test_device *device, const model *m, const ps_spec_model *spec)
{
    const ps_model_config config = ps_job_model_config(spec);
    bool language = ps_spec_model_is_language(spec);
    ps_safetensors *header = NULL;
    ps_model *out = NULL;
    ck_ok(ps_safetensors_parse(ps_buf_slice(&m->file), m->file.len, &header));
    ck_ok(ps_model_create(
        device->backend, &config,
        &(ps_model_options){.max_batch = PS_PROBE_TOKENS, .inference = true, .decode = language},
        &out));
    const ps_model_layout *layout = ps_model_parameters(out);
    for (size_t i = 0; i < layout->count; i++) {
        const ps_safetensors_tensor *t = ps_safetensors_find(header, layout->parameters[i].name);
        ps_copy_to_device(ps_model_stream(out), ps_model_parameter(out, i),
                          m->file.data + header->data_start + t->begin,
                          (size_t)(t->end - t->begin));
    }
    ck_ok(ps_stream_sync(ps_model_stream(out)));
    ps_model_refresh(out);
    ps_safetensors_free(&header);
    return out;
}

START_TEST(the_pass_says_what_the_model_says)
{
    model m;
    ps_test_device device;
    ps_spec_model *spec = NULL;
    double *answers = NULL, off = 0, largest = 0;
    size_t n = 0;
    ps_test_device_open(&device, "cpu");
    open_model(&m, _i);
    ck_ok(ps_export_answers(&m.original, &answers, &n));
    ck_ok(ps_spec_model_parse(ps_slice_str(m.config), "it", &spec));
    ps_model *whole = load(&device, &m, spec);
    size_t vocab = (size_t)ps_model_outputs(whole);
    ck_assert_uint_eq(n, vocab * PS_PROBE_TOKENS);
    float *logits = ps_alloc_array(vocab, sizeof *logits);
    for (size_t t = 0; t < PS_PROBE_TOKENS; t++) {
        int32_t token = (int32_t)ps_probe_token(t, vocab);
        ck_ok(ps_model_extend(whole, &token, 1, (int64_t)t, logits));
        for (size_t i = 0; i < vocab; i++) {
            off = fmax(off, fabs((double)logits[i] - answers[i * PS_PROBE_TOKENS + t]));
            largest = fmax(largest, fabs((double)logits[i]));
        }
    }
    ck_assert_msg(off <= 1e-5 * largest, "%s: off by %g of %g", kinds[_i], off, largest);
    ps_free(&logits);
    ps_free(&answers);
    ps_model_free(&whole);
    ps_spec_model_free(&spec);
    close_model(&m);
    ps_test_device_close(&device);
}
END_TEST

START_TEST(the_pass_of_layers)
{
    model m;
    double *answers = NULL;
    size_t n = 0;
    open_model(&m, LANGUAGE);
    ck_ok(ps_export_answers(&m.original, &answers, &n));
    ck_assert_uint_eq(n, 3 * PS_PROBE_TOKENS);
    for (int t = 0; t < PS_PROBE_TOKENS; t++) {
        double x[7], y[7] = {0};
        for (int i = 0; i < 5; i++)
            x[i] = sin((double)i * (t + 1) + t);
        for (int o = 0; o < 7; o++) {
            for (int i = 0; i < 5; i++)
                y[o] += (double)sinf((float)(3 * (o * 5 + i) + 1)) * x[i];
            y[o] += (double)sinf((float)(3 * (35 + o) + 1));
            y[o] = y[o] * 0.5 * (1 + erf(y[o] / sqrt(2)));
        }
        for (int o = 0; o < 3; o++) {
            double sum = (double)sinf((float)(3 * (63 + o) + 1));
            for (int i = 0; i < 7; i++)
                sum += (double)sinf((float)(3 * (42 + o * 7 + i) + 1)) * y[i];
            ck_assert_double_eq_tol(sum, answers[o * PS_PROBE_TOKENS + t], 1e-12);
        }
    }
    ps_free(&answers);
    close_model(&m);
}
END_TEST

/* ---- the check ---- */

static const struct {
    const char *format, *dtype;
    bool keep;
} ways[] = {{"gguf", "f32"},    {"gguf", "f16"}, {"gguf", "q8_0"}, {"gguf", "q4_k_m"},
            {"gguf", "iq4_nl"}, {"hf", "f32"},   {"hf", "bf16"},   {"hf", "f16"}};
enum { WAYS = sizeof ways / sizeof *ways };

/* The whole way out; path gets what it is called. */
static ps_status leave(const model *m, const char *format, const char *dtype, char path[64])
{
    uint64_t bytes = 0;
    (void)snprintf(path, 64, "%s/out", m->folder);
    ps_model_export *export =
        ps_model_export_new(ps_model_format_find(format), m->config,
                            &(ps_model_out_options){.path = path, .dtype = dtype, .force = true});
    ck_ok(ps_model_export_feed(export, ps_buf_slice(&m->file)));
    ps_status st = ps_export_seal(export, &m->original);
    ck_assert(ps_model_export_unnamed(export) != NULL);
    if (!st)
        st = ps_model_export_finish(export, &bytes);
    ps_model_export_free(&export);
    return st;
}

START_TEST(every_format_passes)
{
    model m;
    char path[64];
    open_model(&m, _i % LANGUAGE);
    const char *format = ways[_i / LANGUAGE].format, *dtype = ways[_i / LANGUAGE].dtype;
    ck_assert_msg(leave(&m, format, dtype, path) == PS_OK, "%s %s: %s", format, dtype,
                  ps_error_message());
    ck_assert_int_eq(entries(&m), 1);
    ck_ok(leave(&m, format, dtype, path)); /* and in the place of what is there */
    ck_assert_int_eq(entries(&m), 1);
    remove_all(m.folder);
    close_model(&m);
}
END_TEST

static void refused(const char *words)
{
    ck_assert_msg(strstr(ps_error_message(), "was read back, and is not kept"), "%s",
                  ps_error_message());
    ck_assert_msg(strstr(ps_error_message(), words), "%s", ps_error_message());
}

/* A bit of psd's file that comes otherwise the second time is one of the written file's that is
 * wrong. */
START_TEST(a_number_that_is_wrong_is_named_and_nothing_kept)
{
    model m;
    char path[64], before[] = "what was there";
    open_model(&m, _i % LANGUAGE);
    m.wrong = m.file.len - 2; /* the last number's exponent */
    const char *format = _i / LANGUAGE ? "hf" : "gguf";
    ck_assert_int_eq(leave(&m, format, "f32", path), PS_DATA_LOSS);
    refused("does not say what psd has");
    ck_assert_int_eq(entries(&m), 0);
    if (!strcmp(format, "gguf")) { /* a file that was there stays */
        ps_buf kept = PS_BUF_EMPTY;
        ck_ok(ps_new_file_save(path, ps_slice_str(before), &(ps_new_file_options){0}));
        ck_assert_int_eq(leave(&m, format, "f32", path), PS_DATA_LOSS);
        ck_ok(ps_disk_read_file(&ps_disk_system, path, ROOM, &kept));
        ck_assert_str_eq(ps_buf_cstr(&kept), before);
        ps_buf_free(&kept);
        remove_all(m.folder);
    }
    close_model(&m);
}
END_TEST

/* The model section with another value of a key, "norm_epsilon: "; the caller's. */
static char *section_with(const model *m, const char *key, const char *value)
{
    const char *at = strstr(m->config, key);
    ck_assert_msg(at != NULL, "%s", m->config);
    return ps_asprintf("%.*s%s%s%s", (int)(at - m->config), m->config, key, value,
                       at + strcspn(at, ",}"));
}

static void set_key(model *m, const char *key, const char *value)
{
    char *other = section_with(m, key, value);
    ps_free(&m->config);
    m->config = other;
    m->original.config = other;
}

/* GGUF has float32, and what reads it takes the shortest decimal of one: 1e-05, and 10000.1. */
START_TEST(reals_that_no_float32_is_pass)
{
    model m;
    char path[64];
    open_model(&m, _i % LANGUAGE);
    set_key(&m, "norm_epsilon: ", "9.999999747378752e-06");
    if (strcmp(kinds[_i % LANGUAGE], "gpt2") != 0)
        set_key(&m, "rope_theta: ", "10000.1000001");
    const char *format = _i / LANGUAGE ? "hf" : "gguf";
    ck_assert_msg(leave(&m, format, "f32", path) == PS_OK, "%s", ps_error_message());
    remove_all(m.folder);
    close_model(&m);
}
END_TEST

START_TEST(other_sizes_are_another_model)
{
    model m;
    char path[64];
    open_model(&m, _i);
    char *other = section_with(&m, "norm_epsilon: ", "0.001");
    m.original.config = other;
    ck_assert_int_eq(leave(&m, "hf", "f32", path), PS_DATA_LOSS);
    refused("a forward pass says something else");
    ck_assert_int_eq(entries(&m), 0);
    ps_free(&other);
    close_model(&m);
}
END_TEST

/* A model that diverged holds what is no number, and goes out as it is. */
START_TEST(no_numbers_pass)
{
    model m;
    char path[64];
    const uint32_t none[] = {0x7fc00000, 0x7f800000, 0xff800000};
    open_model(&m, _i % LANGUAGE);
    memcpy(m.file.data + m.file.len - sizeof none, none, sizeof none);
    const char *format = _i / LANGUAGE ? "hf" : "gguf";
    ck_assert_msg(leave(&m, format, "f32", path) == PS_OK, "%s", ps_error_message());
    remove_all(m.folder);
    close_model(&m);
}
END_TEST

/* Any bytes are psd's own file; those on disk must be those that came. */
START_TEST(psds_own_file_is_read_back_too)
{
    static const ps_status want[] = {PS_OK, PS_DATA_LOSS, PS_DATA_LOSS, PS_DATA_LOSS};
    char folder[] = "/tmp/psd-test.XXXXXX", bytes[20000] = {0};
    ck_assert_ptr_nonnull(mkdtemp(folder));
    char *path = ps_asprintf("%s/out", folder);
    ps_new_file *file = NULL;
    uint32_t nan = 0x7fc00000;
    memcpy(bytes, &nan, sizeof nan);
    ck_ok(ps_new_file_open(path, &(ps_new_file_options){0}, &file));
    ck_ok(ps_new_file_write(file, bytes, sizeof bytes));
    FILE *disk = fopen(ps_new_file_temporary(file), "r+b");
    ck_assert_ptr_nonnull(disk);
    if (_i == 1) { /* a bit is another */
        ck_assert_int_eq(fseek(disk, sizeof bytes - 1, SEEK_SET), 0);
        ck_assert_int_eq(fputc(1, disk), 1);
    } else if (_i > 1) { /* shorter, and longer by a zero */
        ck_assert_int_eq(ftruncate(fileno(disk), sizeof bytes + (_i == 2 ? -1 : 1)), 0);
    }
    ck_assert_int_eq(fclose(disk), 0);
    ck_assert_int_eq(ps_export_finish_file(&file, NULL, ps_crc32c(0, bytes, sizeof bytes)),
                     want[_i]);
    ck_assert_ptr_null(file);
    ck_assert_int_eq(unlink(path), _i ? -1 : 0);
    ck_assert_int_eq(rmdir(folder), 0);
    ps_free(&path);
}
END_TEST

/* gpt2's matrices are turned, so that their blocks need all of one. */
START_TEST(a_matrix_that_needs_more_than_is_free_is_refused)
{
    model m;
    char path[64], machine[] = "/tmp/psd-test.XXXXXX";
    open_model(&m, 0);
    ck_assert_ptr_nonnull(mkdtemp(machine));
    char *proc = ps_asprintf("%s/proc", machine), *meminfo = ps_asprintf("%s/meminfo", proc);
    ck_assert_int_eq(mkdir(proc, 0700), 0);
    ck_ok(ps_new_file_save(meminfo, ps_slice_str("MemTotal: 64 kB\nMemAvailable: 1 kB\n"),
                           &(ps_new_file_options){0}));
    ps_limits_set_root(machine);
    ck_assert_int_eq(leave(&m, "gguf", "q8_0", path), PS_NO_MEMORY);
    refused("no memory to check it");
    ps_limits_set_root("");
    ck_assert_int_eq(entries(&m), 0);
    remove_all(machine);
    ck_assert_int_eq(rmdir(machine), 0);
    ps_free(&meminfo);
    ps_free(&proc);
    close_model(&m);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &the_pass_says_what_the_model_says, .repeat = LANGUAGE},
    {.test = &the_pass_of_layers},
    {.test = &every_format_passes, .repeat = WAYS * LANGUAGE},
    {.test = &a_number_that_is_wrong_is_named_and_nothing_kept, .repeat = 2 * LANGUAGE},
    {.test = &reals_that_no_float32_is_pass, .repeat = 2 * LANGUAGE},
    {.test = &other_sizes_are_another_model, .repeat = LANGUAGE},
    {.test = &a_matrix_that_needs_more_than_is_free_is_refused},
    {.test = &no_numbers_pass, .repeat = 2 * LANGUAGE},
    {.test = &psds_own_file_is_read_back_too, .repeat = 4},
    {0},
};

int main(void)
{
    return ps_check_main("models/export_check", tests);
}
