/* world: a scheduler alone with a virtual clock, a catalog in memory, and a test that plays the
 * workers and the rest of psd. What the scheduler sends out is kept: tasks in an array, everything
 * else as lines of a trace ("create 1", "enter 1 w1", "ended 1 done", "drop 3"). One thread. */
#ifndef PS_TEST_WORLD_H
#define PS_TEST_WORLD_H

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "server/sched/sched.h"

typedef struct ps_world_task {
    uint64_t session, lease, job;
    char kind[16];
    uint32_t epoch;
    uint64_t begin, end, clock;
    char settled[256];
    char model[64]; /* Task.model_name */
    size_t said;    /* bytes of the trace when it was sent */
    bool cancelled; /* a CancelTask was sent */
    bool answered;  /* by the test */
} ps_world_task;

typedef enum ps_world_answer { PS_WORLD_YES, PS_WORLD_NO, PS_WORLD_LATER } ps_world_answer;

typedef struct ps_world {
    ps_clock_virtual time;
    ps_catalog *catalog;
    ps_sched *sched;
    ps_world_task *tasks;
    size_t n_tasks;
    ps_buf trace;
    ps_world_answer on_create, on_finish; /* what psd's other parts answer, when asked */
    ps_job_outcome outcome;               /* of the last finish */
    char *report;                         /* and its report; NULL: none */
    ps_buf blob;                          /* what restore gives; empty: there is no checkpoint */
    bool unreadable;                      /* restore fails, and it may pass */
    uint64_t clock;                       /* what enter returns */
    uint32_t train_slots;                 /* what workers say; 0: nothing of it */
    uint64_t n_checkpoints;
    const ps_sched_book *book; /* of the next scheduler; NULL: what workers say is believed */
    ps_to_store to_store;      /* its table */
    const char *plan_model;    /* what plans say of the model, in a section; NULL: nothing */
    char settled[256];         /* of the last finish */
} ps_world;

/* What a draft's digests are. */
#define PS_WORLD_DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

#define PS_WORLD_TIMEOUT_MS    10000 /* lease_timeout_ms */
#define PS_WORLD_CHECKPOINT_MS 30000 /* checkpoint_ms */

/* path NULL: a catalog in memory. recover: the scheduler is ready to be used. */
ps_world *ps_world_new(const char *path, bool recover);
void ps_world_free(ps_world **world);
/* psd dies and starts again with the same catalog; workers' sessions are gone. */
void ps_world_restart(ps_world *world);
/* The two halves of that: a new scheduler, and its recovery. */
void ps_world_start(ps_world *world);
void ps_world_recover(ps_world *world);

/* What a scheduler sends to workers is kept in world->tasks; for a test that has a
 * lifecycle of its own. */
void ps_world_send_task(void *world, uint64_t session, const ps_task *task);

/* Time passes; ticks every 250 ms. */
void ps_world_run_ms(ps_world *world, uint64_t ms);

/* A train job with batches of 10 rows; extra is more YAML ("workers: 2\n"). Fails the test when it
 * is refused. */
uint64_t ps_world_submit(ps_world *world, const char *name, unsigned epochs, const char *mode,
                         bool has_test, const char *extra);
ps_job_record *ps_world_job(ps_world *world, uint64_t id);
ps_job_state ps_world_state(ps_world *world, uint64_t id);
bool ps_world_traced(const ps_world *world, const char *line);

/* Attaches (session is the test's to choose) with incarnation 1 and these leases. */
void ps_world_attach(ps_world *world, uint64_t session, const char *name);
ps_status ps_world_hello(ps_world *world, uint64_t session, const char *name, uint64_t incarnation,
                         uint32_t slots, const uint64_t *leases, size_t n_leases);

/* The newest task sent to the session that is not answered; NULL: none. */
ps_world_task *ps_world_task_of(ps_world *world, uint64_t session);
/* Answers: with a plan of these sizes and one tensor [rows_in_shape, 3], or as trained, or as
 * evaluated with this many of 100 correct, or failed. */
void ps_world_plan(ps_world *world, ps_world_task *task, uint64_t train_rows, uint64_t test_rows,
                   uint64_t shape);
void ps_world_trained(ps_world *world, ps_world_task *task);
#define PS_WORLD_NO_ACCURACY UINT64_MAX /* of a model that tells nothing but its loss */
void ps_world_evaluated(ps_world *world, ps_world_task *task, uint64_t correct);
void ps_world_failed(ps_world *world, ps_world_task *task, int code, bool retry, const char *why);
void ps_world_report(ps_world *world, ps_world_task *task, uint64_t position, double loss);
/* Does whatever the task asks for, successfully: plan (sizes as given), train, evaluate. */
void ps_world_do(ps_world *world, ps_world_task *task, uint64_t train_rows, uint64_t test_rows);

/* Answers everything that is asked of these sessions until nothing is; returns how many. */
size_t ps_world_serve(ps_world *world, const uint64_t *sessions, size_t n, uint64_t train_rows,
                      uint64_t test_rows);
/* Until the job (of two epochs) trains: attaches w1 on session 1, answers its plan of 100 rows and
 * 20 to test. */
uint64_t ps_world_training(ps_world *world, const char *mode, bool has_test, const char *extra);
void ps_world_assert_reason(ps_world *world, uint64_t id, const char *part);
/* A model with one tensor, layers.0.weight [rows, 3]. */
void ps_world_store_model(ps_world *world, const char *name, uint64_t rows);

#endif
