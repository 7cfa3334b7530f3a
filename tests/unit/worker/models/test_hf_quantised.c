/* Folders of codes, as psd wrote them and transformers read them: tests/golden/hf/quantised.py made
 * both. A folder is imported, and its logits are those that transformers computed; and exported
 * again it is the same, byte for byte, so that what psd writes today is what was loaded there. */
#include "common/base/mem.h"
#include "common/model/export_check.h"
#include "common/model/model_format.h"
#include "common/model/model_in.h"
#include "tests/lib/check_main.h"
#include "tests/lib/device.h"
#include "worker/models/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDING 2e-6 /* of the largest logit */

enum { ROWS = 2, LENGTH = 12, VOCABULARY = 61, ROOM = 1 << 20, PATH = 512 };

/* kernels: what those of the loader are off, of the largest logit; 0: its products are torch's. */
static const struct {
    const char *name, *format, *activations;
    double kernels;
} folders[] = {
    {"ct-int4-g32", "hf-ct", NULL, 0},        {"ct-fp8", "hf-ct", NULL, 0},
    {"ct-mxfp4", "hf-ct", NULL, 0},           {"ct-int8-a8", "hf-ct", "int8", 0.03},
    {"ct-mixed", "hf-ct", NULL, 0},           {"gptq-int4-g32", "hf-gptq", NULL, 2e-3},
    {"gptq-int8-row", "hf-gptq", NULL, 2e-3}, {"gptq-uint4-g32", "hf-gptq", NULL, 2e-3},
    {"awq-uint4-g32", "hf-awq", NULL, 2e-3},
};
enum { FOLDERS = sizeof folders / sizeof *folders };

static const char *golden(const char *name, const char *file, char out[PATH])
{
    (void)snprintf(out, PATH, "%s/tests/golden/hf/quantised/%s%s", getenv("PSD_SOURCE_ROOT"), name,
                   file);
    return out;
}

static ps_buf read_file(const char *path)
{
    ps_buf out = PS_BUF_EMPTY;
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s", path);
    char *bytes = ps_alloc(ROOM);
    ps_buf_append(&out, bytes, fread(bytes, 1, ROOM, f));
    (void)fclose(f);
    ps_free(&bytes);
    return out;
}

/* psd's file of a folder. */
static ps_buf import(const char *folder)
{
    ps_buf out = PS_BUF_EMPTY;
    ps_model_in *in = NULL;
    uint8_t piece[4096];
    size_t got = 0;
    ck_ok(ps_model_in_open(folder, &(ps_model_in_options){.float_activations = true}, &in));
    do {
        ck_ok(ps_model_in_read(in, piece, sizeof piece, &got));
        ps_buf_append(&out, piece, got);
    } while (got);
    ps_model_in_close(&in);
    return out;
}

static ps_safetensors *header_of(const ps_buf *file)
{
    ps_safetensors *header = NULL;
    ck_ok(ps_safetensors_parse(ps_buf_slice(file), file->len, &header));
    return header;
}

/* ---- logits ---- */

static ps_model *create(ps_test_device *device, const ps_form *forms, size_t n)
{
    ps_model_config config = {.architecture = "llama",
                              .language = {.vocab_size = VOCABULARY,
                                           .context_length = 16,
                                           .hidden_size = 64,
                                           .num_layers = 2,
                                           .num_heads = 4,
                                           .num_kv_heads = 2,
                                           .intermediate_size = 96,
                                           .rope = {.theta = 10000},
                                           .norm_epsilon = 1e-5}};
    ps_model *model = NULL;
    ck_ok(ps_model_create(
        device->backend, &config,
        &(ps_model_options){.max_batch = 1, .decode = true, .forms = forms, .exact = true},
        &model));
    ck_assert_uint_eq(ps_model_parameters(model)->count, n);
    return model;
}

/* The parameters in the order of a model of the same sizes. */
static ps_model *load(ps_test_device *device, const ps_buf *file)
{
    ps_safetensors *header = header_of(file);
    ps_model_form *stored = NULL;
    ck_ok(ps_model_forms_parse(header, &stored));
    size_t n = header->n_tensors;
    ps_form *forms = ps_alloc_array(n, sizeof *forms);
    ps_model *model = create(device, NULL, n);
    for (size_t i = 0; i < n; i++) {
        const char *name = ps_model_parameters(model)->parameters[i].name;
        const ps_model_form *t = ps_model_form_find(stored, n, name);
        ck_assert_msg(t != NULL, "%s", name);
        forms[i] = t->form;
    }
    ps_model_free(&model);
    model = create(device, forms, n);
    for (size_t i = 0; i < n; i++) {
        const ps_safetensors_tensor *t =
            ps_safetensors_find(header, ps_model_parameters(model)->parameters[i].name);
        ps_copy_to_device(ps_model_stream(model), ps_model_parameter(model, i),
                          file->data + header->data_start + t->begin, (size_t)(t->end - t->begin));
    }
    ck_ok(ps_stream_sync(ps_model_stream(model)));
    ps_model_refresh(model);
    ps_free(&forms);
    ps_free(&stored);
    ps_safetensors_free(&header);
    return model;
}

