/* sealing: what psd keeps is sealed (common/seal), by the keys of psd.yaml's section `sealing`:
 *
 *     ps_sealing_open (before a file is opened) ─▶ files go through ps_sealing_disk
 *        ps_sealing_pass, from time to time: what is plain still is sealed in its place
 *
 * Blocks: off the loops, but for ps_sealing_disk and ps_sealing_count. Any thread. */
#ifndef PS_SERVER_SEALING_H
#define PS_SERVER_SEALING_H

#include "common/seal/sealed_disk.h"
#include "server/options.h"

typedef struct ps_sealing ps_sealing;

/* The keys of the section; *ring is NULL when it names none. */
PS_MUST_CHECK ps_status ps_sealing_keys(const ps_server_sealing *conf, ps_keyring **ring);

/* conf is read, cluster and data_dir are copied. Without a key the row hands everything on to the
 * system's disk; PS_FAILED_PRECONDITION: and there are sealed files. */
PS_MUST_CHECK ps_status ps_sealing_open(const ps_server_sealing *conf, const char *data_dir,
                                        const char *cluster, ps_sealing **out);
void ps_sealing_close(ps_sealing **sealing); /* every file is closed; NULL is nothing */
const ps_disk *ps_sealing_disk(const ps_sealing *sealing);

/* Seals what it finds plain, until ms have gone by; what cannot be is told to the log. One at a
 * time. */
void ps_sealing_pass(ps_sealing *sealing, uint64_t ms);

typedef struct ps_sealing_counts {
    uint32_t key;           /* the current one's id; 0: nothing is sealed */
    uint64_t sealed, plain; /* files, as the last pass has found them */
} ps_sealing_counts;

void ps_sealing_count(ps_sealing *sealing, ps_sealing_counts *out);

#endif
