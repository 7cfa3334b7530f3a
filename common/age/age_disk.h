/* age_disk: a row of disk.h before another one: what is created through it becomes an age file for
 * its recipients, and what is opened for reading is opened by its identities; a file that is not
 * encrypted is read as it is, and what is no file, a pipe say, is refused. NAME is read of NAME.age
 * where that is there (plain_first: where NAME is not), so a folder of encrypted files is to its
 * readers what it was before. A file that was created here can be read without an identity as long
 * as the row lives: whoever checks what he wrote.
 *
 * What is written to a descriptor that the row has not opened, standard output say, is encrypted
 * likewise; fsync ends such a file, and is to be called for it, too. Files are written from the
 * start to the end, and read at any place. One thread (not asserted: psctl has no other). */
#ifndef PS_AGE_AGE_DISK_H
#define PS_AGE_AGE_DISK_H

#include "common/age/age_keys.h"
#include "common/base/disk.h"

#define PS_AGE_ENDING ".age"

typedef struct ps_age_disk ps_age_disk;

typedef struct ps_age_disk_conf {
    const ps_disk *disk;                 /* borrowed */
    const ps_age_recipients *recipients; /* copied; NULL: nothing is created */
    const ps_age_identities *identities; /* borrowed; NULL: none */
    bool plain_first;
} ps_age_disk_conf;

ps_age_disk *ps_age_disk_new(const ps_age_disk_conf *conf);
/* No file is open. NULL is nothing. */
void ps_age_disk_free(ps_age_disk **disk);
/* As long as it lives. */
const ps_disk *ps_age_disk_row(const ps_age_disk *disk);

#endif
