/* safetensors: what is written is read by us and by an independent reader, and hostile headers are
 * refused with the tensor's name. */
#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/format/safetensors.h"
#include "tests/lib/check_main.h"
#include "tests/lib/fault.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static ps_status to_buf(void *state, const void *data, size_t len)
{
    ps_buf_append(state, data, len);
    return PS_OK;
}

/* Length and JSON and `data` zero bytes. */
static ps_buf file_of(const char *json, size_t data)
{
    ps_buf out = PS_BUF_EMPTY;
    uint8_t length[8], zero = 0;
    ps_put_u64le(length, strlen(json));
    ps_buf_append(&out, length, 8);
    ps_buf_puts(&out, json);
    for (size_t i = 0; i < data; i++)
        ps_buf_append(&out, &zero, 1);
    return out;
}

static void refuses(const char *json, size_t data, const char *message)
{
    ps_buf file = file_of(json, data);
    ps_safetensors *st = NULL;
    ck_assert_msg(ps_safetensors_parse(ps_buf_slice(&file), file.len, &st) == PS_CORRUPT, "%s",
                  json);
    ck_assert_ptr_null(st);
    ck_assert_str_eq(ps_error_message(), message);
    ps_buf_free(&file);
}

/* Three tensors given in an order that alignment changes; values known. */
static ps_buf write_sample(void)
{
    static const ps_safetensors_tensor tensors[] = {
        {.name = "half", .dtype = PS_SAFETENSORS_BF16, .n_dims = 1, .shape = {3}},
        {.name = "layers.0.weight", .dtype = PS_SAFETENSORS_F32, .n_dims = 2, .shape = {2, 3}},
        {.name = "scalar\xc3\xbc", .dtype = PS_SAFETENSORS_F32},
    };
    static const ps_safetensors_pair metadata[] = {{"format", "pt"}, {"job", "a \"b\""}};
    static const float weight[6] = {1, 2, 3, 4, 5, 6.5f};
    static const float scalar = -0.25f;
    static const uint16_t half[3] = {0x3f80, 0x4000, 0xc040}; /* 1, 2, -3 */
    ps_buf out = PS_BUF_EMPTY;
    ps_safetensors_writer *w = NULL;
    ps_safetensors_sink sink = {.write = to_buf, .state = &out};
    ck_ok(ps_safetensors_writer_new(tensors, 3, metadata, 2, sink, &w));
    ck_assert_uint_eq(ps_safetensors_writer_order(w, 0), 1);
    ck_assert_uint_eq(ps_safetensors_writer_order(w, 1), 2);
    ck_assert_uint_eq(ps_safetensors_writer_order(w, 2), 0);
    uint64_t total = ps_safetensors_writer_total(w);
    ck_ok(ps_safetensors_writer_data(w, weight, 5)); /* in pieces */
    ck_ok(ps_safetensors_writer_data(w, (const char *)weight + 5, 19));
    ck_ok(ps_safetensors_writer_data(w, &scalar, 4));
    ck_ok(ps_safetensors_writer_data(w, half, 6));
    ck_ok(ps_safetensors_writer_finish(&w));
    ck_assert_ptr_null(w);
    ck_assert_uint_eq(out.len, total);
    return out;
}

START_TEST(what_is_written_is_read)
{
    ps_buf file = write_sample();
    ps_safetensors *st = NULL;
    uint64_t head = 0;
    ck_ok(ps_safetensors_header_bytes(ps_slice_of(file.data, 8), &head));
    ck_ok(ps_safetensors_parse(ps_slice_of(file.data, head), file.len, &st));
    ck_assert_uint_eq(st->data_start, head);
    ck_assert_uint_eq(head % 8, 0);
    ck_assert_uint_eq(st->n_tensors, 3);
    const ps_safetensors_tensor *t = ps_safetensors_find(st, "layers.0.weight");
    ck_assert_uint_eq(t->n_dims, 2);
    ck_assert_uint_eq(t->shape[1], 3);
    float last = 0;
    memcpy(&last, file.data + st->data_start + t->end - 4, 4);
    ck_assert(last == 6.5f);
    ck_assert_uint_eq(ps_safetensors_find(st, "scalar\xc3\xbc")->n_dims, 0);
    ck_assert_ptr_null(ps_safetensors_find(st, "nothing"));
    ck_assert_str_eq(ps_safetensors_metadata(st, "job"), "a \"b\"");
    ck_assert_ptr_null(ps_safetensors_metadata(st, "nothing"));
    ps_safetensors_free(&st);
    ps_buf_free(&file);
}
END_TEST

