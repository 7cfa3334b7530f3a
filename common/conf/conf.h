/* conf: YAML from files into structs by a schema, with errors a person can act on.
 *
 * A schema is a table of keys; a key is one line and knows its place in the struct, its default
 * (as it would be written in the file) and what is allowed:
 *
 *     static const ps_conf_key listen_keys[] = {
 *         PS_CONF_TEXT("address", ps_conf_listen, address, "127.0.0.1", 1, 255),
 *         PS_CONF_INT("port", ps_conf_listen, port, "7600", 0, 65535),
 *         PS_CONF_END};
 *
 * Loading goes in three steps: libyaml's events become a bounded tree that remembers lines; the
 * tree is checked against the schema and written out again as plain YAML, with every default filled
 * in and every unit turned into its base unit; libcyaml loads that into the struct. So every error
 * is ours and is one line:
 *
 *     psd.yaml:12: listen.port: 99999 is out of range, allowed 1 to 65535
 *     job.yaml:7: train.optimzer: unknown key; did you mean 'optimizer'? allowed: epochs, ...
 *
 * All such errors are PS_INVALID_ARGUMENT, and all that are in a file are told, a line each. Any
 * thread.
 */
#ifndef PS_CONF_CONF_H
#define PS_CONF_CONF_H

#include "common/base/slice.h"
#include "common/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a document may be at most; beyond that it is refused. */
enum {
    PS_CONF_MAX_BYTES = 256 * 1024,
    PS_CONF_MAX_DEPTH = 16,
    PS_CONF_MAX_NODES = 16384,
};

typedef enum ps_conf_type {
    PS_CONF_TYPE_BOOL,     /* bool: true, false */
    PS_CONF_TYPE_INT,      /* int64_t */
    PS_CONF_TYPE_REAL,     /* double; never NaN or infinite */
    PS_CONF_TYPE_TEXT,     /* char *, min..max bytes, no control characters; one of words if set */
    PS_CONF_TYPE_WORD,     /* an enum whose values count from 0 in the order of words */
    PS_CONF_TYPE_BYTES,    /* uint64_t: "64MiB", "4KiB", "512MB", "100" */
    PS_CONF_TYPE_DURATION, /* uint64_t milliseconds: "30s", "5m", "250ms", "2h", "1d" */
    PS_CONF_TYPE_INTS,     /* int64_t * and size_t: a list; min..max bound each, at most `most` */
    PS_CONF_TYPE_REALS,    /* double * and size_t: a list; never NaN or infinite */
    PS_CONF_TYPE_TEXTS,    /* char ** and size_t: a list; min..max bytes each */
    PS_CONF_TYPE_MAP,      /* a struct of its own keys; always there, filled with its defaults */
    PS_CONF_TYPE_MAP_OPT, /* a pointer to such a struct; NULL when the file does not have the key */
    PS_CONF_TYPE_NAMED,   /* T * and size_t: a map of structs under names of the user's choice */
    PS_CONF_TYPE_MAPS,    /* T * and size_t: a list of structs */
} ps_conf_type;

typedef struct ps_conf_key {
    const char *name; /* NULL ends the table */
    ps_conf_type type;
    size_t offset;             /* of the member in its struct */
    size_t count_offset;       /* lists: of the size_t beside it */
    const char *fallback;      /* the default as text; NULL: the key is required; PS_CONF_UNSAID */
    int64_t min, max;          /* integers, bytes, milliseconds; lengths of texts */
    double real_min, real_max; /* REAL, entries of REALS */
    size_t least, most;        /* lists: number of entries */
    const char *const *words;  /* WORD, TEXT: allowed words, NULL-terminated; TEXT: may be NULL */
    const struct ps_conf_key *keys; /* MAP, MAP_OPT, MAPS, NAMED (whose first is the name's TEXT) */
    size_t size;                    /* of these: sizeof of the struct */
    bool shorthand;                 /* MAP: a scalar in its place is the value of its first key */
} ps_conf_key;

/* As the default of an INT or BYTES: the member is -1, or UINT64_MAX, which nobody can write. */
#define PS_CONF_UNSAID ""

/* The offset of T.member, refused by the compiler when the member is not of type. */
#define PS_CONF_AT(T, member, type) \
    (offsetof(T, member) + 0 * sizeof(char[_Generic(((T *)0)->member, type : 1)]))

#define PS_CONF_BOOL(key, T, member, fallback_)                                          \
    {                                                                                    \
        .name = (key), .type = PS_CONF_TYPE_BOOL, .offset = PS_CONF_AT(T, member, bool), \
        .fallback = (fallback_)                                                          \
    }
#define PS_CONF_INT(key, T, member, fallback_, min_, max_)                                 \
    {                                                                                      \
        .name = (key), .type = PS_CONF_TYPE_INT, .offset = PS_CONF_AT(T, member, int64_t), \
        .fallback = (fallback_), .min = (min_), .max = (max_)                              \
    }
