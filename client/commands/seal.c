/* seal, unseal: one file, without a psd: FILE and FILE.key are as psd keeps them, and as any Tink
 * reads them (psd.yaml(5)). */
#include "client/call/client.h"
#include "client/commands/commands.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/new_file.h"
#include "common/base/whole_file.h"
#include "common/seal/key_source.h"
#include "common/seal/sealed_disk.h"
#include "common/seal/sealed_name.h"

#include <stdlib.h>
#include <string.h>

typedef struct options {
    ps_texts keys;
    const char *as, *cluster, *output;
    bool force;
} options;

#define FLAG(name_, letter_, type_, member, value_, help_)                      \
    {                                                                           \
        .name = (name_), .letter = (letter_), .type = (type_),                  \
        .offset = offsetof(options, member), .value = (value_), .help = (help_) \
    }
#define FLAG_KEY                                    \
    FLAG("kek", 'k', PS_FLAG_TEXTS, keys, "SOURCE", \
         "file:PATH or exec:PROGRAM, as in psd.yaml; again for each")
#define FLAG_OUTPUT FLAG("to", 'o', PS_FLAG_TEXT, output, "FILE", "where to (required)")
#define FLAG_FORCE  FLAG("force", 'f', PS_FLAG_SWITCH, force, NULL, "replace a file that is there")

/* What the file is, as its key is bound to: the text of --as, or what psd calls the file of this
 * path. */
typedef struct whose {
    const char *path, *as;
    ps_sealed_names names;
} whose;

static ps_sealed_form identity(void *user, const char *path, ps_buf *aad)
{
    const whose *w = user;
    if (strcmp(path, w->path) != 0)
        return PS_SEALED_NONE;
    if (!w->as)
        return ps_sealed_name((void *)(uintptr_t)&w->names, path, aad);
    ps_buf_puts(aad, w->as);
    return PS_SEALED_STREAM;
}

/* Up to models/ or another folder of psd's, in the path as it was given; NULL: none of them. */
static char *data_dir_of(const char *path)
{
    static const char *const folders[] = {"/models/", "/artifacts/", "/checkpoints/", "/records/"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        const char *at = strstr(path, folders[i]), *next = at;
        while (next && (next = strstr(next + 1, folders[i])))
            at = next;
        if (at)
            return ps_asprintf("%.*s", (int)(at - path), path);
    }
    return NULL;
}

static ps_status read_keys(const options *o, ps_keyring **ring)
{
    ps_status st =
        o->keys.n ? PS_OK : ps_fail(PS_INVALID_ARGUMENT, "--kek is needed: file:PATH, say");
    *ring = NULL;
    for (size_t i = 0; !st && i < o->keys.n; i++) {
        ps_secret *key = NULL;
        st = ps_key_source_read(o->keys.at[i], PS_KEY_SOURCE_PATIENCE_MS, &key);
        if (!st && *ring)
            st = ps_keyring_add(*ring, &key);
        else if (!st)
            *ring = ps_keyring_new(&key);
        ps_secret_free(&key);
    }
    if (st)
        ps_keyring_free(ring);
    return st;
}

static ps_status open_disk(const options *o, whose *w, ps_sealed_disk **disk)
{
    ps_keyring *ring;
    if (!o->output)
        return ps_fail(PS_INVALID_ARGUMENT, "-o is needed: where the file goes");
    ps_status st = read_keys(o, &ring);
    if (!st)
        *disk = ps_sealed_disk_new(&(ps_sealed_disk_conf){.disk = &ps_disk_system,
                                                          .ring = ring,
                                                          .require = true,
                                                          .identity = identity,
                                                          .user = w});
    return st;
}

/* ---- seal ---- */

/* A file that is there, and its key, make room only for who says so: and stay until what replaces
 * them is whole. */
static ps_status check_room(const char *to, bool force)
{
    int file;
    if (force || ps_disk_system.open(NULL, to, PS_DISK_READ, &file))
        return PS_OK;
    ps_disk_system.close(NULL, file);
    return ps_fail(PS_ALREADY_EXISTS, "%s is there already; --force replaces it", to);
}

static ps_status seal_to(const ps_disk *row, const char *from, const char *to, bool force)
{
    int in;
    char *temporary = ps_asprintf("%s.tmp", to);
    ps_whole_file *out = NULL;
    ps_status st = ps_disk_system.open(NULL, from, PS_DISK_READ, &in);
    if (!st) {
        st = ps_whole_file_open(row, temporary, to, &out);
        if (!st)
            st = ps_disk_pour(&ps_disk_system, in, UINT64_MAX, ps_disk_put_end,
                              &(ps_disk_end){row, ps_whole_file_handle(out)});
        if (!st)
            st = ps_whole_file_place(&out, to, force);
        ps_whole_file_drop(&out);
        ps_disk_system.close(NULL, in);
    }
    ps_free(&temporary);
    return st;
}

/* What a psctl seal --force left that was killed between its key's name and its file's. */
static ps_status settle(ps_sealed_disk *disk, const char *to)
{
    bool was = false;
    ps_status st = ps_sealed_disk_settle_file(disk, to, &was);
    if (!st && was)
        ps_log_warning("seal", "%s: a psctl seal that was killed is brought to its end first", to);
    return st;
}

