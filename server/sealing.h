/* sealing: what psd keeps is sealed (common/seal), by the keys of psd.yaml's section `sealing`:
 *
 *     ps_sealing_open (before a file is opened) ─▶ files go through ps_sealing_disk
 *        ps_sealing_pass, from time to time: what is plain still is sealed in its place
 *
 * Blocks: off the loops, but for ps_sealing_disk and ps_sealing_last. Any thread. */
#ifndef PS_SERVER_SEALING_H
#define PS_SERVER_SEALING_H

#include "common/seal/sealed_disk.h"
#include "server/catalog/catalog.h"
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

/* The catalog's values are sealed from now on; nothing is done without a key. */
PS_MUST_CHECK ps_status ps_sealing_catalog(ps_sealing *sealing, ps_catalog *catalog);

/* The keys that the section names now. PS_FAILED_PRECONDITION: it began, or would end, without one:
 * that needs a restart. On failure the keys of before are in force. */
PS_MUST_CHECK ps_status ps_sealing_reload(ps_sealing *sealing, const ps_server_sealing *conf);

/* Takes sealing.export_recipients and no key: for who must not wait for one. Any thread. */
void ps_sealing_set_recipients(ps_sealing *sealing, const ps_server_sealing *conf);

/* sealing.export_recipients as they are now, and how many; the caller's, and each of them. */
char **ps_sealing_recipients(ps_sealing *sealing, size_t *n);

/* What the files need. Keys that psd has come first, the current one before all. */
typedef struct ps_sealing_key {
    uint32_t id;
    uint64_t files;
    bool present;
} ps_sealing_key;
typedef struct ps_sealing_counts {
    uint64_t plain, unreadable; /* files that are not sealed; whose FILE.key is none, and folders */
    uint64_t left;              /* that are not as they should be: plain, or by a previous key; */
    uint64_t done;              /* and that this pass has made so */
    size_t n_keys;              /* 0: nothing is sealed */
    ps_sealing_key keys[2 * PS_KEYRING_MOST];
} ps_sealing_counts;

/* Seals what it finds plain, and wraps anew what is not wrapped by the current key, until ms have
 * gone by; what cannot be is told to the log. out: as it is then. */
void ps_sealing_pass(ps_sealing *sealing, uint64_t ms, ps_sealing_counts *out);
/* The same, from time to time: files of which it knows that they are as they should be are not read
 * again, but once an hour. */
void ps_sealing_upkeep(ps_sealing *sealing, uint64_t ms, ps_sealing_counts *out);
/* What the last pass came to; zeros before the first, and when nothing is sealed. Any thread. */
typedef struct ps_sealing_state {
    uint32_t key;
    uint64_t sealed, plain;
} ps_sealing_state;
ps_sealing_state ps_sealing_last(ps_sealing *sealing);
/* A previous key is forgotten. PS_FAILED_PRECONDITION: files need it, or it is the current one. */
PS_MUST_CHECK ps_status ps_sealing_retire(ps_sealing *sealing, uint32_t id);

#endif
