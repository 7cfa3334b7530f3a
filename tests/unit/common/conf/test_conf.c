/* conf: what a file may say, and the one line that a fault in it gets. */
#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/conf/blocks.h"
#include "tests/lib/check_main.h"
#include "tests/lib/conf_sample.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef ps_test_conf_inner inner;
typedef ps_test_conf outer;

static const char *const words[] = {"red", "green", "blue", NULL};
static const char *const modes[] = {"asp", "bsp", NULL};
static const ps_conf_key inner_keys[] = {
    PS_CONF_INT("port", inner, port, "7600", 1, 65535),
    PS_CONF_TEXT("text", inner, text, "", 0, 20),
    PS_CONF_END,
};
static const ps_conf_key outer_keys[] = {
    PS_CONF_BOOL("flag", outer, flag, "true"),
    PS_CONF_INT("number", outer, number, "-3", -10, 10),
    PS_CONF_REAL("real", outer, real, "0.1", 0, 1),
    PS_CONF_TEXT("name", outer, name, "nobody", 1, 8),
    PS_CONF_NAME("mode", outer, mode, "asp", modes),
    PS_CONF_WORD("word", outer, word, "green", words),
    PS_CONF_BYTES("bytes", outer, bytes, "64MiB", 1024, 1ll << 40),
    PS_CONF_DURATION("wait", outer, wait_ms, "30s", 100, 3600000),
    PS_CONF_INTS("widths", outer, widths, "[4, 2]", 1, 4, 1, 100),
    PS_CONF_TEXTS("roots", outer, roots, "[/a, /b]", 0, 3, 1, 100),
    PS_CONF_MAP("always", outer, always, inner_keys),
    PS_CONF_MAP_OPT("maybe", outer, maybe, inner_keys),
    PS_CONF_END,
};
static const ps_conf_schema schema = {.keys = outer_keys, .size = sizeof(outer)};

static const ps_conf_key place_keys[] = {
    PS_CONF_TEXT("name", inner, name, NULL, 1, 8),
    PS_CONF_INT("port", inner, port, NULL, 1, 65535),
    PS_CONF_TEXT("text", inner, text, "none", 0, 20),
    PS_CONF_END,
};
static const ps_conf_key places_keys[] = {
    PS_CONF_TEXT("current", outer, name, "", 0, 8),
    PS_CONF_NAMED("places", outer, all, place_keys, 3),
    PS_CONF_END,
};
static const ps_conf_key step_keys[] = {
    PS_CONF_TEXT("name", inner, name, NULL, 1, 8),
    PS_CONF_INT("port", inner, port, "7", 1, 65535),
    PS_CONF_TEXT("text", inner, text, "none", 0, 20),
    PS_CONF_END,
};
static const ps_conf_key steps_keys[] = {
    PS_CONF_MAPS("steps", outer, all, step_keys, 0, 3),
    PS_CONF_END,
};
static const ps_conf_schema steps_schema = {.keys = steps_keys, .size = sizeof(outer)};
static const ps_conf_schema places_schema = {.keys = places_keys, .size = sizeof(outer)};

static outer *load(const char *yaml)
{
    void *data = NULL;
    ps_status st = ps_conf_load(&schema, ps_slice_str(yaml), "t.yaml", NULL, &data);
    ck_assert_msg(st == PS_OK, "%s", ps_error_message());
    return data;
}

static void refuses(const char *yaml, const char *message)
{
    void *data = NULL;
    ps_status st = ps_conf_load(&schema, ps_slice_str(yaml), "t.yaml", NULL, &data);
    ck_assert_int_eq(st, PS_INVALID_ARGUMENT);
    ck_assert_ptr_null(data);
    ck_assert_str_eq(ps_error_message(), message);
}

