/* Ids are decoded to the texts that the independent library decodes them to
 * (golden/tokenizers/decoders.cases), token by token. */
#include "common/json/json.h"
#include "common/tokenizer/tokenizer.h"
#include "tests/lib/check_main.h"
#include "tests/lib/conf_example.h"

static void read_ids(ps_json_reader *r, ps_ids *out)
{
    ps_json_token token;
    out->n = 0;
    while (ps_json_next(r, &token) == PS_OK && token.kind == PS_JSON_NUMBER)
        ps_ids_add(out, (uint32_t)token.u64);
}

static void check_text(const ps_tokenizer *t, const ps_ids *ids, ps_slice want, size_t line)
{
    ps_buf out = PS_BUF_EMPTY;
    ps_decoder d;
    ps_decoder_init(&d, t, true);
    for (size_t i = 0; i < ids->n; i++)
        ps_decoder_put(&d, ids->at[i], &out);
    ps_decoder_finish(&d, &out);
    bool same = out.len == want.len && (!out.len || !memcmp(out.data, want.data, out.len));
    ck_assert_msg(same, "line %zu, %zu ids from %u on: '%.*s' and not '%.*s'", line, ids->n,
                  ids->at[0], (int)out.len, (const char *)out.data, (int)want.len,
                  (const char *)want.data);
    ps_buf_free(&out);
}

/* {"tokenizer":"…", "texts":[[id, …], "…", …]} */
static size_t check_line(ps_slice line, size_t number)
{
    ps_json_reader r;
    ps_json_token token;
    ps_tokenizer *t = NULL;
    ps_ids ids = PS_IDS_EMPTY;
    size_t n = 0;
    ps_json_reader_init(&r, line);
    ck_ok(ps_json_expect(&r, PS_JSON_OBJECT, &token));
    ck_ok(ps_json_expect(&r, PS_JSON_KEY, &token));
    ck_ok(ps_json_expect(&r, PS_JSON_STRING, &token));
    ck_ok(ps_tokenizer_from_json(token.text, &t));
    ck_ok(ps_json_expect(&r, PS_JSON_KEY, &token));
    ck_ok(ps_json_expect(&r, PS_JSON_ARRAY, &token));
    while (ps_json_next(&r, &token) == PS_OK && token.kind == PS_JSON_ARRAY) {
        read_ids(&r, &ids);
        ck_ok(ps_json_expect(&r, PS_JSON_STRING, &token));
        check_text(t, &ids, token.text, number);
        n++;
    }
    ps_json_reader_free(&r);
    ps_ids_free(&ids);
    ps_tokenizer_free(&t);
    return n;
}

START_TEST(texts_are_those_of_the_independent_library)
{
    ps_buf cases = ps_test_source_file("tests/golden/tokenizers/decoders.cases");
    size_t texts = 0, lines = 0;
    for (size_t at = 0; at < cases.len;) {
        const uint8_t *end = memchr(cases.data + at, '\n', cases.len - at);
        ck_assert_ptr_nonnull(end);
        ps_slice line = ps_slice_of(cases.data + at, (size_t)(end - cases.data) - at);
        texts += check_line(line, ++lines);
        at += line.len + 1;
    }
    ck_assert_uint_eq(lines, 17);
    ck_assert_uint_gt(texts, 200);
    ps_buf_free(&cases);
}
END_TEST

static const ps_check_case tests[] = {
    {&texts_are_those_of_the_independent_library},
    {0},
};

int main(void)
{
    return ps_check_main("tokenizer/decoders", tests);
}
