/* An added part is a line here and a member of the struct. */
#include "common/conf/record_spec.h"

#include "common/conf/job_spec.h"

static const ps_conf_key influence_keys[] = {
    PS_CONF_INT("sketch", ps_spec_record_influence, sketch, "16384", 64, 1 << 20),
    PS_CONF_INT("every", ps_spec_record_influence, every, "1", 1, 1000000),
    PS_CONF_BYTES("budget", ps_spec_record_influence, budget, "256MiB", 1 << 20, INT64_C(1) << 50),
    PS_CONF_END,
};

const ps_conf_key ps_spec_record_keys[] = {
    PS_CONF_MAP_OPT("influence", ps_spec_record, influence, influence_keys),
    PS_CONF_END,
};

ps_status ps_spec_record_check(const ps_job_spec *spec, const ps_conf_doc *doc)
{
    const ps_spec_record *record = spec->record;
    if (!record || record->influence)
        return PS_OK;
    return ps_conf_fail(doc, "record", "nothing is to be recorded; say influence");
}