START_TEST(structs_stand_under_names_of_the_users_choice)
{
    void *data = NULL;
    const char *yaml = "current: b\nplaces:\n  b: {port: 2, text: x}\n  a: {port: 1}\n";
    ps_status st = ps_conf_load(&places_schema, ps_slice_str(yaml), "t.yaml", NULL, &data);
    ck_assert_msg(st == PS_OK, "%s", ps_error_message());
    outer *p = data;
    ck_assert_uint_eq(p->n_all, 2);
    ck_assert_str_eq(p->all[0].name, "b");
    ck_assert_int_eq(p->all[0].port, 2);
    ck_assert_str_eq(p->all[0].text, "x");
    ck_assert_str_eq(p->all[1].name, "a");
    ck_assert_str_eq(p->all[1].text, "none");
    ps_conf_free(&places_schema, data);
    static const char *const none[] = {"", "places:\n", "places: {}\n"};
    for (size_t i = 0; i < 3; i++) {
        ck_ok(ps_conf_load(&places_schema, ps_slice_str(none[i]), "t.yaml", NULL, &data));
        ck_assert_uint_eq(((outer *)data)->n_all, 0);
        ps_conf_free(&places_schema, data);
    }
}
END_TEST

START_TEST(structs_stand_in_a_list_and_a_plain_entry_is_its_first_key)
{
    void *data = NULL;
    const char *yaml = "steps: [a, {name: b, port: 2}]\n";
    ck_ok(ps_conf_load(&steps_schema, ps_slice_str(yaml), "t.yaml", NULL, &data));
    outer *p = data;
    ck_assert_uint_eq(p->n_all, 2);
    ck_assert_str_eq(p->all[0].name, "a");
    ck_assert_int_eq(p->all[0].port, 7);
    ck_assert_str_eq(p->all[1].name, "b");
    ck_assert_int_eq(p->all[1].port, 2);
    ck_assert_str_eq(p->all[1].text, "none");
    ps_conf_free(&steps_schema, data);
    ck_ok(ps_conf_load(&steps_schema, ps_slice_str(""), "t.yaml", NULL, &data));
    ck_assert_uint_eq(((outer *)data)->n_all, 0);
    ps_conf_free(&steps_schema, data);
}
END_TEST

START_TEST(faults_in_an_entry_have_its_line_and_number)
{
    static const struct {
        const char *yaml, *message;
    } faults[] = {
        {"steps: a\n", "t.yaml:1: steps: expected a list, got 'a'"},
        {"steps:\n  - a\n  - {name: b, port: 0}\n",
         "t.yaml:3: steps[1].port: 0 is out of range, allowed 1 to 65535"},
        {"steps:\n  - {port: 3}\n", "t.yaml:2: steps[0].name: missing; a text is required here"},
        {"steps:\n  - a\n  - {name: b, prot: 1}\n",
         "t.yaml:3: steps[1].prot: unknown key; did you mean 'port'? allowed: name, port, text"},
        {"steps:\n  - [a]\n", "t.yaml:2: steps[0].name: expected a text, got a list"},
        {"steps: [a, b, c, d]\n", "t.yaml:1: steps: 4 entries, allowed 0 to 3"},
    };
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        void *data = NULL;
        ck_assert_int_eq(
            ps_conf_load(&steps_schema, ps_slice_str(faults[i].yaml), "t.yaml", NULL, &data),
            PS_INVALID_ARGUMENT);
        ck_assert_str_eq(ps_error_message(), faults[i].message);
    }
}
END_TEST

START_TEST(faults_below_such_a_name_have_its_line_and_path)
{
    static const struct {
        const char *yaml, *message;
    } faults[] = {
        {"places: 3\n", "t.yaml:1: places: expected names with keys and values, got '3'"},
        {"places:\n  a: {}\n", "t.yaml:2: places.a.port: missing; an integer is required here"},
        {"places:\n  a: {port: 1}\n  a: {port: 2}\n",
         "t.yaml:3: places: 'a' is there twice, first on line 2"},
        {"places:\n  a: {name: b, port: 1}\n",
         "t.yaml:2: places.a.name: unknown key; allowed: port, text"},
        {"places: {a: {port: 1}, b: {port: 1}, c: {port: 1}, d: {port: 1}}\n",
         "t.yaml:1: places: more than 3 of them"},
        {"places: {a23456789: {port: 1}}\n", NULL},
    };
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        void *data = NULL;
        ps_status st =
            ps_conf_load(&places_schema, ps_slice_str(faults[i].yaml), "t.yaml", NULL, &data);
        ck_assert_int_eq(st, PS_INVALID_ARGUMENT);
        ck_assert_ptr_null(data);
        if (faults[i].message)
            ck_assert_str_eq(ps_error_message(), faults[i].message);
    }
}
END_TEST

