/* lifecycle_record: what a training's checkpoint has of its record. */
#include "server/params/recording.h"
#include "tests/lib/ck_ok.h"
#include "tests/unit/server/runs/lifecycle_rig.h"

#include <unistd.h>

/* Its file could not be written, or is gone: what the checkpoint has of the record is taken back.
 */
START_TEST(a_restart_goes_on_with_what_there_is_of_the_record)
{
    static const char more[] = "record: {influence: {sketch: 64}, noise_scale: true}";
    rig r = {0};
    uint64_t bytes;
    open_rig(&r);
    uint64_t id = begin_job(&r, more);
    push(&r, id, 1, 5);
    r.stored.fault.room = 0;
    push(&r, id, 2, 5);
    r.stored.fault.room = UINT64_MAX;
    ck_ok(ps_lifecycle_checkpoint(r.lifecycle, id, &bytes));
    for (int gone = 0; gone < 2; gone++) {
        char path[160];
        (void)snprintf(path, sizeof path, "%s/records/%d", r.stored.dir, (int)id);
        if (gone)
            ck_assert_int_eq(unlink(path), 0);
        restart(&r);
        ps_run *run = ps_runs_get(r.runs, id);
        ps_noise_scale scale;
        ps_noise_get(ps_param_store_noise(ps_run_store(run)), &scale);
        ck_assert_uint_eq(scale.estimates, 1);
        ps_record *record = ps_param_store_recorder(ps_run_store(run));
        ck_assert(gone ? !record : ps_record_ended(record) != NULL);
        ps_run_unref(&run);
    }
    close_rig(&r);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_restart_goes_on_with_what_there_is_of_the_record},
    {0},
};

int main(void)
{
    return ps_check_main("server/runs/lifecycle_record", cases);
}
