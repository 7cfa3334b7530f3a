/* An added part is a line here and a member of the struct. */
#include "common/conf/record_spec.h"

#include "common/conf/job_spec.h"

/* A worker's report has 64 KiB, two digits a number of the sketch. */
enum { SKETCH_OF_REPORT = 16384 };

static const ps_conf_key influence_keys[] = {
    PS_CONF_INT("sketch", ps_spec_record_influence, sketch, "16384", 64, 1 << 20),
    PS_CONF_INT("every", ps_spec_record_influence, every, "1", 1, 1000000),
    PS_CONF_BYTES("budget", ps_spec_record_influence, budget, "256MiB", 1 << 20, INT64_C(1) << 50),
    PS_CONF_END,
};

static const ps_conf_key losses_keys[] = {
    PS_CONF_INT("probe_rows", ps_spec_record_losses, probe_rows, "1024", 1, 1 << 24),
    PS_CONF_INT("every", ps_spec_record_losses, every, "5", 1, 1000000),
    PS_CONF_REAL("tolerance", ps_spec_record_losses, tolerance, "0.02", 1e-6, 1),
    PS_CONF_BYTES("memory", ps_spec_record_losses, memory, "256MiB", 0, INT64_C(1) << 50),
    PS_CONF_END,
};

const ps_conf_key ps_spec_record_keys[] = {
    PS_CONF_MAP_OPT("influence", ps_spec_record, influence, influence_keys),
    PS_CONF_MAP_OPT("loss_changes", ps_spec_record, loss_changes, losses_keys),
    PS_CONF_BOOL("noise_scale", ps_spec_record, noise_scale, "false"),
    PS_CONF_END,
};

ps_status ps_spec_record_check(const ps_job_spec *spec, const ps_conf_doc *doc)
{
    const ps_spec_record *record = spec->record;
    if (!record)
        return PS_OK;
    if (!record->influence && !record->loss_changes && !record->noise_scale)
        return ps_conf_fail(doc, "record",
                            "nothing is to be recorded; say influence, loss_changes or "
                            "noise_scale");
    if (!record->loss_changes)
        return PS_OK;
    if (record->influence && record->influence->sketch > SKETCH_OF_REPORT)
        return ps_conf_fail(doc, "record.influence.sketch", "at most %d beside loss_changes",
                            SKETCH_OF_REPORT);
    if (spec->train && ps_spec_train_form(spec->train).row)
        return ps_conf_fail(doc, "record.loss_changes",
                            "not with train.weights: codes have no gradient between them");
    return PS_OK;
}
