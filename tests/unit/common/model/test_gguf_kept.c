/* gguf_kept: what is kept of a hostile file has an end, however its texts are written. */
#include "common/model/gguf_kept.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"

#include <string.h>

enum { LONG = 2 << 20 };

/* Six bytes of JSON for each: more than is kept of a file altogether. */
START_TEST(a_text_that_grows_leaves_no_room_for_others)
{
    ps_buf text = PS_BUF_EMPTY, json = PS_BUF_EMPTY;
    for (size_t i = 0; i < LONG; i++)
        ps_buf_putc(&text, 1);
    ps_gguf_key keys[3] = {0};
    const char *const names[] = {"general.a", "general.b", "general.c"};
    for (size_t i = 0; i < 3; i++)
        keys[i] = (ps_gguf_key){
            .name = ps_slice_str(names[i]), .type = PS_GGUF_STRING, .bytes = ps_buf_slice(&text)};
    const ps_gguf file = {.keys = keys, .n_keys = 3};
    ps_gguf_kept_read(&file, &json);
    ck_assert_uint_gt(json.len, (size_t)6 * LONG);
    ck_assert_uint_lt(json.len, (size_t)7 * LONG);
    ck_assert_ptr_null(strstr(ps_buf_cstr(&json), "general.b"));
    ps_buf_free(&text);
    ps_buf_free(&json);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_text_that_grows_leaves_no_room_for_others},
    {0},
};

int main(void)
{
    return ps_check_main("common/model/gguf_kept", cases);
}
