#include "worker/job/job_sources.h"

#include "common/base/mem.h"
#include "worker/job/data_digest.h"
#include "worker/job/job_entry.h"

#include <string.h>
#include <sys/stat.h>

static void add_file(Psd__V1__TaskResult *result, const char *path)
{
    char sha256[PS_DIGEST_TEXT];
    struct stat s;
    for (size_t i = 0; i < result->n_files; i++)
        if (!strcmp(result->files[i]->path, path))
            return;
    if (!*path || ps_data_digest(path, sha256) || stat(path, &s))
        return;
    Psd__V1__DataFile *file = ps_new(Psd__V1__DataFile);
    psd__v1__data_file__init(file);
    file->path = ps_strdup(path);
    file->bytes = (uint64_t)s.st_size;
    file->sha256 = ps_strdup(sha256);
    result->files = ps_realloc(result->files, (result->n_files + 1) * sizeof *result->files);
    result->files[result->n_files++] = file;
}

void ps_job_sources_tell(ps_task_run *run, Psd__V1__TaskResult *result)
{
    ps_one_thread_require(&run->mine);
    const ps_job_entry *e = ps_job_cache_find(run->cache, run->task);
    bool makes = e && (e->spec->train || e->spec->compress); /* a model */
    for (int which = 0; makes && which < PS_JOB_DATA_COUNT; which++) {
        const ps_spec_data *data = &e->spec->data;
        const ps_spec_files *files = which == PS_JOB_TRAIN_DATA ? data->train : data->test;
        if (!e->data[which] || !files)
            continue;
        add_file(result, files->features);
        add_file(result, files->labels);
        add_file(result, files->tokens);
    }
}
