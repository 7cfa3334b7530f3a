/* gguf_parse: a header written here byte by byte is read, and one that lies about itself is refused
 * by a line that names the key or the tensor. */
#include "common/model/gguf_parse.h"

#include "common/base/buf.h"
#include "tests/lib/check_main.h"

#include <stdio.h>

static void put_u32(ps_buf *out, uint32_t v)
{
    uint8_t bytes[4];
    ps_put_u32le(bytes, v);
    ps_buf_append(out, bytes, sizeof bytes);
}

static void put_u64(ps_buf *out, uint64_t v)
{
    uint8_t bytes[8];
    ps_put_u64le(bytes, v);
    ps_buf_append(out, bytes, sizeof bytes);
}

static void put_text(ps_buf *out, const char *text)
{
    put_u64(out, strlen(text));
    ps_buf_puts(out, text);
}

static ps_buf start(uint32_t version, uint64_t tensors, uint64_t keys)
{
    ps_buf out = PS_BUF_EMPTY;
    ps_buf_puts(&out, "GGUF");
    put_u32(&out, version);
    put_u64(&out, tensors);
    put_u64(&out, keys);
    return out;
}

static void put_key(ps_buf *out, const char *name, uint32_t type)
{
    put_text(out, name);
    put_u32(out, type);
}

static void put_tensor(ps_buf *out, const char *name, uint32_t n_dims, const uint64_t *sides,
                       uint32_t type, uint64_t offset)
{
    put_text(out, name);
    put_u32(out, n_dims);
    for (uint32_t d = 0; d < n_dims; d++)
        put_u64(out, sides[d]);
    put_u32(out, type);
    put_u64(out, offset);
}

/* Up to the data, and so many bytes of it. */
static void put_data(ps_buf *out, size_t n)
{
    while (out->len % 32)
        ps_buf_putc(out, 0);
    for (size_t i = 0; i < n; i++)
        ps_buf_putc(out, 1);
}

/* Frees file. */
static void refuses(ps_buf *file, ps_status code, const char *text)
{
    ps_gguf *g = NULL;
    ps_status st = ps_gguf_parse(ps_buf_slice(file), file->len, &g);
    ck_assert_ptr_null(g);
    ck_assert_msg(st == code, "%s instead of: %s", ps_status_name(st), text);
    ck_assert_msg(strstr(ps_error_message(), text) != NULL, "'%s' instead of '%s'",
                  ps_error_message(), text);
    ps_buf_free(file);
}

static const ps_gguf_key *key_of(const ps_gguf *g, const char *name)
{
    const ps_gguf_key *key = ps_gguf_find_key(g, name);
    ck_assert_msg(key != NULL, "%s", name);
    return key;
}

static uint64_t uint_of(const ps_gguf *g, const char *name)
{
    uint64_t v = 0;
    ck_ok(ps_gguf_get_uint(key_of(g, name), &v));
    return v;
}

static void put_values(ps_buf *b)
{
    put_key(b, "u8", 0), ps_buf_putc(b, (char)200);
    put_key(b, "i8", 1), ps_buf_putc(b, 127);
    put_key(b, "u16", 2), ps_buf_append(b, "\x34\x12", 2);
    put_key(b, "i16", 3), ps_buf_append(b, "\xff\xff", 2); /* -1 */
    put_key(b, "u32", 4), put_u32(b, 0x80000001);
    put_key(b, "i32", 5), put_u32(b, 70000);
    put_key(b, "f32", 6), put_u32(b, 0xc0200000); /* -2.5 */
    put_key(b, "bool", 7), ps_buf_putc(b, 1);
    put_key(b, "text", 8), put_text(b, "words");
    put_key(b, "texts", 9), put_u32(b, 8), put_u64(b, 2), put_text(b, ""), put_text(b, "b");
    put_key(b, "u64", 10), put_u64(b, 1ull << 63);
    put_key(b, "i64", 11), put_u64(b, 1ull << 40);
    put_key(b, "f64", 12), put_u64(b, 0x3ff8000000000000); /* 1.5 */
    put_key(b, "nested", 9), put_u32(b, 9), put_u64(b, 2);
    put_u32(b, 0), put_u64(b, 3), ps_buf_puts(b, "abc");
    put_u32(b, 5), put_u64(b, 0);
    put_key(b, "not", 7), ps_buf_putc(b, 2);
}