/* The largest difference of a logit; *largest: the largest one. */
static double difference(ps_model *model, const int32_t *tokens, const float *want, double *largest)
{
    float got[VOCABULARY];
    double most = 0;
    *largest = 0;
    for (int i = 0; i < ROWS * LENGTH; i++) {
        ck_ok(ps_model_extend(model, tokens + i, 1, i % LENGTH, got));
        for (int k = 0; k < VOCABULARY; k++) {
            double one = (double)want[i * VOCABULARY + k];
            most = fmax(most, fabs((double)got[k] - one));
            *largest = fmax(*largest, fabs(one));
        }
    }
    return most;
}

typedef struct answers {
    ps_buf bytes;
    ps_safetensors *header;
} answers;

static const void *find(const answers *a, const char *name)
{
    const ps_safetensors_tensor *t = ps_safetensors_find(a->header, name);
    return t ? a->bytes.data + a->header->data_start + t->begin : NULL;
}

/* What loads GPTQ and AWQ multiplies in float16, which is a thousandth, and W8A8 rounds what goes
 * into products, which psd was told to leave; the loader's own weights as torch's linear layers in
 * float32 say the same to rounding. */
static void compare(ps_model *model, const answers *said, int i)
{
    char exact[64];
    double largest, off, limit = folders[i].kernels > 0 ? folders[i].kernels : ROUNDING;
    (void)snprintf(exact, sizeof exact, "%s/float32", folders[i].name);
    const int32_t *tokens = find(said, "tokens");
    off = difference(model, tokens, find(said, exact), &largest);
    ck_assert_msg(off <= ROUNDING * largest, "%s: %g of %g", folders[i].name, off, largest);
    off = difference(model, tokens, find(said, folders[i].name), &largest);
    ck_assert_msg(off <= limit * largest, "%s: %g of %g", folders[i].name, off, largest);
}

START_TEST(logits_are_those_of_transformers)
{
    char path[PATH];
    ps_test_device device;
    ps_test_device_open(&device, "cpu");
    answers said = {.bytes = read_file(golden("logits.safetensors", "", path))};
    said.header = header_of(&said.bytes);
    ps_buf file = import(golden(folders[_i].name, "", path));
    ps_model *model = load(&device, &file);
    compare(model, &said, _i);
    ps_model_free(&model);
    ps_buf_free(&file);
    ps_safetensors_free(&said.header);
    ps_buf_free(&said.bytes);
    ps_test_device_close(&device);
}
END_TEST

/* ---- the way out ---- */

static ps_buf take(const char *folder, const char *file)
{
    char *path = ps_asprintf("%s%s", folder, file);
    ps_buf out = read_file(path);
    ck_assert_int_eq(unlink(path), 0);
    ps_free(&path);
    return out;
}

static void same_text(const char *wrote, const char *folder, const char *file)
{
    char path[PATH];
    ps_buf got = take(wrote, file);
    ps_buf want = read_file(golden(folder, file, path));
    ck_assert_str_eq(ps_buf_cstr(&got), ps_buf_cstr(&want));
    ps_buf_free(&got);
    ps_buf_free(&want);
}

/* In any order. */
static void same_tensors(const char *wrote, const char *folder)
{
    char path[PATH];
    ps_buf got = take(wrote, "/model.safetensors");
    ps_buf want = read_file(golden(folder, "/model.safetensors", path));
    ps_safetensors *a = header_of(&got), *b = header_of(&want);
    ck_assert_uint_eq(a->n_tensors, b->n_tensors);
    for (size_t i = 0; i < a->n_tensors; i++) {
        const ps_safetensors_tensor *t = &a->tensors[i], *u = ps_safetensors_find(b, t->name);
        ck_assert_msg(u && t->dtype == u->dtype && t->n_dims == u->n_dims &&
                          !memcmp(t->shape, u->shape, t->n_dims * sizeof *t->shape) &&
                          !memcmp(got.data + a->data_start + t->begin,
                                  want.data + b->data_start + u->begin,
                                  (size_t)(t->end - t->begin)),
                      "%s: %s is not as it was loaded there", folder, t->name);
    }
    ps_safetensors_free(&a);
    ps_safetensors_free(&b);
    ps_buf_free(&got);
    ps_buf_free(&want);
}

/* Of the file in memory. */
static ps_status read_range(void *user, uint64_t begin, uint64_t end,
                            ps_status (*take_bytes)(void *to, ps_slice bytes), void *to)
{
    const ps_buf *file = user;
    return take_bytes(to, ps_slice_of(file->data + begin, (size_t)(end - begin)));
}

