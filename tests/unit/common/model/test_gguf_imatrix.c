/* gguf_imatrix: an importance matrix is read as llama.cpp lays it out, and one that is none, or of
 * another model, is refused by what is wrong with it. */
#include "common/model/gguf_imatrix.h"

#include "common/base/mem.h"
#include "common/model/gguf_keys.h"
#include "tests/lib/check_main.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COLUMNS = 3, WIDTH = 32, F32 = 0, F16 = 1 };

typedef struct content {
    const char *type, *name;
    uint64_t columns;
    uint32_t form;
    float squares[COLUMNS];
    float counts;
    size_t cut; /* bytes at the end */
} content;

static const content good = {
    .type = "imatrix", .name = "blk.0.x", .columns = COLUMNS, .squares = {7, 0, 900}, .counts = 20};

static void put_floats(ps_buf *out, const float *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &v[i], sizeof bits);
        ps_buf_put_u32le(out, bits);
    }
    ps_gguf_pad(out);
}

/* Two dimensions, of which the second is 1: as of llama.cpp's matrices of several experts. */
static ps_buf file_of(const content *c)
{
    char name[64];
    const uint64_t sides[] = {c->columns, 1}, one[] = {1};
    ps_buf out = PS_BUF_EMPTY;
    ps_gguf_keys k = {.out = &out};
    size_t at = ps_gguf_begin(&out, 2);
    ps_gguf_key_text(&k, "general.type", c->type);
    ps_gguf_end(&out, at, &k);
    (void)snprintf(name, sizeof name, "%s.in_sum2", c->name);
    ps_gguf_put_tensor(&out, name, 2, sides, c->form, 0);
    (void)snprintf(name, sizeof name, "%s.counts", c->name);
    ps_gguf_put_tensor(&out, name, 1, one, F32, 32);
    ps_gguf_pad(&out);
    put_floats(&out, c->squares, COLUMNS);
    put_floats(&out, &c->counts, 1);
    out.len -= c->cut;
    return out;
}

static ps_status read_file(const content *c, float squares[COLUMNS], float *tokens)
{
    char path[] = "/tmp/psd-test-XXXXXX";
    ps_buf bytes = file_of(c);
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes.data, bytes.len), (ssize_t)bytes.len);
    (void)close(fd);
    ps_status st = ps_gguf_imatrix_read(path, "blk.0.x", COLUMNS, squares, tokens);
    (void)unlink(path);
    ps_buf_free(&bytes);
    return st;
}

START_TEST(what_llama_cpp_lays_out_is_read)
{
    float squares[COLUMNS], tokens;
    ck_ok(read_file(&good, squares, &tokens));
    ck_assert_mem_eq(squares, good.squares, sizeof squares);
    ck_assert(tokens == 20);
}
END_TEST

/* Of llama-imatrix itself (tests/golden/gguf/make_gguf.py says how): what goes into the first
 * product and the mlp comes of a norm of gain 1, so that its squares add up to columns · tokens. */
START_TEST(the_tools_own_file_is_read)
{
    static const char *const names[] = {"blk.0.attn_qkv.weight", "blk.0.ffn_up.weight"};
    char *path = ps_asprintf("%s/tests/golden/gguf/imatrix.gguf", getenv("PSD_SOURCE_ROOT"));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        float squares[WIDTH], tokens;
        double sum = 0;
        ck_ok(ps_gguf_imatrix_read(path, names[i], WIDTH, squares, &tokens));
        ck_assert(tokens == 31 * 64);
        for (size_t k = 0; k < WIDTH; k++)
            sum += (double)squares[k];
        ck_assert_double_eq_tol(sum / (WIDTH * (double)tokens), 1, 1e-3);
    }
    ps_free(&path);
}
END_TEST

static void refuses(content c, ps_status code, const char *text)
{
    float squares[COLUMNS], tokens;
    ck_assert_int_eq(read_file(&c, squares, &tokens), code);
    ck_assert_msg(strstr(ps_error_message(), text) != NULL, "%s", ps_error_message());
}

#define BUT(...)            \
    __extension__({         \
        content but = good; \
        but.__VA_ARGS__;    \
        but;                \
    })

START_TEST(what_is_none_or_of_another_model_is_refused_by_name)
{
    refuses(BUT(type = "model"), PS_INVALID_ARGUMENT, "general.type is not imatrix");
    refuses(BUT(name = "blk.1.x"), PS_INVALID_ARGUMENT, "has no blk.0.x.in_sum2");
    refuses(BUT(columns = 2), PS_INVALID_ARGUMENT, "blk.0.x.in_sum2 is not the 3 float32 numbers");
    refuses(BUT(form = F16), PS_INVALID_ARGUMENT, "blk.0.x.in_sum2 is not the 3 float32 numbers");
    refuses(BUT(squares[1] = -1), PS_CORRUPT, "blk.0.x.in_sum2 has -1 at 1");
    refuses(BUT(squares[2] = NAN), PS_CORRUPT, "blk.0.x.in_sum2 has nan at 2");
    refuses(BUT(counts = 0), PS_CORRUPT, "blk.0.x.counts is 0");
    refuses(BUT(counts = INFINITY), PS_CORRUPT, "blk.0.x.counts is inf");
    refuses(BUT(counts = 0x1p54F), PS_CORRUPT, "blk.0.x.counts is 1.80144e+16, which is no number");
    refuses(BUT(cut = 40), PS_CORRUPT, "the file is cut off: it has 216 of 228 bytes");
    refuses(BUT(cut = 40), PS_CORRUPT, "llama-imatrix --in-file FILE.dat"); /* as of a .dat */
}
END_TEST

static const ps_check_case tests[] = {
    {&what_llama_cpp_lays_out_is_read},
    {&the_tools_own_file_is_read},
    {&what_is_none_or_of_another_model_is_refused_by_name},
    {0},
};

int main(void)
{
    return ps_check_main("model/gguf_imatrix", tests);
}
