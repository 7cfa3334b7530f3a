#include "common/conf/others.h"

size_t ps_job_spec_others(const ps_job_spec *spec, ps_job_other out[PS_JOB_OTHERS_MAX])
{
    const char *teacher = ps_job_spec_teacher(spec);
    if (!*teacher)
        return 0;
    out[0] = (ps_job_other){.name = teacher};
    return 1;
}
