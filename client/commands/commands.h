/* commands: the rows of the table (ps_commands). Each is in a file of this folder; what belongs
 * together (cert create-…, context …, what removes) shares one. */
#ifndef PS_COMMANDS_COMMANDS_H
#define PS_COMMANDS_COMMANDS_H

#include "client/cli/command.h"

/* ps_command_NAME, in the order of the help text. */
// clang-format off
#define PS_COMMANDS(row) \
    row(submit) row(jobs) row(job) row(watch) row(cancel) \
    row(artifacts) row(fetch) row(delete_job) row(delete_artifact) row(prune) \
    row(workers) \
    row(models) row(model) row(model_sign) row(model_verify) row(model_provenance) \
    row(report) row(losses) row(influence) row(export) row(import) row(delete) \
    row(evaluate) row(explain) row(compare) row(diff) row(predict) row(embed) row(generate) row(chat) row(tokenize) row(inspect) \
    row(status) row(quota) row(drain) row(reload) row(checkpoint) \
    row(cert_create_ca) row(cert_create_server) row(cert_create_client) row(cert_create_signer) \
    row(cert_inspect) row(cert_revoke) row(cert_crl) row(cert_renew) \
    row(key_create) row(key_status) row(key_rotate) row(key_retire) row(seal) row(unseal) \
    row(audit_verify) row(audit_head) \
    row(context_list) row(context_use) row(context_set) row(context_show) row(context_delete) \
    row(whoami) row(version) \
    row(help_row) /* ps_command_help is the function */ \
    row(complete)
// clang-format on

#define PS_COMMAND_DECLARE(name) extern const ps_command ps_command_##name;
PS_COMMANDS(PS_COMMAND_DECLARE)

#endif