#define PS_CONF_REAL(key, T, member, fallback_, min_, max_)                                \
    {                                                                                      \
        .name = (key), .type = PS_CONF_TYPE_REAL, .offset = PS_CONF_AT(T, member, double), \
        .fallback = (fallback_), .real_min = (min_), .real_max = (max_)                    \
    }
#define PS_CONF_TEXT(key, T, member, fallback_, min_, max_)                                \
    {                                                                                      \
        .name = (key), .type = PS_CONF_TYPE_TEXT, .offset = PS_CONF_AT(T, member, char *), \
        .fallback = (fallback_), .min = (min_), .max = (max_)                              \
    }
/* A text that is one of words: for names that are looked up in a table later. */
#define PS_CONF_NAME(key, T, member, fallback_, words_)                                    \
    {                                                                                      \
        .name = (key), .type = PS_CONF_TYPE_TEXT, .offset = PS_CONF_AT(T, member, char *), \
        .fallback = (fallback_), .max = 255, .words = (words_)                             \
    }
#define PS_CONF_WORD(key, T, member, fallback_, words_)                                      \
    {                                                                                        \
        .name = (key), .type = PS_CONF_TYPE_WORD, .offset = PS_CONF_AT(T, member, unsigned), \
        .fallback = (fallback_), .words = (words_)                                           \
    }
#define PS_CONF_BYTES(key, T, member, fallback_, min_, max_)                                  \
    {                                                                                         \
        .name = (key), .type = PS_CONF_TYPE_BYTES, .offset = PS_CONF_AT(T, member, uint64_t), \
        .fallback = (fallback_), .min = (min_), .max = (max_)                                 \
    }
#define PS_CONF_DURATION(key, T, member, fallback_, min_ms, max_ms)                              \
    {                                                                                            \
        .name = (key), .type = PS_CONF_TYPE_DURATION, .offset = PS_CONF_AT(T, member, uint64_t), \
        .fallback = (fallback_), .min = (min_ms), .max = (max_ms)                                \
    }