/* Of a dtype that came later only the bytes are known. */
START_TEST(a_new_dtype_is_no_damage)
{
    ps_buf file =
        file_of("{\"a\":{\"dtype\":\"F6_E2M3\",\"shape\":[8],\"data_offsets\":[0,6]}}", 6);
    ps_safetensors *st = NULL;
    ck_ok(ps_safetensors_parse(ps_buf_slice(&file), file.len, &st));
    ck_assert_int_eq(st->tensors[0].dtype, PS_SAFETENSORS_OTHER);
    ck_assert_str_eq(ps_safetensors_type_of(&st->tensors[0]), "F6_E2M3");
    ck_assert_uint_eq(st->tensors[0].end, 6);
    ps_safetensors_writer *w = NULL;
    ps_buf out = PS_BUF_EMPTY;
    ck_assert_int_eq(
        ps_safetensors_writer_new(st->tensors, 1, NULL, 0, (ps_safetensors_sink){to_buf, &out}, &w),
        PS_INVALID_ARGUMENT);
    ps_safetensors_free(&st);
    ps_buf_free(&out);
    ps_buf_free(&file);
}
END_TEST

START_TEST(an_independent_reader_sees_the_same)
{
    ps_buf file = write_sample();
    char path[] = "/tmp/psd-safetensors-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, file.data, file.len), (ssize_t)file.len);
    close(fd);
    const char *root = getenv("PSD_SOURCE_ROOT");
    char *command =
        ps_asprintf("PYTHONIOENCODING=utf-8 python3 '%s/tests/lib/read_safetensors.py' %s",
                    root ? root : ".", path);
    FILE *reader = popen(command, "r");
    ck_assert_ptr_nonnull(reader);
    char text[1000] = "";
    size_t n = fread(text, 1, sizeof text - 1, reader);
    ck_assert_int_eq(pclose(reader), 0);
    text[n] = '\0';
    ck_assert_str_eq(text, "format=pt\njob=a \"b\"\n"
                           "layers.0.weight F32 2x3 first=1 last=6.5 sum=21.5\n"
                           "scalar\xc3\xbc F32  first=-0.25 last=-0.25 sum=-0.25\n"
                           "half BF16 3 first=1 last=-3 sum=0\n");
    unlink(path);
    ps_free(&command);
    ps_buf_free(&file);
}
END_TEST

#define T(name, offsets) \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":" offsets "}"