START_TEST(every_type_of_value_is_read)
{
    ps_buf file = start(3, 0, 15);
    put_values(&file);
    ps_gguf *g = NULL;
    double real = 0;
    bool yes = false;
    uint64_t whole = 0;
    ps_slice text;
    ps_cursor c;
    put_data(&file, 0);
    ps_status st = ps_gguf_parse(ps_buf_slice(&file), file.len, &g);
    ck_assert_msg(st == PS_OK, "%s", ps_error_message());
    ck_assert_uint_eq(g->n_keys, 15);
    ck_assert_uint_eq(uint_of(g, "u8"), 200);
    ck_assert_uint_eq(uint_of(g, "i8"), 127);
    ck_assert_uint_eq(uint_of(g, "u16"), 0x1234);
    ck_assert_uint_eq(uint_of(g, "u32"), 0x80000001);
    ck_assert_uint_eq(uint_of(g, "i32"), 70000);
    ck_assert_uint_eq(uint_of(g, "u64"), 1ull << 63);
    ck_assert_uint_eq(uint_of(g, "i64"), 1ull << 40);
    ck_assert_int_eq(ps_gguf_get_uint(key_of(g, "i16"), &whole), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(), "key i16 must be an integer from 0");
    ck_assert_int_eq(ps_gguf_get_uint(key_of(g, "f32"), &whole), PS_INVALID_ARGUMENT);
    ck_ok(ps_gguf_get_real(key_of(g, "f32"), &real));
    ck_assert_double_eq(real, -2.5);
    ck_ok(ps_gguf_get_real(key_of(g, "f64"), &real));
    ck_assert_double_eq(real, 1.5);
    ck_ok(ps_gguf_get_bool(key_of(g, "bool"), &yes));
    ck_assert(yes);
    ck_assert_int_eq(ps_gguf_get_bool(key_of(g, "not"), &yes), PS_INVALID_ARGUMENT);
    ck_ok(ps_gguf_get_text(key_of(g, "text"), &text));
    ck_assert(text.len == 5 && !memcmp(text.data, "words", 5));
    ck_assert_int_eq(ps_gguf_get_array(key_of(g, "texts"), PS_GGUF_I32, &c), PS_INVALID_ARGUMENT);
    ck_ok(ps_gguf_get_array(key_of(g, "texts"), PS_GGUF_STRING, &c));
    ck_assert_uint_eq(key_of(g, "texts")->n, 2);
    ck_assert_uint_eq(ps_gguf_next_text(&c).len, 0);
    ck_assert_uint_eq(ps_gguf_next_text(&c).len, 1);
    ck_assert(!c.failed && !ps_cursor_left(&c));
    ck_assert_ptr_null(ps_gguf_find_key(g, "u"));
    ps_gguf_free(&g);
    ps_buf_free(&file);
}
END_TEST