/* Lists: T has the member and `size_t n_<member>`. The default is a list as written: "[1, 2]". */
#define PS_CONF_INTS(key, T, member, fallback_, least_, most_, min_, max_)                    \
    {                                                                                         \
        .name = (key), .type = PS_CONF_TYPE_INTS, .offset = PS_CONF_AT(T, member, int64_t *), \
        .count_offset = PS_CONF_AT(T, n_##member, size_t), .fallback = (fallback_),           \
        .least = (least_), .most = (most_), .min = (min_), .max = (max_)                      \
    }
#define PS_CONF_REALS(key, T, member, fallback_, least_, most_, min_, max_)                   \
    {                                                                                         \
        .name = (key), .type = PS_CONF_TYPE_REALS, .offset = PS_CONF_AT(T, member, double *), \
        .count_offset = PS_CONF_AT(T, n_##member, size_t), .fallback = (fallback_),           \
        .least = (least_), .most = (most_), .real_min = (min_), .real_max = (max_)            \
    }
#define PS_CONF_TEXTS(key, T, member, fallback_, least_, most_, min_, max_)                  \
    {                                                                                        \
        .name = (key), .type = PS_CONF_TYPE_TEXTS, .offset = PS_CONF_AT(T, member, char **), \
        .count_offset = PS_CONF_AT(T, n_##member, size_t), .fallback = (fallback_),          \
        .least = (least_), .most = (most_), .min = (min_), .max = (max_)                     \
    }
/* "key: x" stands for "key: [x]". */
#define PS_CONF_TEXTS_SHORT(key, T, member, fallback_, least_, most_, min_, max_)            \
    {                                                                                        \
        .name = (key), .type = PS_CONF_TYPE_TEXTS, .offset = PS_CONF_AT(T, member, char **), \
        .count_offset = PS_CONF_AT(T, n_##member, size_t), .fallback = (fallback_),          \
        .least = (least_), .most = (most_), .min = (min_), .max = (max_), .shorthand = true  \
    }
#define PS_CONF_MAP(key, T, member, keys_)                                                       \
    {                                                                                            \
        .name = (key), .type = PS_CONF_TYPE_MAP, .offset = offsetof(T, member), .keys = (keys_), \
        .size = sizeof(((T *)0)->member)                                                         \
    }
/* "key: x" stands for "key: {<the first of keys_>: x}". */
#define PS_CONF_MAP_SHORT(key, T, member, keys_)                                                 \
    {                                                                                            \
        .name = (key), .type = PS_CONF_TYPE_MAP, .offset = offsetof(T, member), .keys = (keys_), \
        .size = sizeof(((T *)0)->member), .shorthand = true                                      \
    }
#define PS_CONF_MAP_OPT(key, T, member, keys_)                                      \
    {                                                                               \
        .name = (key), .type = PS_CONF_TYPE_MAP_OPT, .offset = offsetof(T, member), \
        .keys = (keys_), .size = sizeof(*((T *)0)->member)                          \
    }
/* At most `most_` structs; the first key of keys_, a TEXT, takes the name each stands under. */
#define PS_CONF_NAMED(key, T, member, keys_, most_)                               \
    {                                                                             \
        .name = (key), .type = PS_CONF_TYPE_NAMED, .offset = offsetof(T, member), \
        .count_offset = PS_CONF_AT(T, n_##member, size_t), .keys = (keys_),       \
        .size = sizeof(*((T *)0)->member), .most = (most_)                        \
    }
/* A list of structs, none when it is not said. An entry that is no map is the value of its first
 * key: "key: [x, {a: y, b: z}]" stands for "key: [{a: x}, {a: y, b: z}]". */
#define PS_CONF_MAPS(key, T, member, keys_, least_, most_)                       \
    {                                                                            \
        .name = (key), .type = PS_CONF_TYPE_MAPS, .offset = offsetof(T, member), \
        .count_offset = PS_CONF_AT(T, n_##member, size_t), .keys = (keys_),      \
        .size = sizeof(*((T *)0)->member), .least = (least_), .most = (most_)    \
    }
#define PS_CONF_END  \
    {                \
        .name = NULL \
    }

/* The whole document: the struct and its top-level keys. */
typedef struct ps_conf_schema {
    const ps_conf_key *keys;
    size_t size; /* sizeof of the struct */
} ps_conf_schema;

/* A loaded document remembers the lines of its keys, for checks across keys. */
typedef struct ps_conf_doc ps_conf_doc;

/* Parses bytes (hostile) into a new struct *out, which ps_conf_free frees. file_name is for
 * messages. doc may be NULL; otherwise *doc must be freed with ps_conf_doc_free. */
PS_MUST_CHECK ps_status ps_conf_load(const ps_conf_schema *schema, ps_slice yaml,
                                     const char *file_name, ps_conf_doc **doc, void **out);
/* For checks across keys that are to be told together with what the schema finds: PS_OK though
 * there are faults (not for what is no YAML), with something of the right type in place of a wrong
 * value, and lists that may be too short. Check what is not faulty, with ps_conf_fail, and then ask
 * for the verdict: PS_OK, or all faults. */
PS_MUST_CHECK ps_status ps_conf_load_all(const ps_conf_schema *schema, ps_slice yaml,
                                         const char *file_name, ps_conf_doc **doc, void **out);
/* Has something been found wrong with this path, or below it? */
bool ps_conf_faulty(const ps_conf_doc *doc, const char *path);
PS_MUST_CHECK ps_status ps_conf_verdict(const ps_conf_doc *doc);
/* As ps_conf_load. PS_NOT_FOUND when there is no such file. */
PS_MUST_CHECK ps_status ps_conf_load_file(const ps_conf_schema *schema, const char *path,
                                          ps_conf_doc **doc, void **out);
/* A struct of nothing but defaults: what an empty file gives. */
PS_MUST_CHECK ps_status ps_conf_defaults(const ps_conf_schema *schema, void **out);
/* Frees a struct that ps_conf_load made; NULL is allowed. Members that were replaced must have
 * come from ps_strdup. */
void ps_conf_free(const ps_conf_schema *schema, void *data);

/* Checks one value the way the file's would be (for flags), and sets it in the struct.
 * path is like "listen.port"; the message starts with `origin` ("--port"). Not for lists. */
PS_MUST_CHECK ps_status ps_conf_set(const ps_conf_schema *schema, void *data, const char *path,
                                    const char *value, const char *origin);

/* PS_INVALID_ARGUMENT with "file:line: path: text"; for checks across keys. The line is that of
 * path ("model.layers", "model.layers[2]") or, when the file lacks it, of the nearest key above. */
ps_status ps_conf_fail(const ps_conf_doc *doc, const char *path, const char *format, ...)
    PS_PRINTF(3, 4);
/* "psd.yaml:3: path", where the key or the block that would hold it stands; free() it. For what
 * turns out to be wrong later. */
char *ps_conf_where(const ps_conf_doc *doc, const char *path);
bool ps_conf_has(const ps_conf_doc *doc, const char *path); /* was it written in the file? */
void ps_conf_doc_free(ps_conf_doc **doc);

/* "30s" to milliseconds, as in a file; for flags that are no key of one. */
PS_MUST_CHECK ps_status ps_conf_parse_duration(const char *text, uint64_t *out_ms);
/* "5MiB" to bytes, likewise. */
PS_MUST_CHECK ps_status ps_conf_parse_bytes(const char *text, uint64_t *out);

#endif