START_TEST(what_is_written_is_what_was_loaded)
{
    char path[PATH], to[] = "/tmp/psd-test.XXXXXX", wrote[PATH];
    const char *name = folders[_i].name;
    uint64_t bytes = 0;
    ck_assert_ptr_nonnull(mkdtemp(to));
    (void)snprintf(wrote, sizeof wrote, "%s/model", to);
    ps_buf file = import(golden(name, "", path));
    ps_safetensors *header = header_of(&file);
    const ps_model_format *format = ps_model_format_find(folders[_i].format);
    ps_model_export *stream = ps_model_export_new(
        format, ps_safetensors_metadata(header, PS_MODEL_META_CONFIG),
        &(ps_model_out_options){
            .path = wrote, .dtype = "f16", .activations = folders[_i].activations});
    ck_ok(ps_model_export_feed(stream, ps_buf_slice(&file)));
    ck_ok(ps_export_seal(stream, &(ps_export_original){.config = ps_safetensors_metadata(
                                                           header, PS_MODEL_META_CONFIG),
                                                       .range = read_range,
                                                       .user = &file}));
    ck_ok(ps_model_export_finish(stream, &bytes));
    ps_model_export_free(&stream);
    same_text(wrote, name, "/config.json");
    if (!strcmp(folders[_i].format, "hf-gptq"))
        same_text(wrote, name, "/quantize_config.json");
    same_tensors(wrote, name);
    ck_assert_int_eq(rmdir(wrote), 0);
    ck_assert_int_eq(rmdir(to), 0);
    ps_safetensors_free(&header);
    ps_buf_free(&file);
}
END_TEST

/* A block's zero is a byte, whatever its codes' bits; an imported file may have any. */
START_TEST(a_zero_beyond_the_codes_is_refused)
{
    char path[PATH], to[] = "/tmp/psd-test.XXXXXX", wrote[PATH];
    const char *const ways[][2] = {{"gptq-uint4-g32", "hf-gptq"}, {"awq-uint4-g32", "hf-awq"}};
    ck_assert_ptr_nonnull(mkdtemp(to));
    (void)snprintf(wrote, sizeof wrote, "%s/model", to);
    ps_buf file = import(golden(ways[_i][0], "", path));
    ps_safetensors *header = header_of(&file);
    ps_model_form *stored = NULL;
    ck_ok(ps_model_forms_parse(header, &stored));
    size_t i = 0;
    while (!stored[i].form.row || !stored[i].form.row->zero)
        i++;
    uint8_t *block = file.data + header->data_start + header->tensors[i].begin;
    block[2] = 255;
    block[3] = 0;
    ps_model_export *stream = ps_model_export_new(
        ps_model_format_find(ways[_i][1]), ps_safetensors_metadata(header, PS_MODEL_META_CONFIG),
        &(ps_model_out_options){.path = wrote, .dtype = "f16"});
    ck_assert_int_eq(ps_model_export_feed(stream, ps_buf_slice(&file)), PS_FAILED_PRECONDITION);
    ck_assert_msg(strstr(ps_error_message(), stored[i].name) &&
                      strstr(ps_error_message(), "above the largest code of 4 bits"),
                  "%s", ps_error_message());
    ps_model_export_free(&stream);
    ck_assert_int_eq(rmdir(to), 0); /* nothing is left in it */
    ps_free(&stored);
    ps_safetensors_free(&header);
    ps_buf_free(&file);
}
END_TEST

/* Files of another tool's stay in a folder that is written over, and import would read them. */
START_TEST(what_says_something_else_of_the_codes_is_named)
{
    static const char *const others[] = {"quantize_config.json", "quant_config.json",
                                         "hf_quant_config.json"};
    static const char *const formats[] = {"hf-gptq", "hf"};
    char path[PATH], to[] = "/tmp/psd-test.XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(to));
    for (int i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", to, others[i]);
        ck_ok(ps_new_file_save(path, ps_slice_str("{}"), &(ps_new_file_options){0}));
    }
    ps_buf file = import(golden("gptq-uint4-g32", "", path));
    ps_safetensors *header = header_of(&file);
    ps_model_export *stream = ps_model_export_new(
        ps_model_format_find(formats[_i]), ps_safetensors_metadata(header, PS_MODEL_META_CONFIG),
        &(ps_model_out_options){.path = to, .dtype = "f16", .force = true});
    ck_ok(ps_model_export_feed(stream, ps_buf_slice(&file)));
    const char *remarks = ps_model_export_remarks(stream);
    for (int i = 0; i < 3; i++) {
        bool written = i == 0 && _i == 0; /* by the export itself */
        (void)snprintf(path, sizeof path, "%s/%s was there before", to, others[i]);
        ck_assert_msg(!strstr(remarks, path) == written, "%s: %s", others[i], remarks);
        (void)snprintf(path, sizeof path, "%s/%s", to, others[i]);
        ck_assert_int_eq(unlink(path), 0);
    }
    ps_model_export_free(&stream);
    ck_assert_int_eq(rmdir(to), 0);
    ps_safetensors_free(&header);
    ps_buf_free(&file);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &logits_are_those_of_transformers, .repeat = FOLDERS},
    {.test = &what_is_written_is_what_was_loaded, .repeat = FOLDERS},
    {.test = &a_zero_beyond_the_codes_is_refused, .repeat = 2},
    {.test = &what_says_something_else_of_the_codes_is_named, .repeat = 2},
    {0},
};

int main(void)
{
    return ps_check_main("models/hf_quantised", tests);
}
