/* explain_view: bars with a sign, tokens with theirs, and nothing that a terminal would obey. */
#include "client/show/explain_view.h"

#include "tests/lib/check_main.h"
#include "tests/lib/data_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const float values[] = {0.5F, -2, 0, 1};

#define MANIFEST(language, contents)                                                               \
    "{\"psd_explain\":1,\"lineage\":{\"model\":{\"name\":\"m\",\"architecture\":\"a\"},\"data\":"  \
    "\"/d/x\",\"seed\":1},\"score\":\"logit\",\"target\":\"predicted\",\"baseline\":\"zero\","     \
    "\"classes\":true,\"language\":" language ",\"contents\":\"" contents "\",\"results\":[{"      \
    "\"kind\":\"attributions\",\"method\":\"ig\",\"arrays\":[{\"name\":\"values\",\"array\":"      \
    "\"attributions/0/values\",\"axes\":[\"row\",\"feature\"]}],\"residual\":{\"relative_median\"" \
    ":0.25,\"relative_max\":0.5,\"tolerance\":0.01,\"unmet\":1},\"evaluations\":12,\"seconds\":2"  \
    "}],\"rows\":[{\"row\":7,\"label\":1,\"prediction\":0,\"target\":0,\"confidence\":0.75,"       \
    "\"score\":3.5},{\"row\":9,\"prediction\":0,\"target\":0,\"confidence\":1,\"score\":1}],"      \
    "\"warnings\":[\"be\\u001bware\"]}"

static void put_token(void *user, uint32_t id, ps_buf *out)
{
    ps_buf_puts(out, id == 2 ? "\x1b[31mred" : "the");
}

static char *view_of(const char *json, ps_explain_view *view, const ps_style *style)
{
    static const char header[] =
        "{\"attributions/0/values\":{\"dtype\":\"F32\",\"shape\":[1,4],\"data_offsets\":[0,16]},"
        "\"rows/tokens\":{\"dtype\":\"F32\",\"shape\":[1,4],\"data_offsets\":[16,32]}}";
    static const float tokens[] = {1, 2, 1, 1};
    float data[8];
    size_t len = 0;
    ps_explanation manifest;
    ps_safetensors *file = NULL;
    ps_buf out = PS_BUF_EMPTY;
    memcpy(data, values, sizeof values);
    memcpy(data + 4, tokens, sizeof tokens);
    uint8_t *bytes = ps_test_safetensors(
        header, ps_slice_of((const uint8_t *)(const void *)data, sizeof data), &len);
    ck_ok(ps_safetensors_parse(ps_slice_of(bytes, len), len, &file));
    ck_ok(ps_explanation_read(ps_slice_str(json), &manifest));
    view->manifest = &manifest;
    view->file = file;
    view->arrays = ps_slice_of(bytes, len);
    view->rows = 1;
    view->strongest = 2;
    ps_explain_text(&out, style, view);
    char *text = strdup(ps_buf_cstr(&out));
    ps_buf_free(&out);
    ps_safetensors_free(&file);
    ps_explanation_free(&manifest);
    free(bytes);
    return text;
}

static void has(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "'%s' is not in:\n%s", part, text);
}

START_TEST(the_strongest_features_come_first_with_their_sign)
{
    static char none[] = "no\x1bne", some[] = "some";
    char *names[] = {none, some};
    ps_explain_view view = {.names = names, .n_names = 2};
    char *text = view_of(MANIFEST("false", ""), &view, &(ps_style){.color = false});
    has(text, "row 7  label some  prediction no?ne (75.0%)  score 3.5\n");
    has(text, "    feature 1              -2  --------------------\n"
              "    feature 3              +1  ++++++++++\n");
    ck_assert_ptr_null(strstr(text, "feature 0"));
    has(text, "and 1 rows more");
    has(text, "explained  logit of predicted, against zero\nrows       2, seed 1\n");
    has(text, "ig: 12 evaluations, 2s of workers,\n    residual 0.25 (largest 0.5), above the "
              "tolerance\n"); /* 83 columns in one line */
    has(text, "warning: be?ware\n");
    ck_assert_ptr_null(strchr(text, '\x1b'));
    free(text);
}
END_TEST

START_TEST(tokens_are_text_whatever_they_say)
{
    ps_explain_view view = {.token = put_token};
    char *text = view_of(MANIFEST("true", "rows/tokens"), &view, &(ps_style){.color = false});
    has(text, "the(+0.5) ?[31mred(-2) the(+0) the(+1) ");
    ck_assert_ptr_null(strchr(text, '\x1b'));
    free(text);
    view.token = NULL;
    text = view_of(MANIFEST("true", "rows/tokens"), &view, &(ps_style){.color = false});
    has(text, "?(+0.5) ?(-2) ");
    free(text);
}
END_TEST

START_TEST(arrays_that_are_not_there_are_left_out)
{
    ps_explain_view view = {.n_names = 0};
    char *text = view_of("{\"psd_explain\":1,\"results\":[{\"method\":\"m\",\"arrays\":[{\"name\":"
                         "\"values\",\"array\":\"nowhere\"}]}],\"rows\":[{\"row\":1}]}",
                         &view, &(ps_style){.color = false});
    has(text, "prompt 1");
    has(text, "m: 0 evaluations");
    free(text);
    text = view_of("{\"psd_explain\":1,\"results\":[{\"method\":\"m\\u001b[2J\"}],\"rows\":[]}",
                   &view, &(ps_style){.color = false});
    has(text, "m?[2J: 0 evaluations");
    ck_assert_ptr_null(strstr(text, "explained")); /* there are no rows whose score that were */
    ck_assert_ptr_null(strstr(text, "seed"));
    free(text);
}
END_TEST

static const ps_check_case cases[] = {
    {&the_strongest_features_come_first_with_their_sign},
    {&tokens_are_text_whatever_they_say},
    {&arrays_that_are_not_there_are_left_out},
    {0},
};

int main(void)
{
    return ps_check_main("show/explain_view", cases);
}