START_TEST(an_empty_file_gives_every_default)
{
    outer *o = load("# nothing but a comment\n");
    ck_assert(o->flag);
    ck_assert_int_eq(o->number, -3);
    ck_assert_double_eq(o->real, 0.1);
    ck_assert_str_eq(o->name, "nobody");
    ck_assert_str_eq(o->mode, "asp");
    ck_assert_uint_eq(o->word, 1);
    ck_assert_uint_eq(o->bytes, 64u << 20);
    ck_assert_uint_eq(o->wait_ms, 30000);
    ck_assert_uint_eq(o->n_widths, 2);
    ck_assert_int_eq(o->widths[0], 4);
    ck_assert_int_eq(o->widths[1], 2);
    ck_assert_uint_eq(o->n_roots, 2);
    ck_assert_str_eq(o->roots[1], "/b");
    ck_assert_int_eq(o->always.port, 7600);
    ck_assert_str_eq(o->always.text, "");
    ck_assert_ptr_null(o->maybe);
    ps_conf_free(&schema, o);
}
END_TEST

START_TEST(every_type_is_read)
{
    outer *o =
        load("flag: false\nnumber: +7\nreal: 2.5e-1\nname: 'a \"b\\'\nmode: bsp\nword: blue\n"
             "bytes: 2 MB\nwait: 2m\nwidths: [1,\n 2, 3]\nroots: []\n"
             "always: {port: 1}\nmaybe:\n  text: \"gr\\u00fcn\"\n");
    ck_assert(!o->flag);
    ck_assert_int_eq(o->number, 7);
    ck_assert_double_eq(o->real, 0.25);
    ck_assert_str_eq(o->name, "a \"b\\");
    ck_assert_str_eq(o->mode, "bsp");
    ck_assert_uint_eq(o->word, 2);
    ck_assert_uint_eq(o->bytes, 2000000);
    ck_assert_uint_eq(o->wait_ms, 120000);
    ck_assert_uint_eq(o->n_widths, 3);
    ck_assert_uint_eq(o->n_roots, 0);
    ck_assert_int_eq(o->always.port, 1);
    ck_assert_int_eq(o->maybe->port, 7600);
    ck_assert_str_eq(o->maybe->text, "gr\xc3\xbcn");
    ps_conf_free(&schema, o);
}
END_TEST

START_TEST(a_section_with_everything_commented_out_is_its_defaults)
{
    outer *o = load("always:\n  # port: 3\nname: x\n");
    ck_assert_int_eq(o->always.port, 7600);
    ps_conf_free(&schema, o);
}
END_TEST

START_TEST(a_value_out_of_range_names_line_key_and_range)
{
    refuses("name: x\n\nalways:\n  port: 99999\n",
            "t.yaml:4: always.port: 99999 is out of range, allowed 1 to 65535");
    refuses("number: 99999999999999999999\n",
            "t.yaml:1: number: 99999999999999999999 is out of range, allowed -10 to 10");
    refuses("real: 1.5\n", "t.yaml:1: real: 1.5 is out of range, allowed 0 to 1");
    refuses("real: 1e999\n", "t.yaml:1: real: 1e999 is out of range, allowed 0 to 1");
    refuses("bytes: 5\n", "t.yaml:1: bytes: 5 is out of range, allowed 1KiB to 1TiB");
    refuses("bytes: 99999999999999999999TiB\n",
            "t.yaml:1: bytes: 99999999999999999999TiB is out of range, allowed 1KiB to 1TiB");
    refuses("wait: 2h\n", "t.yaml:1: wait: 2h is out of range, allowed 100ms to 1h");
    refuses("widths: [1, 2, 0]\n", "t.yaml:1: widths[2]: 0 is out of range, allowed 1 to 100");
    refuses("widths: [1, 2, 3, 4, 5]\n", "t.yaml:1: widths: 5 entries, allowed 1 to 4");
    refuses("widths: []\n", "t.yaml:1: widths: 0 entries, allowed 1 to 4");
    refuses("name: ''\n", "t.yaml:1: name: must not be empty");
    refuses("name: 123456789\n", "t.yaml:1: name: '123456789' has 9 bytes, allowed 1 to 8");
}
END_TEST

