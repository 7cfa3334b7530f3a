/* model_tree: what was made of what, whatever psd says: parents that are gone or were replaced, and
 * rings. */
#include "client/show/model_tree.h"

#include "client/call/support.h"
#include "tests/lib/check_main.h"

#include <string.h>

enum { MOST = 8 };

/* Names and parents, by name; a version is "v:NAME", of a parent "v:PARENT" unless it is older. */
static void draws(const char *const (*rows)[2], const char *older, const char *tree)
{
    static Psd__V1__Model models[MOST];
    static char versions[MOST][16], parents[MOST][16];
    Psd__V1__Model *list[MOST];
    size_t n = 0;
    for (; rows[n][0]; n++) {
        Psd__V1__Model *m = list[n] = &models[n];
        psd__v1__model__init(m);
        const char *parent = rows[n][1];
        (void)snprintf(versions[n], sizeof versions[n], "v:%s", rows[n][0]);
        (void)snprintf(parents[n], sizeof parents[n], *parent ? "v:%s" : "", parent);
        m->name = ps_borrow(rows[n][0]);
        m->version = versions[n];
        m->parent = ps_borrow(parent);
        m->parent_version = strcmp(rows[n][0], older) != 0 ? parents[n] : ps_borrow("v:old");
        m->forms = ps_borrow("float32");
        m->job_id = *parent ? 1 : 0;
        m->bytes = 1000;
        m->parameters = 250;
        m->tensor_bytes = 1000;
    }
    ps_buf out = PS_BUF_EMPTY;
    const ps_style plain = {.utf8 = true};
    ps_model_tree(&out, &plain, list, n);
    const char *text = strchr(ps_buf_cstr(&out), '\n') + 1; /* the header */
    ps_buf names = PS_BUF_EMPTY;
    for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
        const char *size = strstr(line, "1.0 kB"), *end = strchr(line, '\n');
        const char *remark = strstr(line, "float32");
        while (size > line && size[-1] == ' ')
            size--;
        remark += strlen("float32");
        while (*remark == ' ')
            remark++;
        ps_buf_printf(&names, "%.*s|%.*s\n", (int)(size - line), line, (int)(end - remark), remark);
    }
    ck_assert_str_eq(ps_buf_cstr(&names), tree);
    ps_buf_free(&names);
    ps_buf_free(&out);
}

START_TEST(models_stand_below_what_they_were_made_of)
{
    static const char *const rows[][2] = {{"a", ""},  {"a-q4", "a"}, {"b", "gone"}, {"c", "a-q4"},
                                          {"d", "a"}, {"e", "a-q4"}, {NULL, NULL}};
    draws(rows, "d",
          "a|imported\n"
          "├ a-q4|\n"
          "│ ├ c|\n"
          "│ └ e|\n"
          "└ d|of an older a\n"
          "b|of gone, which is gone\n");
}
END_TEST

START_TEST(a_ring_is_shown_once)
{
    static const char *const two[][2] = {{"a", "b"}, {"b", "a"}, {NULL, NULL}};
    static const char *const own[][2] = {{"a", "a"}, {NULL, NULL}};
    static const char *const tail[][2] = {
        {"a", "c"}, {"b", "a"}, {"c", "b"}, {"d", "b"}, {NULL, NULL}};
    draws(two, "b", "a|\n└ b|of an older a\n");
    draws(own, "a", "a|of a, which is gone\n");
    draws(tail, "", "a|\n└ b|\n  ├ c|\n  └ d|\n");
    static const char *const none[][2] = {{NULL, NULL}};
    draws(none, "", "");
}
END_TEST

static const ps_check_case tests[] = {
    {&models_stand_below_what_they_were_made_of},
    {&a_ring_is_shown_once},
    {0},
};

int main(void)
{
    return ps_check_main("show/model_tree", tests);
}
