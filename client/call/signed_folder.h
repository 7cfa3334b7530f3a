/* signed_folder: an export that is signed: a folder with the model, psd-provenance.json,
 * model.sig and model.slsa.sig, which is there whole or not at all:
 *
 *     begin ─▶ (the model is written into it) ─▶ finish: lineage, signature, its name
 *       ╰───────────────┴────▶ drop: nothing is left
 *
 * Calls block. One thread (not asserted: psctl has no other). */
#ifndef PS_CALL_SIGNED_FOLDER_H
#define PS_CALL_SIGNED_FOLDER_H

#include "client/call/signer_files.h"
#include "client/call/unfinished.h"
#include "common/base/disk.h"
#include "common/signing/model_sign.h"

typedef struct ps_signed_folder ps_signed_folder;

/* path: where it is to be; PS_ALREADY_EXISTS: something is there. inside false: whoever writes the
 * model makes the folder himself, at ps_signed_folder_path. The signer's key is looked at now: it
 * is not asked for when all has come. unfinished, which is told what is: the caller's, to the end
 * of the folder. */
PS_MUST_CHECK ps_status ps_signed_folder_begin(const char *path, bool inside,
                                               const ps_signer_files *signer,
                                               ps_unfinished *unfinished, ps_signed_folder **out);
/* Until it has its name. */
const char *ps_signed_folder_path(const ps_signed_folder *folder);
/* lineage: the record that psd has; written through disk (NULL: the system's), with ending behind
 * its name. Frees *folder in any case. */
PS_MUST_CHECK ps_status ps_signed_folder_finish(ps_signed_folder **folder, const char *lineage,
                                                const ps_disk *disk, const char *ending,
                                                ps_model_signed *out);
void ps_signed_folder_drop(ps_signed_folder **folder); /* NULL is nothing; keeps the message */

#endif