START_TEST(a_misspelt_key_names_the_one_that_was_meant)
{
    refuses("number: 1\nalways:\n  prot: 3\n",
            "t.yaml:3: always.prot: unknown key; did you mean 'port'? allowed: port, text");
    refuses("maybe: {zzzzzz: 1}\n", "t.yaml:1: maybe.zzzzzz: unknown key; allowed: port, text");
    refuses("word: gren\n",
            "t.yaml:1: word: 'gren' is not known; did you mean 'green'? allowed: red, green, blue");
    refuses("mode: ssp\n",
            "t.yaml:1: mode: 'ssp' is not known; did you mean 'asp'? allowed: asp, bsp");
}
END_TEST

START_TEST(a_wrong_type_says_what_was_expected_and_what_was_there)
{
    refuses("number: abc\n", "t.yaml:1: number: expected an integer, got 'abc'");
    refuses("number: 1.5\n", "t.yaml:1: number: expected an integer, got '1.5'");
    refuses("number: [1]\n", "t.yaml:1: number: expected an integer, got a list");
    refuses("number:\n", "t.yaml:1: number: expected an integer, got nothing");
    refuses("real: nan\n", "t.yaml:1: real: expected a number, got 'nan'");
    refuses("real: 0x1p-3\n", "t.yaml:1: real: expected a number, got '0x1p-3'");
    refuses("flag: yes\n", "t.yaml:1: flag: expected true or false, got 'yes'");
    refuses("bytes: -1\n", "t.yaml:1: bytes: expected a size such as 64MiB, got '-1'");
    refuses("wait: 30\n", "t.yaml:1: wait: expected a duration such as 30s, 5m or 250ms, got '30'");
    refuses("always: 3\n", "t.yaml:1: always: expected keys and values, got '3'");
    refuses("always: [1]\n", "t.yaml:1: always: expected keys and values, got a list");
    refuses("widths: 3\n", "t.yaml:1: widths: expected a list of integers, got '3'");
    refuses("widths: {a: 3}\n",
            "t.yaml:1: widths: expected a list of integers, got keys and values");
    refuses("- 1\n", "t.yaml:1: expected keys and values, got a list");
    refuses("hello\n", "t.yaml:1: expected keys and values, got 'hello'");
}
END_TEST

START_TEST(a_key_written_twice_names_both_lines)
{
    refuses("number: 1\nname: x\nnumber: 2\n", "t.yaml:3: number: written twice, first on line 1");
}
END_TEST

START_TEST(what_a_configuration_has_no_use_for_is_refused)
{
    refuses("always: &a {port: 1}\nmaybe: *a\n", "t.yaml:1: anchors (&) are not allowed");
    refuses("number: *a\n", "t.yaml:1: aliases (*) are not allowed");
    refuses("number: !!int 3\n", "t.yaml:1: tags (!) are not allowed");
    refuses("a: &x b\n", "t.yaml:1: anchors (&) are not allowed");
    refuses("number: 1\n---\nnumber: 2\n", "t.yaml:2: a second document; one file holds one");
    refuses("? [a]\n: b\n", "t.yaml:1: a key must be a plain word");
    refuses("name: \"a\\0b\"\n", "t.yaml:1: a zero byte in a value");
    refuses("name: \"a\\nb\"\n", "t.yaml:1: name: 'a?b' has a control character");
    refuses("name: \"a\\Nb\"\n", "t.yaml:1: name: 'a??b' has a control character");
    refuses("name: \"a\\Lb\"\n", "t.yaml:1: name: 'a???b' has a control character");
    refuses("widths: [[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]\n", "t.yaml:1: nested too deeply");
}
END_TEST

