/* lifecycle_record: what a training's checkpoint has of its record. */
#include "server/files/artifact_file.h"
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

static void push_of(rig *r, uint64_t job_id, uint64_t incarnation, uint64_t sequence)
{
    ps_run *run = ps_runs_get(r->runs, job_id);
    const ps_push_header header = {.incarnation = incarnation, .sequence = sequence};
    ps_push_reply reply;
    ck_assert_ptr_nonnull(run);
    ck_ok(test_params_push(ps_run_store(run), "w1", &header, 1, &reply));
    ps_run_unref(&run);
}

static void move(const rig *r, const char *from, const char *to)
{
    char a[160], b[160];
    (void)snprintf(a, sizeof a, "%s/%s", r->stored.dir, from);
    (void)snprintf(b, sizeof b, "%s/%s", r->stored.dir, to);
    ck_assert_int_eq(rename(a, b), 0);
}

/* The incarnations that pushed what is in the job's influence.bin. */
static size_t read_clients(const rig *r, uint64_t job_id, uint64_t clients[8])
{
    int file;
    char *data;
    ps_influence_head head;
    ps_influence_record record;
    ps_sketch *shape;
    size_t used, n = 0;
    ck_ok(ps_artifact_file_open(&r->stored.files, job_id, PS_INFLUENCE_FILE, &file));
    size_t len = test_stored_drain(file, &data);
    ck_ok(ps_influence_head_read(ps_slice_of(data, len), &head, &used));
    ps_influence_sketch(&head, &shape);
    ps_cursor at = ps_cursor_of(ps_slice_of(data + used, len - used));
    while (n < 8 && !ps_influence_read(&at, shape, &record, NULL))
        clients[n++] = record.push.client;
    ps_sketch_free(&shape);
    ps_influence_head_free(&head);
    free(data);
    return n;
}

/* psd dies while it ends a job, and its last checkpoint is no good: pushes are made again. */
START_TEST(the_record_is_the_training_s_whose_model_it_lies_beside)
{
    rig r = {0};
    uint64_t bytes, clients[8];
    open_rig(&r);
    uint64_t id = begin_job(&r, "record: {influence: {sketch: 64}}");
    push_of(&r, id, 1, 1);
    ck_ok(ps_lifecycle_checkpoint(r.lifecycle, id, &bytes));
    push_of(&r, id, 1, 2);
    move(&r, "models", "away"); /* the model cannot be written */
    train(&r);
    ck_assert_int_eq(ps_world_state(r.world, id), PS_JOB_RUNNING);
    move(&r, "away", "models");
    move(&r, "checkpoints/1/checkpoint-2", "gone");
    restart(&r);
    ps_world_attach(r.world, 1, "w1");
    push_of(&r, id, 2, 1);
    train(&r);
    ck_assert_int_eq(ps_world_state(r.world, id), PS_JOB_DONE);
    ck_assert_uint_eq(read_clients(&r, id, clients), 2);
    ck_assert_uint_eq(clients[0], 1);
    ck_assert_uint_eq(clients[1], 2);
    close_rig(&r);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_restart_goes_on_with_what_there_is_of_the_record},
    {&the_record_is_the_training_s_whose_model_it_lies_beside},
    {0},
};

int main(void)
{
    return ps_check_main("server/runs/lifecycle_record", cases);
}
