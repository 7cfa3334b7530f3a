/* Any bytes as a configuration with a key of every type: what is accepted is within its ranges,
 * what is refused is so in lines, one a fault, that start with the file's name, and libcyaml always
 * takes what the check has written. */
#include "common/conf/conf.h"
#include "tests/lib/conf_sample.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

typedef ps_test_conf_inner inner;
typedef ps_test_conf outer;

static const char *const words[] = {"red", "green", "blue", NULL};
static const ps_conf_key inner_keys[] = {
    PS_CONF_TEXT("name", inner, name, "x", 1, 20),
    PS_CONF_INT("port", inner, port, "7600", 1, 65535),
    PS_CONF_END,
};
static const ps_conf_key outer_keys[] = {
    PS_CONF_BOOL("flag", outer, flag, "true"),
    PS_CONF_INT("number", outer, number, "-3", INT64_MIN, INT64_MAX),
    PS_CONF_REAL("real", outer, real, "0.1", -1e300, 1e300),
    PS_CONF_TEXT("name", outer, name, "", 0, 50),
    PS_CONF_NAME("mode", outer, mode, "red", words),
    PS_CONF_WORD("word", outer, word, "green", words),
    PS_CONF_BYTES("bytes", outer, bytes, "64MiB", 0, INT64_MAX),
    PS_CONF_DURATION("wait", outer, wait_ms, "30s", 0, INT64_MAX),
    PS_CONF_INTS("widths", outer, widths, "[]", 0, 4, 1, 100),
    PS_CONF_TEXTS("roots", outer, roots, "[/a]", 0, 3, 0, 100),
    PS_CONF_MAP("always", outer, always, inner_keys),
    PS_CONF_MAP_OPT("maybe", outer, maybe, inner_keys),
    PS_CONF_NAMED("all", outer, all, inner_keys, 5),
    PS_CONF_MAPS("list", outer, list, inner_keys, 0, 5),
    PS_CONF_END,
};
static const ps_conf_schema schema = {.keys = outer_keys, .size = sizeof(outer)};

static void check_inner(const inner *i)
{
    require(i->port >= 1 && i->port <= 65535 && strlen(i->name) >= 1 && strlen(i->name) <= 20);
}

static void check(const outer *o)
{
    require(o->real >= -1e300 && o->real <= 1e300 && o->word < 3);
    require(strlen(o->name) <= 50 && strlen(o->mode) >= 3);
    require(o->bytes <= INT64_MAX && o->wait_ms <= INT64_MAX);
    require(o->n_widths <= 4 && o->n_roots <= 3 && o->n_all <= 5 && o->n_list <= 5);
    for (size_t i = 0; i < o->n_widths; i++)
        require(o->widths[i] >= 1 && o->widths[i] <= 100);
    for (size_t i = 0; i < o->n_roots; i++)
        require(strlen(o->roots[i]) <= 100);
    for (size_t i = 0; i < o->n_all; i++)
        check_inner(&o->all[i]);
    for (size_t i = 0; i < o->n_list; i++)
        check_inner(&o->list[i]);
    check_inner(&o->always);
    if (o->maybe)
        check_inner(o->maybe);
}

static void check_lines(const char *line)
{
    for (; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        require(!strncmp(line, "fuzz.yaml:", 10) || !strncmp(line, "and ", 4));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    void *out = NULL;
    ps_conf_doc *doc = NULL;
    ps_status st = ps_conf_load(&schema, ps_slice_of(data, size), "fuzz.yaml", &doc, &out);
    if (st) {
        require(st == PS_INVALID_ARGUMENT);
        check_lines(ps_error_message());
        require(!out && !doc);
        return 0;
    }
    check(out);
    (void)ps_conf_fail(doc, "all.x.port", "said");
    (void)ps_conf_fail(doc, "widths[3]", "said");
    ps_conf_doc_free(&doc);
    ps_conf_free(&schema, out);
    return 0;
}
