/* Read once to know which model it names, and once more with that model. */
#include "server/sched/job_file.h"

#include "common/base/mem.h"
#include "server/catalog/models.h"

void ps_job_file_clear(ps_job_file *file)
{
    if (file->spec)
        ps_job_spec_free(&file->spec);
    ps_free(&file->version);
    ps_free(&file->config);
}

static ps_status look_up(ps_catalog *catalog, const char *version, ps_job_file *file)
{
    const char *name = ps_job_spec_uses(file->spec);
    ps_model_record *model = NULL;
    if (!*name) {
        file->version = ps_strdup("");
        file->config = ps_strdup("");
        return PS_OK;
    }
    if (!*version)
        version = file->spec->model_version;
    ps_status st = ps_catalog_model_version(catalog, name, version, &model);
    if (st)
        return st;
    file->version = ps_strdup(model->path);
    file->config = ps_strdup(model->config);
    ps_model_record_free(&model);
    return PS_OK;
}

ps_status ps_job_file_read(ps_catalog *catalog, ps_slice yaml, const char *origin,
                           const char *version, ps_job_file *out)
{
    ps_job_file file = {0};
    ps_status st = ps_job_spec_parse(yaml, origin, &file.spec);
    if (!st)
        st = look_up(catalog, version, &file);
    if (!st && *file.config) {
        ps_job_spec_free(&file.spec);
        st = ps_job_spec_parse_from(yaml, origin, file.config, &file.spec);
    }
    if (st)
        ps_job_file_clear(&file);
    else
        *out = file;
    return st;
}
