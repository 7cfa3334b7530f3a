/* inspect: what a file or folder is, and whether psd can use it; read by those that import, train
 * and tokenize, headers alone. Needs no server. */
#include "client/commands/inspect.h"

#include "client/call/client.h"
#include "client/call/support.h"
#include "client/commands/commands.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/format/source.h"
#include "common/model/model_files.h"

#include <stdio.h>
#include <string.h>

typedef struct options {
    const char *identity;
} options;

static const ps_flag flags[] = {
    {.name = "identity",
     .letter = 'i',
     .type = PS_FLAG_TEXT,
     .offset = offsetof(options, identity),
     .value = "FILE",
     .help = "open what is encrypted by age with the identities of this file (age-keygen)"},
    {.name = NULL},
};

bool ps_inspect_begins(const ps_inspection *of, const char *bytes, size_t len)
{
    return !of->folder && of->first_len >= len && !memcmp(of->first, bytes, len);
}

bool ps_inspect_ends(const ps_inspection *of, const char *ending)
{
    char *name = ps_strdup(of->source.path);
    if (ps_text_ends(name, ".gz"))
        name[strlen(name) - 3] = '\0';
    bool ends = ps_text_ends(name, ending);
    ps_free(&name);
    return ends;
}

bool ps_inspect_has(const ps_inspection *of, const char *name)
{
    char *path = ps_asprintf("%s/%s", of->source.path, name);
    bool there = of->folder && ps_model_file_there(of->source.disk, path);
    ps_free(&path);
    return there;
}

void ps_inspect_is(ps_inspection *of, const char *what)
{
    ps_facts_text(&of->facts, "what", "is", ps_slice_str(what));
}

/* What an age file has in it its own reader gives out; of others gzip may be around it. */
static ps_status read_first(ps_inspection *of)
{
    ps_source *source = NULL;
    ps_status st = PS_OK;
    if (of->source.disk) {
        int file = -1;
        uint64_t size = 0;
        st = ps_model_input_open(of->source.disk, of->source.path, &file, &size);
        of->first_len = size < sizeof of->first ? (size_t)size : sizeof of->first;
        if (!st) {
            st = ps_model_file_read(of->source.disk, file, of->source.path, 0, of->first,
                                    of->first_len);
            ps_model_file_close(of->source.disk, file);
        }
        return st;
    }
    st = ps_source_open(of->source.path, &source);
    if (!st)
        st = ps_source_read(source, of->first, sizeof of->first, &of->first_len);
    ps_source_close(&source);
    return st;
}

static const ps_inspect_kind *find_kind(const ps_inspection *of)
{
    static const ps_inspect_kind *const tables[] = {ps_inspect_adapters, ps_inspect_data,
                                                    ps_inspect_own, ps_inspect_texts};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const ps_inspect_kind *kind = tables[i]; kind->word; kind++)
            if (kind->is(of))
                return kind;
    return NULL;
}

static ps_status look(ps_inspection *of)
{
    ps_status st = ps_model_file_kind(of->source.disk, of->source.path, &of->folder);
    if (!st && !of->folder)
        st = read_first(of);
    if (st)
        return st;
    const ps_inspect_kind *kind = find_kind(of);
    of->kind = kind ? kind->word : NULL;
    return kind ? kind->describe(of) : ps_inspect_model(of);
}

/* ---- what is said ---- */

static void write_remarks(ps_json_writer *w, const ps_inspection *of)
{
    ps_slice left = ps_buf_slice(&of->remarks);
    ps_json_key(w, "remarks");
    ps_json_array(w);
    while (left.len) {
        const uint8_t *end = memchr(left.data, '\n', left.len);
        size_t len = end ? (size_t)(end - left.data) : left.len;
        ps_json_string_n(w, ps_slice_of(left.data, len));
        left = ps_slice_of(left.data + len + (end != NULL), left.len - len - (end != NULL));
    }
    ps_json_array_end(w);
}

static void write_json(ps_client *client, ps_inspection *of, const char *why)
{
    ps_json_writer w = ps_json_begin(client);
    ps_json_object(&w);
    ps_json_put_string(&w, "path", of->given);
    ps_json_put_string(&w, "kind", of->kind ? of->kind : "unknown");
    ps_json_put_bool(&w, "usable", !why);
    ps_json_put_string(&w, "use", of->use.len ? ps_buf_cstr(&of->use) : NULL);
    ps_json_put_string(&w, "reason", why);
    ps_facts_write(&of->facts, &w);
    write_remarks(&w, of);
    ps_json_object_end(&w);
    ps_json_finish(client);
}

/* Why not, the command's own failure says. */
static void write_text(ps_client *client, ps_inspection *of, const char *why)
{
    ps_table *t = ps_table_new(NULL);
    ps_table_field(t, "path", "%s", of->given);
    ps_facts_put(&of->facts, t);
    if (of->kind)
        ps_table_field(t, "usable", "%s%s", why ? "no" : "yes: ", why ? "" : ps_buf_cstr(&of->use));
    ps_table_render(t, &client->style, &client->out);
    ps_table_free(&t);
    ps_print_remarks(ps_buf_cstr(&of->remarks));
}

static ps_status inspect(ps_client *client, const char *path, const char *identity)
{
    ps_inspection of = {.given = path, .identity = identity != NULL};
    ps_error error = {0};
    ps_status st = ps_model_source_open(path, identity, &of.source);
    if (!st)
        st = look(&of);
    ps_error_save(&error, st);
    if (of.kind) { /* or it is not there, or cannot be read */
        char *why = st ? ps_strdup(ps_error_message()) : NULL;
        if (client->json)
            write_json(client, &of, why);
        else
            write_text(client, &of, why);
        ps_free(&why);
    }
    ps_model_source_clear(&of.source);
    ps_buf_free(&of.use);
    ps_buf_free(&of.remarks);
    ps_facts_free(&of.facts);
    return st ? ps_error_raise(&error) : PS_OK;
}

static ps_status run(ps_client *client, const ps_args *args)
{
    const options *o = args->options;
    return inspect(client, args->operands.at[0], o->identity);
}

const ps_command ps_command_inspect = {
    .name = "inspect",
    .operands = "PATH",
    .help = "say what a file or folder is, and whether psd can use it",
    .details =
        "Folders of Hugging Face, GGUF files (any of several), safetensors files, adapters,\n"
        "token files, tokenizers, idx, csv, JSON Lines, job files, certificates, what psd leaves\n"
        "in its data_dir, and what else has a name. Of a model: architecture, sizes, types, "
        "tokenizer,\n"
        "and psctl import's own word on it: a failure when psd cannot use it, with the reason.\n"
        "Headers are read, no weights. No server is needed.\n",
    .flags = flags,
    .options_size = sizeof(options),
    .least = 1,
    .most = 1,
    .run = run,
};