START_TEST(a_byte_order_mark_is_passed_over)
{
    outer *o = load("\xef\xbb\xbf"
                    "number: 7\nname: x\n");
    ck_assert_int_eq(o->number, 7);
    ps_conf_free(&schema, o);
    refuses("\xef\xbb\xbf"
            "number: 7\nnumber: 8\n",
            "t.yaml:2: number: written twice, first on line 1");
    refuses("\xff\xfe"
            "n",
            "t.yaml:1: this is text in UTF-16; convert it (iconv -f UTF-16 -t UTF-8)");
}
END_TEST

START_TEST(bytes_that_are_not_yaml_name_the_line)
{
    void *data = NULL;
    static const char *const bad[] = {"a: [1, 2\nb: }\n", "\xff\xfe\x00", "a: b: c\n",
                                      "\t\n- a\nb"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_eq(ps_conf_load(&schema, ps_slice_str(bad[i]), "t.yaml", NULL, &data),
                         PS_INVALID_ARGUMENT);
        ck_assert_int_eq(strncmp(ps_error_message(), "t.yaml:", 7), 0);
    }
}
END_TEST

START_TEST(size_and_number_of_values_are_bounded)
{
    void *data = NULL;
    ps_buf big = PS_BUF_EMPTY;
    while (big.len <= PS_CONF_MAX_BYTES)
        ps_buf_puts(&big, "# a comment to fill the file\n");
    ck_assert_int_eq(ps_conf_load(&schema, ps_buf_slice(&big), "t.yaml", NULL, &data),
                     PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "at most 262144 are read"));
    ps_buf_clear(&big);
    ps_buf_puts(&big, "widths: [");
    for (int i = 0; i < PS_CONF_MAX_NODES; i++)
        ps_buf_puts(&big, "1,");
    ps_buf_puts(&big, "1]\n");
    ck_assert_int_eq(ps_conf_load(&schema, ps_buf_slice(&big), "t.yaml", NULL, &data),
                     PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(), "t.yaml:1: the document has too many values");
    ps_buf_free(&big);
}
END_TEST

START_TEST(a_long_or_ugly_value_is_cut_in_the_message)
{
    refuses("number: \"\\x1b[31maaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"\n",
            "t.yaml:1: number: expected an integer, got '?[31m"
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...'");
}
END_TEST

START_TEST(a_document_knows_the_lines_of_its_keys)
{
    ps_conf_doc *doc = NULL;
    void *data = NULL;
    ck_ok(ps_conf_load(&schema,
                       ps_slice_str("name: x\nalways:\n  port: 3\nwidths:\n"
                                    "- 1\n- 2\n"),
                       "t.yaml", &doc, &data));
    ck_assert(ps_conf_has(doc, "always.port"));
    ck_assert(!ps_conf_has(doc, "always.text"));
    ck_assert(!ps_conf_has(doc, "number"));
    ck_assert_int_eq(ps_conf_fail(doc, "widths[1]", "is %d", 2), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(), "t.yaml:6: widths[1]: is 2");
    (void)ps_conf_fail(doc, "always.text", "absent");
    ck_assert_str_eq(ps_error_message(), "t.yaml:2: always.text: absent");
    ps_conf_doc_free(&doc);
    ck_assert_ptr_null(doc);
    ps_conf_free(&schema, data);
}
END_TEST

START_TEST(a_flag_is_checked_like_the_file)
{
    outer *o = load("");
    ck_ok(ps_conf_set(&schema, o, "always.port", "80", "--port"));
    ck_assert_int_eq(o->always.port, 80);
    ck_ok(ps_conf_set(&schema, o, "name", "you", "--name"));
    ck_assert_str_eq(o->name, "you");
    ck_ok(ps_conf_set(&schema, o, "wait", "1s", "--wait"));
    ck_assert_uint_eq(o->wait_ms, 1000);
    ck_assert_int_eq(ps_conf_set(&schema, o, "always.port", "0", "--port"), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(), "--port: 0 is out of range, allowed 1 to 65535");
    ck_assert_int_eq(o->always.port, 80);
    ck_assert_int_eq(ps_conf_set(&schema, o, "widths", "1", "--widths"), PS_INTERNAL);
    ck_assert_int_eq(ps_conf_set(&schema, o, "nothing.here", "1", "--x"), PS_INTERNAL);
    ps_conf_free(&schema, o);
}
END_TEST

START_TEST(a_file_is_read_and_a_missing_one_is_named)
{
    char path[] = "/tmp/psd-conf-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, "number: 5\n", 10), 10);
    void *data = NULL;
    ck_ok(ps_conf_load_file(&schema, path, NULL, &data));
    ck_assert_int_eq(((outer *)data)->number, 5);
    ps_conf_free(&schema, data);
    close(fd);
    unlink(path);
    ck_assert_int_eq(ps_conf_load_file(&schema, path, NULL, &data), PS_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), path));
}
END_TEST