START_TEST(hostile_headers_are_refused_with_the_tensor)
{
    refuses("{" T("a", "[0,4]") "," T("b", "[8,12]") "}", 12,
            "safetensors: tensor b: its data begins at 8, after a hole at 4");
    refuses("{" T("a", "[4,8]") "}", 8,
            "safetensors: tensor a: its data begins at 4, after a hole at 0");
    refuses("{" T("a", "[0,4]") "," T("b", "[2,6]") "}", 6,
            "safetensors: tensor b: its data begins at 2, inside another one that ends at 4");
    refuses("{" T("a", "[0,4]") "," T("a", "[4,8]") "}", 8, "safetensors: tensor a is there twice");
    refuses("{" T("a", "[0,8]") "}", 8,
            "safetensors: tensor a: shape and dtype take 4 bytes, but data_offsets are [0, 8]");
    refuses("{" T("a", "[4,0]") "}", 4,
            "safetensors: tensor a: shape and dtype take 4 bytes, but data_offsets are [4, 0]");
    refuses("{" T("a", "[0,4]") "}", 8, "safetensors: the file has 70 bytes, its header says 66");
    refuses("{" T("a", "[0,4]") "}", 3,
            "safetensors: the file is cut off: it has 65 of 66 bytes; fetch it anew");
    refuses("{" T("", "[0,4]") "}", 4,
            "safetensors: a tensor's name has 0 bytes, allowed 1 to 512");
    refuses("{" T("a", "[-1,3]") "}", 4, "safetensors: tensor a: expected integers from 0");
    refuses("{" T("a", "[0,4,8]") "}", 4, "safetensors: tensor a: more than 2 numbers");
    refuses("{" T("a", "[0]") "}", 4, "safetensors: tensor a: data_offsets must be two numbers");
    refuses("{\"a\":{\"dtype\":\"f32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
            "safetensors: tensor a: 'f32' is no dtype");
    refuses("{\"a\":{\"dtype\":\"F4\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4,
            "safetensors: tensor a: shape and dtype take 0 bytes, but data_offsets are [4, 0]");
    refuses("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
            "safetensors: tensor a: dtype is there twice");
    refuses("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4,
            "safetensors: tensor a: needs dtype, shape and data_offsets");
    refuses("{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4,
            "safetensors: tensor a: more than 8 numbers");
    refuses("{\"a\":{\"type\":\"F32\"}}", 4, "safetensors: tensor a: unknown key 'type'");
    refuses("{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,4294967296],"
            "\"data_offsets\":[0,0]}}",
            0, "safetensors: tensor a: its shape is too large");
    refuses("{\"__metadata__\":{\"a\":1}}", 0,
            "safetensors: __metadata__: byte 22: expected a string, got a number");
    refuses("{\"__metadata__\":{},\"__metadata__\":{}}", 0,
            "safetensors: __metadata__ is there twice");
    refuses("{\"a\\u0000b\":{}}", 0, "safetensors: a zero byte in a name");
    refuses("[]", 0, "safetensors: the header does not start with {");
    refuses("{}x", 0, "safetensors: byte 2: something follows the value");
}
END_TEST

START_TEST(lengths_that_cannot_be_are_refused)
{
    uint64_t out = 0;
    uint8_t length[8];
    ck_assert_int_eq(ps_safetensors_header_bytes(ps_slice_of("1234567", 7), &out), PS_CORRUPT);
    ps_put_u64le(length, 100000001);
    ck_assert_int_eq(ps_safetensors_header_bytes(ps_slice_of(length, 8), &out), PS_CORRUPT);
    ps_put_u64le(length, UINT64_MAX);
    ck_assert_int_eq(ps_safetensors_header_bytes(ps_slice_of(length, 8), &out), PS_CORRUPT);
    ps_put_u64le(length, 100000000);
    ck_ok(ps_safetensors_header_bytes(ps_slice_of(length, 8), &out));
    ps_safetensors *st = NULL;
    ck_assert_int_eq(ps_safetensors_parse(ps_slice_of(length, 8), UINT64_MAX, &st), PS_CORRUPT);
}
END_TEST

START_TEST(empty_files_and_empty_tensors_are_files)
{
    ps_buf file = file_of("{\"e\":{\"dtype\":\"F32\",\"shape\":[0,9],\"data_offsets\":[0,0]},"
                          "\"a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}   ",
                          1);
    ps_safetensors *st = NULL;
    ck_ok(ps_safetensors_parse(ps_buf_slice(&file), file.len, &st));
    ck_assert_uint_eq(st->n_tensors, 2);
    ck_assert_str_eq(st->tensors[0].name, "e");
    ps_safetensors_free(&st);
    ps_buf_free(&file);
    file = file_of("{}", 0);
    ck_ok(ps_safetensors_parse(ps_buf_slice(&file), UINT64_MAX, &st));
    ck_assert_uint_eq(st->n_tensors, 0);
    ck_assert_uint_eq(st->data_bytes, 0);
    ps_safetensors_free(&st);
    ps_buf_free(&file);
}
END_TEST