static ps_status run_seal(ps_client *client, const ps_args *args)
{
    (void)client;
    const options *o = args->options;
    if (!o->as)
        return ps_fail(PS_INVALID_ARGUMENT, "--as is needed: what the file is, as a text of yours");
    whose w = {.path = o->output, .as = o->as};
    ps_sealed_disk *disk = NULL;
    ps_status st = open_disk(o, &w, &disk);
    if (!st)
        st = settle(disk, o->output);
    if (!st)
        st = check_room(o->output, o->force);
    if (!st)
        st = seal_to(ps_sealed_disk_row(disk), args->operands.at[0], o->output, o->force);
    ps_sealed_disk_free(&disk);
    return st;
}

/* ---- unseal ---- */

static ps_status put_plain(void *to, const void *bytes, size_t len)
{
    return ps_new_file_write(to, bytes, len);
}

static ps_status unseal_to(const ps_disk *row, const char *from, const options *o)
{
    int in;
    ps_status st = row->open(row->state, from, PS_DISK_READ, &in);
    if (st)
        return st;
    ps_new_file *out = NULL;
    st = ps_new_file_open(
        o->output, &(ps_new_file_options){.force = o->force, .secret = true, .mode = 0600}, &out);
    if (!st)
        st = ps_disk_pour(row, in, UINT64_MAX, put_plain, out);
    if (!st)
        st = ps_new_file_finish(&out);
    ps_new_file_drop(&out);
    row->close(row->state, in);
    return st;
}

/* Then its key is another file's. */
static ps_status hint(const char *from, ps_status st)
{
    char *beside = ps_asprintf("%s" PS_SEALED_BESIDE, from);
    int file;
    ps_error error;
    ps_error_save(&error, st);
    if (st == PS_CORRUPT && !ps_disk_system.open(NULL, beside, PS_DISK_READ, &file)) {
        ps_disk_system.close(NULL, file);
        st = ps_fail(st, "%s; %s is there: a psctl seal --force was killed, run it again",
                     error.message, beside);
    } else {
        st = ps_error_raise(&error);
    }
    ps_free(&beside);
    return st;
}

static ps_status check_name(const whose *w)
{
    ps_buf aad = PS_BUF_EMPTY;
    bool is = identity((void *)(uintptr_t)w, w->path, &aad);
    ps_buf_free(&aad);
    return is ? PS_OK
              : ps_fail(PS_INVALID_ARGUMENT,
                        "%s: psd has no file of such a name; say what it was sealed as: --as TEXT",
                        w->path);
}

static ps_status run_unseal(ps_client *client, const ps_args *args)
{
    (void)client;
    const options *o = args->options;
    const char *path = args->operands.at[0];
    if (!o->as && !o->cluster)
        return ps_fail(PS_INVALID_ARGUMENT, "--cluster is needed, whose file it is; or --as TEXT");
    char *data_dir = data_dir_of(path);
    whose w = {.path = path,
               .as = o->as,
               .names = {data_dir ? data_dir : "", o->cluster ? o->cluster : ""}};
    ps_sealed_disk *disk = NULL;
    ps_status st = check_name(&w);
    if (!st)
        st = open_disk(o, &w, &disk);
    if (!st)
        st = hint(path, unseal_to(ps_sealed_disk_row(disk), path, o));
    ps_sealed_disk_free(&disk);
    ps_free(&data_dir);
    return st;
}

static const ps_flag seal_flags[] = {
    FLAG_KEY,
    FLAG("as", 0, PS_FLAG_TEXT, as, "TEXT", "what it is: it opens as nothing else (required)"),
    FLAG_OUTPUT,
    FLAG_FORCE,
    {0},
};

static const ps_flag unseal_flags[] = {
    FLAG_KEY,
    FLAG("cluster", 0, PS_FLAG_TEXT, cluster, "NAME", "whose file it is, of a data_dir of psd"),
    FLAG("as", 0, PS_FLAG_TEXT, as, "TEXT", "what it was sealed as, of any other file"),
    FLAG_OUTPUT,
    FLAG_FORCE,
    {0},
};

const ps_command ps_command_seal = {
    .name = "seal",
    .operands = "FILE",
    .help = "seal a file, without a server",
    .details = "psctl seal --kek file:KEK --as TEXT --to SEALED FILE writes the sealed file and,\n"
               "beside it, its wrapped key SEALED.key. 'psctl key create KEK' makes the key that\n"
               "wraps it.\n",
    .flags = seal_flags,
    .options_size = sizeof(options),
    .least = 1,
    .most = 1,
    .run = run_seal,
};

const ps_command ps_command_unseal = {
    .name = "unseal",
    .operands = "FILE",
    .help = "open a sealed file, of a backup say, without a server",
    .details =
        "FILE.key lies beside it. FILE keeps the name that psd gave it, and that of its folder\n"
        "(models, artifacts, checkpoints/JOB): it opens under no other.\n",
    .flags = unseal_flags,
    .options_size = sizeof(options),
    .least = 1,
    .most = 1,
    .run = run_unseal,
};
