/* changed: every kind of key is seen to change, by its name alone; what a reload takes is not. */
#include "common/conf/changed.h"

#include "common/base/buf.h"
#include "tests/lib/check_main.h"

#include <stddef.h>

typedef struct inner {
    char *file;
    bool on;
} inner;

typedef struct outer {
    inner tls, log;
    int64_t loops;
    double rate;
    uint64_t size, wait;
    unsigned word;
    char **roots;
    size_t n_roots;
    int64_t *ports;
    size_t n_ports;
} outer;

static const char *const words[] = {"auto", "off", NULL};

static const ps_conf_key inner_keys[] = {
    PS_CONF_TEXT("file", inner, file, "", 0, 100),
    PS_CONF_BOOL("on", inner, on, "true"),
    PS_CONF_END,
};

static const ps_conf_key keys[] = {
    PS_CONF_MAP("tls", outer, tls, inner_keys),
    PS_CONF_MAP("log", outer, log, inner_keys),
    PS_CONF_INT("loops", outer, loops, "1", 0, 9),
    PS_CONF_REAL("rate", outer, rate, "0.5", 0, 1),
    PS_CONF_BYTES("size", outer, size, "1KiB", 0, 1 << 20),
    PS_CONF_DURATION("wait", outer, wait, "1s", 0, 9000),
    PS_CONF_WORD("word", outer, word, "auto", words),
    PS_CONF_TEXTS("roots", outer, roots, "[/a]", 0, 4, 1, 100),
    PS_CONF_INTS("ports", outer, ports, "[1, 2]", 0, 4, 0, 9),
    PS_CONF_END,
};

static const ps_conf_schema schema = {.keys = keys, .size = sizeof(outer)};

static void expect(const char *before, const char *now, const char *wanted)
{
    static const char *const taken[] = {"log", "tls.on", NULL};
    void *a = NULL, *b = NULL;
    size_t n = 99;
    ps_buf list = PS_BUF_EMPTY;
    ck_ok(ps_conf_load(&schema, ps_slice_str(before), "a.yaml", NULL, &a));
    ck_ok(ps_conf_load(&schema, ps_slice_str(now), "b.yaml", NULL, &b));
    char **names = ps_conf_changed(&schema, a, b, taken, &n);
    for (size_t i = 0; i < n; i++)
        ps_buf_printf(&list, "%s ", names[i]);
    ck_assert_str_eq(ps_buf_cstr(&list), wanted);
    ps_conf_changed_log("test", names, n);
    ps_conf_changed_free(&names, n);
    ps_buf_free(&list);
    ps_conf_free(&schema, a);
    ps_conf_free(&schema, b);
}

START_TEST(what_differs_is_named)
{
    expect("", "tls: {file: ca.crl}", "tls.file ");
    expect("tls: {file: ca.crl}", "", "tls.file "); /* taken away */
    expect("tls: {file: a}", "tls: {file: b}", "tls.file ");
    expect("", "loops: 2", "loops ");
    expect("", "rate: 0.25", "rate ");
    expect("", "size: 2KiB", "size ");
    expect("", "wait: 1001ms", "wait ");
    expect("", "word: off", "word ");
    expect("", "roots: [/a, /b]", "roots ");
    expect("", "roots: []", "roots ");
    expect("", "ports: [2, 1]", "ports ");
    expect("ports: []\nloops: 3", "tls: {file: x}\nroots: [/c]", "tls.file loops roots ports ");
}
END_TEST

START_TEST(what_is_the_same_or_taken_is_not)
{
    expect("", "", "");
    expect("", "size: 1024\nwait: 1000ms\nroots: ['/a']\nrate: 5.0e-1\nloops: 1", "");
    expect("", "log: {file: x, on: false}\ntls: {on: false}", "");
}
END_TEST

static const ps_check_case tests[] = {
    {&what_differs_is_named},
    {&what_is_the_same_or_taken_is_not},
    {0},
};

int main(void)
{
    return ps_check_main("common/conf/changed", tests);
}