START_TEST(every_cut_and_every_flipped_byte_ends_well)
{
    ps_buf file = write_sample();
    ps_safetensors *st = NULL;
    for (size_t n = 0; n < file.len; n++)
        ck_assert_int_eq(ps_safetensors_parse(ps_slice_of(file.data, n), n, &st), PS_CORRUPT);
    for (size_t i = 0; i < file.len; i++) {
        file.data[i] ^= 0x11;
        if (ps_safetensors_parse(ps_buf_slice(&file), file.len, &st) == PS_OK)
            ps_safetensors_free(&st);
        file.data[i] ^= 0x11;
    }
    ps_buf_free(&file);
}
END_TEST

START_TEST(running_out_of_memory_is_an_answer)
{
    ps_buf file = write_sample();
    unsigned failures = 0;
    for (unsigned long k = 1;; k++) {
        ps_safetensors *st = NULL;
        fault_memory(k);
        ps_status code = ps_safetensors_parse(ps_buf_slice(&file), file.len, &st);
        fault_memory(0);
        if (code == PS_OK) {
            ps_safetensors_free(&st);
            break;
        }
        ck_assert_int_eq(code, PS_NO_MEMORY);
        failures++;
    }
    ck_assert_uint_ge(failures, 8); /* 3 names, 4 texts, 2 tables, the sorted names */
    ps_buf_free(&file);
}
END_TEST

static ps_status full(void *state, const void *data, size_t len)
{
    return ps_fail(PS_NO_SPACE, "disk full");
}

START_TEST(the_writer_holds_its_caller_to_the_header)
{
    static const ps_safetensors_tensor one = {
        .name = "a", .dtype = PS_SAFETENSORS_F32, .n_dims = 1, .shape = {2}};
    static const float data[3] = {0};
    ps_buf out = PS_BUF_EMPTY;
    ps_safetensors_writer *w = NULL;
    ps_safetensors_sink sink = {.write = to_buf, .state = &out};
    ck_ok(ps_safetensors_writer_new(&one, 1, NULL, 0, sink, &w));
    ck_assert_int_eq(ps_safetensors_writer_data(w, data, 12), PS_FAILED_PRECONDITION);
    ck_ok(ps_safetensors_writer_data(w, data, 4));
    ck_assert_int_eq(ps_safetensors_writer_finish(&w), PS_FAILED_PRECONDITION);
    const ps_safetensors_tensor twice[] = {one, one};
    ck_assert_int_eq(ps_safetensors_writer_new(twice, 2, NULL, 0, sink, &w), PS_INVALID_ARGUMENT);
    const ps_safetensors_tensor taken = {.name = "__metadata__"};
    ck_assert_int_eq(ps_safetensors_writer_new(&taken, 1, NULL, 0, sink, &w), PS_INVALID_ARGUMENT);
    const ps_safetensors_tensor huge = {
        .name = "a", .n_dims = 2, .shape = {UINT64_MAX, UINT64_MAX}};
    ck_assert_int_eq(ps_safetensors_writer_new(&huge, 1, NULL, 0, sink, &w), PS_INVALID_ARGUMENT);
    sink.write = full;
    ck_assert_int_eq(ps_safetensors_writer_new(&one, 1, NULL, 0, sink, &w), PS_NO_SPACE);
    ck_assert_ptr_null(w);
    ps_buf_free(&out);
}
END_TEST

static const ps_check_case tests[] = {
    {&what_is_written_is_read},
    {&a_new_dtype_is_no_damage},
    {&an_independent_reader_sees_the_same},
    {&hostile_headers_are_refused_with_the_tensor},
    {&lengths_that_cannot_be_are_refused},
    {&empty_files_and_empty_tensors_are_files},
    {&every_cut_and_every_flipped_byte_ends_well},
    {&running_out_of_memory_is_an_answer},
    {&the_writer_holds_its_caller_to_the_header},
    {0},
};

int main(void)
{
    return ps_check_main("format/safetensors", tests);
}
