/* Matrices that a GGUF file has in blocks, through psd and out again: they stay in these blocks,
 * say the numbers that the writer's package says, and leave as the bytes that came. */
#include "common/base/disk.h"
#include "common/base/mem.h"
#include "common/model/form_stream.h"
#include "common/model/gguf_parse.h"
#include "common/model/model_format.h"
#include "tests/lib/check_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const names[] = {"gpt2", "llama", "qwen2"};
enum { GOLDENS = sizeof names / sizeof *names };

static char *golden(const char *name, const char *ending)
{
    return ps_asprintf("%s/tests/golden/gguf/%s.%s", getenv("PSD_SOURCE_ROOT"), name, ending);
}

static ps_buf bytes_of(const char *path)
{
    ps_buf out = PS_BUF_EMPTY;
    ck_ok(ps_disk_read_file(&ps_disk_system, path, 1 << 20, &out));
    return out;
}

static ps_buf import(const char *path)
{
    ps_model_in *in = NULL;
    ps_buf out = PS_BUF_EMPTY;
    uint8_t piece[999];
    size_t got = 0;
    ck_ok(ps_model_in_open(path, &(ps_model_in_options){0}, &in));
    do {
        ck_ok(ps_model_in_read(in, piece, sizeof piece, &got));
        ps_buf_append(&out, piece, got);
    } while (got);
    ps_model_in_close(&in);
    return out;
}

/* ---- what they say ---- */

static ps_status collect(void *user, const ps_model_form *tensor, uint64_t first,
                         const float *values, size_t n)
{
    (void)tensor;
    (void)first;
    ps_buf_append(user, values, n * sizeof *values);
    return PS_OK;
}

/* The tensor's numbers, of the bytes of a file with that header. */
static ps_buf numbers_of(const ps_buf *file, const ps_safetensors *header, const ps_model_form *t,
                         size_t i)
{
    ps_buf out = PS_BUF_EMPTY;
    ps_form_stream *s = ps_form_stream_new((ps_form_sink){collect, &out});
    const ps_safetensors_tensor *at = &header->tensors[i];
    ck_ok(ps_form_stream_begin(s, t));
    ck_ok(ps_form_stream_feed(
        s, ps_slice_of(file->data + header->data_start + at->begin, at->end - at->begin)));
    ps_form_stream_free(&s);
    return out;
}

START_TEST(blocks_stay_and_say_what_their_writer_says)
{
    char *path = golden(names[_i], "gguf"), *said = golden(names[_i], "safetensors");
    ps_buf file = import(path), want_file = bytes_of(said);
    ps_safetensors *header = NULL, *want = NULL;
    ps_model_form *tensors = NULL;
    size_t blocks = 0;
    ck_ok(ps_safetensors_parse(ps_buf_slice(&file), file.len, &header));
    ck_ok(ps_safetensors_parse(ps_buf_slice(&want_file), want_file.len, &want));
    ck_ok(ps_model_forms_parse(header, &tensors));
    ck_assert_uint_eq(header->n_tensors, want->n_tensors);
    for (size_t i = 0; i < header->n_tensors; i++) {
        const ps_safetensors_tensor *w = ps_safetensors_find(want, tensors[i].name);
        ck_assert_msg(w != NULL, "%s", tensors[i].name);
        ck_assert_uint_eq(tensors[i].n_dims, w->n_dims);
        ck_assert_mem_eq(tensors[i].shape, w->shape, w->n_dims * sizeof *w->shape);
        ps_buf got = numbers_of(&file, header, &tensors[i], i);
        ck_assert_uint_eq(got.len, w->end - w->begin);
        ck_assert_msg(!memcmp(got.data, want_file.data + want->data_start + w->begin, got.len),
                      "%s", w->name);
        ps_buf_free(&got);
        blocks += tensors[i].form.row != NULL;
    }
    ck_assert_uint_gt(blocks, 0);
    ps_free(&tensors);
    ps_safetensors_free(&header);
    ps_safetensors_free(&want);
    ps_buf_free(&file);
    ps_buf_free(&want_file);
    ps_free(&path);
    ps_free(&said);
}
END_TEST

/* ---- out again ---- */

static void export_gguf(const ps_buf *file, const ps_model_out_options *options)
{
    ps_safetensors *header = NULL;
    uint64_t bytes = 0;
    ck_ok(ps_safetensors_parse(ps_buf_slice(file), file->len, &header));
    ps_model_export *stream =
        ps_model_export_new(ps_model_format_find("gguf"),
                            ps_safetensors_metadata(header, PS_MODEL_META_CONFIG), options);
    for (size_t at = 0; at < file->len; at += 777) {
        size_t n = file->len - at < 777 ? file->len - at : 777;
        ck_ok(ps_model_export_feed(stream, ps_slice_of(file->data + at, n)));
    }
    ck_ok(ps_model_export_seal(stream));
    ck_ok(ps_model_export_finish(stream, &bytes));
    ps_model_export_free(&stream);
    ps_safetensors_free(&header);
}

