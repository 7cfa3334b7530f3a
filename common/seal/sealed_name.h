/* sealed_name: which files below the data_dir of a psd are sealed, and as what. The text binds a
 * file to where it belongs: another cluster's, kind's, name's or version's opens under no other
 * path.
 *
 *     models/NAME.HEX.safetensors            psd/v1 CLUSTER model NAME HEX
 *     artifacts/JOB.HEX                      psd/v1 CLUSTER artifact JOB HEX
 *     checkpoints/JOB/checkpoint-N[.damaged] psd/v1 CLUSTER checkpoint JOB N
 *     records/JOB                            psd/v1 CLUSTER record JOB 0, as a log
 *     psd.db                                 psd/v1 CLUSTER catalog psd.db 0, for its key alone
 *
 * Any thread. */
#ifndef PS_SEAL_SEALED_NAME_H
#define PS_SEAL_SEALED_NAME_H

#include "common/base/buf.h"
#include "common/seal/sealed_disk.h"

#define PS_SEALED_CATALOG "psd.db" /* below data_dir; its values are sealed one by one */

typedef struct ps_sealed_names {
    const char *data_dir, *cluster;
} ps_sealed_names;

/* For ps_sealed_disk_conf; user is a ps_sealed_names. NONE: a temporary name, or what says nothing
 * about parameters or data. */
ps_sealed_form ps_sealed_name(void *user, const char *path, ps_buf *aad);

#endif
