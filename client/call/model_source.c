/* Happy path: the path as it is. NAME.age is to its reader the file NAME, so that parts of a model
 * find each other. */
#include "client/call/model_source.h"

#include "client/call/streams.h"
#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/model/hf_shards.h"
#include "common/model/model_files.h"
#include "common/model/model_in.h"

#include <string.h>

/* Who names a file that is plain means that one, whatever lies beside it. */
static ps_status open_identities(ps_model_source *s, const char *identity)
{
    const size_t len = strlen(s->path), end = strlen(PS_AGE_ENDING);
    bool folder = false;
    if (!strcmp(identity, "-") && !strcmp(s->path, "/dev/stdin"))
        return ps_fail(PS_INVALID_ARGUMENT, "standard input is either the model or its identity");
    ps_status st = ps_age_identities_open(identity, &s->identities);
    if (st)
        return ps_wrap(st, "--identity");
    bool there = !ps_model_file_kind(NULL, s->path, &folder) && !folder;
    bool ends = len > end && ps_text_ends(s->path, PS_AGE_ENDING);
    s->age = ps_age_disk_new(&(ps_age_disk_conf){
        .disk = &ps_disk_system, .identities = s->identities, .plain_first = there && !ends});
    s->disk = ps_age_disk_row(s->age);
    if (there && ends)
        s->path[len - end] = '\0';
    return PS_OK;
}

ps_status ps_model_source_open(const char *path, const char *identity, ps_model_source *out)
{
    *out = (ps_model_source){0};
    ps_status st = ps_streams_input(&path);
    out->path = ps_strdup(path);
    return st || !identity ? st : open_identities(out, identity);
}

/* false: it does say, or cannot be read. */
static bool says_no_model(const ps_model_source *s)
{
    ps_hf_shards one;
    bool says = ps_hf_shards_open_file(s->disk, s->path, &one) ||
                ps_safetensors_metadata(one.at[0].header, PS_MODEL_META_CONFIG);
    ps_hf_shards_clear(&one);
    return !says;
}

char *ps_model_source_folder(const ps_model_source *s)
{
    const char *slash = strrchr(s->path, '/');
    if (!ps_text_ends(s->path, ".safetensors"))
        return NULL;
    char *folder = slash ? ps_asprintf("%.*s", (int)(slash - s->path), s->path) : ps_strdup(".");
    char *config = ps_asprintf("%s/config.json", folder);
    if (!ps_model_file_there(s->disk, config) || !says_no_model(s))
        ps_free(&folder);
    ps_free(&config);
    return folder;
}

void ps_model_source_clear(ps_model_source *s)
{
    ps_age_disk_free(&s->age);
    ps_age_identities_free(&s->identities);
    ps_free(&s->path);
}
