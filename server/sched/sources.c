/* Lines are looked for before they are added: there are few, and most results bring none. Adding
 * cannot fail; a line that cannot be read ends the reading. */
#include "server/sched/sources.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char more[] = "...\n";

/* Is it a line of the text? */
static bool has_line(const char *text, const char *line)
{
    const char *at = text;
    while ((at = strstr(at, line)) && at != text && at[-1] != '\n')
        at++;
    return at != NULL;
}

static void append(char **text, const char *line)
{
    char *longer = ps_asprintf("%s%s", *text ? *text : "", line);
    free(*text);
    *text = longer;
}

static bool add_one(char **text, const char *worker, const ps_result_file *file)
{
    const char *old = *text ? *text : "";
    char *line = ps_asprintf("%s %" PRIu64 " %s %s\n", *file->sha256 ? file->sha256 : "-",
                             file->bytes, worker, file->path);
    bool fits = strlen(old) + strlen(line) + sizeof more <= PS_SOURCES_MOST;
    bool full = !fits || has_line(old, more); /* nothing comes behind that line */
    bool is_new = !has_line(old, line) && (!full || !has_line(old, more));
    if (is_new)
        append(text, full ? more : line);
    free(line);
    return is_new;
}

bool ps_sources_add(char **text, const char *worker, const ps_task_result *result)
{
    bool any = false;
    PS_REQUIRE(result->n_files <= PS_RESULT_FILES);
    for (size_t i = 0; i < result->n_files; i++)
        any |= add_one(text, worker, &result->files[i]);
    return any;
}

/* Up to the next of these bytes; what is left begins behind that. */
static bool take(ps_slice *left, char until, ps_slice *out)
{
    const uint8_t *end = left->len ? memchr(left->data, until, left->len) : NULL;
    if (!end)
        return false;
    *out = ps_slice_of(left->data, (size_t)(end - left->data));
    *left = ps_slice_of(end + 1, left->len - out->len - 1);
    return true;
}

bool ps_sources_next(ps_slice *left, ps_source *out)
{
    ps_slice sha256, bytes, line;
    *out = (ps_source){0};
    if (!take(left, '\n', &line))
        return false;
    out->more = ps_slice_is(line, "...");
    if (out->more)
        return true;
    if (!take(&line, ' ', &sha256) || !take(&line, ' ', &bytes) || !take(&line, ' ', &out->worker))
        return false;
    out->path = line;
    for (size_t i = 0; i < bytes.len; i++)
        out->bytes = out->bytes * 10 + (uint64_t)(bytes.data[i] - '0');
    if (!ps_slice_is(sha256, "-") && sha256.len < sizeof out->sha256)
        memcpy(out->sha256, sha256.data, sha256.len);
    return true;
}