START_TEST(tensors_lie_where_their_offsets_say)
{
    ps_buf file = start(2, 3, 1);
    put_key(&file, "general.alignment", 4), put_u32(&file, 64);
    put_tensor(&file, "c", 2, (uint64_t[]){32, 2}, 8, 128);
    put_tensor(&file, "a", 1, (uint64_t[]){3}, 30, 64);
    put_tensor(&file, "b", 4, (uint64_t[]){2, 1, 3, 1}, 0, 0);
    size_t header = file.len;
    while (file.len % 64)
        ps_buf_putc(&file, 0);
    size_t at = file.len;
    put_data(&file, 128 + 68);
    ps_gguf *g = NULL;
    ps_status st = ps_gguf_parse(ps_buf_slice(&file), file.len, &g);
    ck_assert_msg(st == PS_OK, "%s", ps_error_message());
    const ps_gguf_tensor *a = ps_gguf_find_tensor(g, "a"), *b = ps_gguf_find_tensor(g, "b");
    const ps_gguf_tensor *c = ps_gguf_find_tensor(g, "c");
    ck_assert_uint_eq(g->data_start, at);
    ck_assert(a->begin == at + 64 && a->end == a->begin + 6 &&
              a->form.row == ps_form_find("bfloat16"));
    ck_assert(b->begin == at && b->end == at + 24 && b->sides[2] == 3 && b->sides[3] == 1);
    ck_assert(c->begin == at + 128 && c->end == file.len && c->sides[0] == 32);
    ps_gguf_free(&g);

    /* Less of it: more is wanted; of a file that ends there: damaged. */
    for (size_t n = 0; n < header; n++) {
        ck_assert_int_eq(ps_gguf_parse(ps_slice_of(file.data, n), file.len, &g), PS_AGAIN);
        ck_assert_int_eq(ps_gguf_parse(ps_slice_of(file.data, n), n, &g), PS_CORRUPT);
    }
    for (size_t n = header; n < file.len; n++)
        ck_assert_int_eq(ps_gguf_parse(ps_slice_of(file.data, n), n, &g), PS_CORRUPT);
    ck_assert_ptr_null(g);
    ps_buf_free(&file);
}
END_TEST

START_TEST(headers_that_lie_are_refused)
{
    ps_buf f = start(1, 0, 0);
    refuses(&f, PS_INVALID_ARGUMENT, "GGUF version 1; allowed: 2, 3");
    f = start(4, 0, 0);
    refuses(&f, PS_INVALID_ARGUMENT, "GGUF version 4");
    f = start(0x03000000, 0, 0);
    refuses(&f, PS_INVALID_ARGUMENT, "big-endian");
    f = start(3, 0, 0);
    f.data[3] = 'X';
    refuses(&f, PS_CORRUPT, "not a GGUF file");
    f = start(3, 0, UINT64_MAX);
    refuses(&f, PS_CORRUPT, "18446744073709551615 keys");
    f = start(3, UINT64_MAX / 4, 0);
    refuses(&f, PS_CORRUPT, "4611686018427387903 tensors");
    f = start(3, 0, 2); /* plausible, but the file is too short for it */
    put_data(&f, 0);
    refuses(&f, PS_CORRUPT, "2 keys in a file of 32 bytes");
}
END_TEST

START_TEST(keys_that_lie_are_refused)
{
    ps_buf f = start(3, 0, 1);
    put_u64(&f, UINT64_MAX);
    put_data(&f, 32);
    refuses(&f, PS_CORRUPT, "key number 1: a text of 18446744073709551615 bytes");
    f = start(3, 0, 1);
    put_key(&f, "", 4), put_u32(&f, 1);
    refuses(&f, PS_CORRUPT, "key number 1: a name of 0 bytes");
    f = start(3, 0, 1);
    put_key(&f, "a\n", 4), put_u32(&f, 1);
    refuses(&f, PS_CORRUPT, "key number 1: a name with the byte 0x0a");
    f = start(3, 0, 1);
    put_key(&f, "a.key", 13), put_u32(&f, 1);
    refuses(&f, PS_CORRUPT, "key a.key: type 13 is not known");
    f = start(3, 0, 2);
    put_key(&f, "b", 4), put_u32(&f, 1);
    put_key(&f, "b", 4), put_u32(&f, 1);
    refuses(&f, PS_CORRUPT, "key b is there twice");
    f = start(3, 0, 1);
    put_key(&f, "list", 9), put_u32(&f, 10), put_u64(&f, 1ull << 61); /* times 8 is 0 */
    refuses(&f, PS_CORRUPT, "key list: an array of 2305843009213693952");
    f = start(3, 0, 1);
    put_key(&f, "list", 9), put_u32(&f, 8), put_u64(&f, 2), put_text(&f, "abcdefgh");
    refuses(&f, PS_CORRUPT, "key list: the file ends within the header");
    f = start(3, 0, 1);
    put_key(&f, "deep", 9);
    for (int i = 0; i < 5; i++)
        put_u32(&f, 9), put_u64(&f, 1);
    put_data(&f, 64);
    refuses(&f, PS_CORRUPT, "key deep: arrays in arrays, more than 4 deep");
    uint32_t alignments[] = {0, 3, 1u << 21};
    for (size_t i = 0; i < 3; i++) {
        f = start(3, 0, 1);
        put_key(&f, "general.alignment", 4), put_u32(&f, alignments[i]);
        refuses(&f, PS_CORRUPT, "key general.alignment: ");
    }
}
END_TEST

