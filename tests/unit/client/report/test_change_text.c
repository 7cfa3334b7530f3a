/* change_text: tensors by what counts most, figures by their names in the manifest, and nothing
 * that a terminal would obey; what a file does not have is left out. */
#include "client/report/change_text.h"

#include "tests/lib/check_main.h"
#include "tests/lib/data_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LINEAGE                                                                             \
    "{\"psd_explain\":1,\"lineage\":{\"model\":{\"name\":\"big\",\"tensors\":[\"a\",\"b\"," \
    "\"c\\u001b\"]},\"compared_with\":{\"name\":\"small\",\"version\":\"v\"}},\"results\":["
#define CHANGE                                                                            \
    "{\"method\":\"weight_change\",\"arrays\":[{\"name\":\"statistics\",\"array\":\"s\"," \
    "\"axes\":[\"tensor\",\"quantity\"],\"entries\":[\"largest\",\"change\",\"sqnr\"]}]}"
#define PATH                                                                                   \
    ",{\"method\":\"loss_path\",\"arrays\":[{\"name\":\"by_tensor\",\"array\":\"p\",\"axes\":" \
    "[\"tensor\"]},{\"name\":\"summary\",\"array\":\"q\",\"axes\":[\"quantity\"],\"entries\":" \
    "[\"rows\",\"loss\",\"other_loss\",\"difference\",\"sum\"]}]}"

/* Text, or with JSON true that. */
static char *shown(const char *json, size_t most, bool as_json)
{
    static const char header[] =
        "{\"s\":{\"dtype\":\"F32\",\"shape\":[3,3],\"data_offsets\":[0,36]},"
        "\"p\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[36,48]},"
        "\"q\":{\"dtype\":\"F32\",\"shape\":[5],\"data_offsets\":[48,68]}}";
    const float data[] = {0.25F, 0.5F,  6, 0,  0,     INFINITY, NAN,   NAN,   NAN,
                          0.01F, -0.5F, 0, 10, 0.25F, 0.75F,    -0.5F, -0.49F};
    size_t len = 0;
    ps_explanation manifest;
    ps_safetensors *file = NULL;
    ps_buf out = PS_BUF_EMPTY;
    uint8_t *bytes = ps_test_safetensors(
        header, ps_slice_of((const uint8_t *)(const void *)data, sizeof data), &len);
    ck_ok(ps_safetensors_parse(ps_slice_of(bytes, len), len, &file));
    ck_ok(ps_explanation_read(ps_slice_str(json), &manifest));
    const ps_explain_view view = {
        .manifest = &manifest, .file = file, .arrays = ps_slice_of(bytes, len)};
    if (as_json) {
        ps_json_writer w = ps_json_writer_to(&out);
        ps_json_object(&w);
        ps_change_json(&w, &view);
        ps_json_object_end(&w);
    } else {
        ps_change_text(&out, &(ps_style){.color = false}, &view, most);
    }
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

/* Is one before the other? */
static void in_order(const char *text, const char *first, const char *second)
{
    const char *a = strstr(text, first), *b = strstr(text, second);
    ck_assert_msg(a && b && a < b, "'%s' is not before '%s' in:\n%s", first, second, text);
}

START_TEST(the_largest_change_comes_first)
{
    char *text = shown(LINEAGE CHANGE "]}", 9, false);
    has(text, "big and small\n");
    in_order(text, "\na ", "\nb ");
    in_order(text, "\nb ", "\nc?");
    has(text, "50 %");
    has(text, "6.0 dB");
    has(text, "the same");
    has(text, "++++++++++++++++");
    ck_assert_ptr_null(strchr(text, '\x1b'));
    free(text);
    text = shown(LINEAGE CHANGE "]}", 1, false);
    has(text, "and 2 tensors more");
    free(text);
}
END_TEST

START_TEST(what_the_loss_went_through_comes_before_that)
{
    char *text = shown(LINEAGE CHANGE PATH "]}", 9, false);
    in_order(text, "\nb ", "\na ");
    has(text, "-0.5");
    has(text, "----------------");
    has(text, "on 10 rows: -0.5; what went through the tensors adds up to -0.49");
    free(text);
    text = shown(LINEAGE CHANGE PATH "]}", 9, true);
    has(text, "\"name\":\"a\",\"loss\":0.00999");
    has(text, "\"change\":0.5");
    has(text, "\"loss_path\":{\"rows\":10");
    free(text);
}
END_TEST

START_TEST(what_is_not_there_is_left_out)
{
    char *text = shown("{\"psd_explain\":1}", 9, false);
    ck_assert_str_eq(text, "");
    free(text);
    text = shown("{\"psd_explain\":1,\"lineage\":{\"compared_with\":{\"name\":\"x\"},\"model\":{"
                 "\"tensors\":[\"a\"]}},\"results\":[{\"method\":\"weight_change\",\"arrays\":[{"
                 "\"name\":\"statistics\",\"array\":\"nowhere\",\"entries\":[\"change\"]}]},{"
                 "\"method\":\"loss_path\",\"arrays\":[{\"name\":\"summary\",\"array\":\"p\","
                 "\"entries\":[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\"]}]}]}",
                 9, false);
    has(text, "\na");
    free(text);
}
END_TEST

static const ps_check_case cases[] = {
    {&the_largest_change_comes_first},
    {&what_the_loss_went_through_comes_before_that},
    {&what_is_not_there_is_left_out},
    {0},
};

int main(void)
{
    return ps_check_main("report/change_text", cases);
}