/* The forms of a file and the bytes of its tensors in them. */
static void same_blocks(const ps_buf *a, const ps_buf *b)
{
    ps_safetensors *x = NULL, *y = NULL;
    ck_ok(ps_safetensors_parse(ps_buf_slice(a), a->len, &x));
    ck_ok(ps_safetensors_parse(ps_buf_slice(b), b->len, &y));
    const char *forms = ps_safetensors_metadata(x, PS_MODEL_META_FORMS);
    ck_assert_ptr_nonnull(forms);
    ck_assert_str_eq(forms, ps_safetensors_metadata(y, PS_MODEL_META_FORMS));
    for (size_t i = 0; i < x->n_tensors; i++)
        if (x->tensors[i].dtype == PS_SAFETENSORS_U8)
            ck_assert_msg(!memcmp(a->data + x->data_start + x->tensors[i].begin,
                                  b->data + y->data_start + y->tensors[i].begin,
                                  x->tensors[i].end - x->tensors[i].begin),
                          "%s", x->tensors[i].name);
    ps_safetensors_free(&x);
    ps_safetensors_free(&y);
}

/* Nobody says a dtype, and they say the one that it is in. */
START_TEST(blocks_leave_as_they_came)
{
    static const char *const dtypes[] = {"f16", "q8_0"};
    char *path = golden(names[_i], "gguf"), folder[] = "/tmp/psd-blocks-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(folder));
    char *out = ps_asprintf("%s/out.gguf", folder);
    ps_buf file = import(path);
    for (int chosen = 0; chosen < 2; chosen++) {
        export_gguf(&file,
                    &(ps_model_out_options){
                        .path = out, .dtype = dtypes[chosen], .keep = !chosen, .force = true});
        ps_buf again = import(out);
        if (!chosen)
            same_blocks(&file, &again);
        ps_safetensors *header = NULL;
        ps_model_form *tensors = NULL;
        ck_ok(ps_safetensors_parse(ps_buf_slice(&again), again.len, &header));
        ck_ok(ps_model_forms_parse(header, &tensors));
        for (size_t i = 0; chosen && i < header->n_tensors; i++)
            if (tensors[i].form.row)
                ck_assert_str_eq(tensors[i].form.row->name, "q8_0");
        ps_free(&tensors);
        ps_safetensors_free(&header);
        ps_buf_free(&again);
    }
    (void)unlink(out);
    (void)rmdir(folder);
    ps_buf_free(&file);
    ps_free(&out);
    ps_free(&path);
}
END_TEST

/* In each tensor of blocks, the last block's: it is named before the bytes of its tensor are out.
 */
START_TEST(a_scale_that_is_no_number_is_named)
{
    static const uint8_t nan[] = {0x00, 0x7e};
    char *path = golden(names[_i], "gguf"), copy[] = "/tmp/psd-blocks-XXXXXX";
    int fd = mkstemp(copy);
    ck_assert_int_ge(fd, 0);
    ps_buf file = bytes_of(path);
    ps_gguf *header = NULL;
    ck_ok(ps_gguf_parse(ps_buf_slice(&file), file.len, &header));
    size_t seen = 0;
    for (size_t i = 0; i < header->n_tensors; i++) {
        const ps_gguf_tensor *t = &header->tensors[i];
        if (strcmp(t->form.row->name, "q8_0") != 0)
            continue;
        uint8_t *scale = file.data + t->end - 34;
        uint8_t before[2] = {scale[0], scale[1]}, piece[4096];
        memcpy(scale, nan, sizeof nan);
        ck_assert_int_eq(pwrite(fd, file.data, file.len, 0), (ssize_t)file.len);
        memcpy(scale, before, sizeof before);
        ps_model_in *in = NULL;
        size_t got = 1;
        ps_status st = ps_model_in_open(copy, &(ps_model_in_options){0}, &in);
        while (!st && got)
            st = ps_model_in_read(in, piece, sizeof piece, &got);
        ck_assert_int_eq(st, PS_INVALID_ARGUMENT);
        ck_assert_msg(strstr(ps_error_message(), copy) && strstr(ps_error_message(), ": tensor ") &&
                          strstr(ps_error_message(), ": element ["),
                      "%s", ps_error_message());
        ps_model_in_close(&in);
        seen++;
    }
    ck_assert_uint_gt(seen, 0);
    ps_gguf_free(&header);
    (void)close(fd);
    (void)unlink(copy);
    ps_buf_free(&file);
    ps_free(&path);
}
END_TEST

static const ps_check_case cases[] = {
    {.test = &blocks_stay_and_say_what_their_writer_says, .repeat = GOLDENS},
    {.test = &blocks_leave_as_they_came, .repeat = GOLDENS},
    {.test = &a_scale_that_is_no_number_is_named, .repeat = GOLDENS},
    {0},
};

int main(void)
{
    return ps_check_main("common/model/gguf_blocks", cases);
}