START_TEST(durations_have_units)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {{"0", 0},         {"250ms", 250},   {"30s", 30000},  {"5m", 300000},
                {"5min", 300000}, {"2 h", 7200000}, {"1d", 86400000}};
    static const char *const bad[] = {"", "s", "30", "-1s", "1.5s", "30S", "1s ", "1s2m", "0x1s"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        uint64_t ms = 1;
        ck_ok(ps_conf_parse_duration(good[i].text, &ms));
        ck_assert_uint_eq(ms, good[i].ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint64_t ms = 1;
        ck_assert_int_eq(ps_conf_parse_duration(bad[i], &ms), PS_INVALID_ARGUMENT);
        ck_assert_uint_eq(ms, 1);
    }
}
END_TEST

START_TEST(endpoints_are_taken_apart)
{
    char *host = ps_strdup("old");
    int64_t port = 1;
    ck_ok(ps_conf_parse_endpoint("example.org:80", "--listen", &host, &port));
    ck_assert_str_eq(host, "example.org");
    ck_assert_int_eq(port, 80);
    ck_ok(ps_conf_parse_endpoint("[::1]:443", "--listen", &host, &port));
    ck_assert_str_eq(host, "::1");
    ck_assert_int_eq(port, 443);
    ck_ok(ps_conf_parse_endpoint(":0", "--listen", &host, &port));
    ck_assert_str_eq(host, "::1");
    ck_assert_int_eq(port, 0);
    ck_ok(ps_conf_parse_endpoint("localhost", "--listen", &host, &port));
    ck_assert_str_eq(host, "localhost");
    ck_assert_int_eq(port, 0);
    ck_ok(ps_conf_parse_endpoint("fe80::1", "--listen", &host, &port));
    ck_assert_str_eq(host, "fe80::1");
    static const char *const bad[] = {"",       ":",    "h:", "h:x",      "h:65536",      "[::1",
                                      "[::1]x", "h:-1", "[]", "h:123456", "https://h:80", "h:80/",
                                      "u@h:80", "h :80"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(ps_conf_parse_endpoint(bad[i], "--listen", &host, &port) ==
                          PS_INVALID_ARGUMENT,
                      "%s", bad[i]);
    ck_assert_str_eq(host, "fe80::1");
    ps_free(&host);
}
END_TEST

static const ps_check_case tests[] = {
    {&an_empty_file_gives_every_default},
    {&every_type_is_read},
    {&a_section_with_everything_commented_out_is_its_defaults},
    {&a_value_out_of_range_names_line_key_and_range},
    {&a_misspelt_key_names_the_one_that_was_meant},
    {&a_wrong_type_says_what_was_expected_and_what_was_there},
    {&a_key_written_twice_names_both_lines},
    {&what_a_configuration_has_no_use_for_is_refused},
    {&a_byte_order_mark_is_passed_over},
    {&bytes_that_are_not_yaml_name_the_line},
    {&size_and_number_of_values_are_bounded},
    {&a_long_or_ugly_value_is_cut_in_the_message},
    {&a_document_knows_the_lines_of_its_keys},
    {&a_flag_is_checked_like_the_file},
    {&a_file_is_read_and_a_missing_one_is_named},
    {&durations_have_units},
    {&endpoints_are_taken_apart},
    {&faults_below_such_a_name_have_its_line_and_path},
    {&structs_stand_in_a_list_and_a_plain_entry_is_its_first_key},
    {&faults_in_an_entry_have_its_line_and_number},
    {&structs_stand_under_names_of_the_users_choice},
    {0},
};

int main(void)
{
    return ps_check_main("conf/conf", tests);
}