/* One tensor "t" with 64 bytes of data. */
static void refuses_tensor(uint32_t n_dims, const uint64_t *sides, uint32_t type, uint64_t offset,
                           ps_status code, const char *text)
{
    ps_buf f = start(3, 1, 0);
    put_tensor(&f, "t", n_dims, sides, type, offset);
    put_data(&f, 64);
    refuses(&f, code, text);
}

START_TEST(tensors_that_lie_are_refused)
{
    const ps_status bad = PS_CORRUPT;
    const uint64_t big = 1ull << 62;
    refuses_tensor(0, NULL, 0, 0, bad, "tensor t: 0 dimensions, allowed 1 to 4");
    refuses_tensor(5, (uint64_t[]){1, 1, 1, 1, 1}, 0, 0, bad, "tensor t: 5 dimensions");
    refuses_tensor(2, (uint64_t[]){4, 0}, 0, 0, bad, "tensor t: a dimension of 0");
    refuses_tensor(2, (uint64_t[]){4, big}, 0, 0, bad, "tensor t: its dimensions are beyond");
    refuses_tensor(1, (uint64_t[]){big}, 0, 0, bad, "tensor t: its dimensions are beyond");
    refuses_tensor(1, (uint64_t[]){17}, 0, 0, bad,
                   "the file is cut off: it has 128 of 132 bytes; fetch it anew");
    refuses_tensor(1, (uint64_t[]){16}, 0, 32, bad, "it has 128 of 160 bytes");
    refuses_tensor(1, (uint64_t[]){4}, 0, 0ull - 32, bad, "tensor t: it ends beyond any");
    refuses_tensor(1, (uint64_t[]){8}, 0, 0ull - 32, bad, "tensor t: offset 18446744073709551584");
    refuses_tensor(1, (uint64_t[]){4}, 0, 4, bad, "tensor t: offset 4 is no multiple of");
    refuses_tensor(1, (uint64_t[]){31}, 8, 0, bad, "tensor t: rows of 31, no multiple of the 32");
    refuses_tensor(1, (uint64_t[]){4}, 200, 0, bad, "tensor t: type 200 is not known");
    refuses_tensor(1, (uint64_t[]){4}, 4, 0, bad, "tensor t: type 4 is not known");
    refuses_tensor(
        1, (uint64_t[]){256}, 16, 0, PS_INVALID_ARGUMENT,
        "tensor t: it is IQ2_XXS; allowed: F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, "
        "Q4_K, Q5_K, Q6_K, IQ4_NL, F64, BF16, MXFP4");
    ps_buf f = start(3, 2, 0);
    put_tensor(&f, "a", 1, (uint64_t[]){9}, 0, 0);
    put_tensor(&f, "b", 1, (uint64_t[]){4}, 0, 32);
    put_data(&f, 64);
    refuses(&f, bad, "tensors a and b overlap");
    f = start(3, 2, 0);
    put_tensor(&f, "a", 1, (uint64_t[]){4}, 0, 32);
    put_tensor(&f, "a", 1, (uint64_t[]){4}, 0, 0);
    put_data(&f, 64);
    refuses(&f, bad, "tensor a is there twice");
    f = start(3, 1, 0);
    put_tensor(&f, "a234567890123456789012345678901234567890123456789012345678901234", 1,
               (uint64_t[]){4}, 0, 0);
    put_data(&f, 64);
    refuses(&f, bad, "tensor number 1: a name of 64 bytes, allowed 1 to 63");
}
END_TEST

static const ps_check_case tests[] = {
    {&every_type_of_value_is_read},  {&tensors_lie_where_their_offsets_say},
    {&headers_that_lie_are_refused}, {&keys_that_lie_are_refused},
    {&tensors_that_lie_are_refused}, {0}};

int main(void)
{
    return ps_check_main("common/model/gguf_parse", tests);
}
