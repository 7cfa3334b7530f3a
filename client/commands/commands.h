/* commands: the rows of the table (ps_commands); each is in the file of its name. */
#ifndef PS_COMMANDS_COMMANDS_H
#define PS_COMMANDS_COMMANDS_H

#include "client/cli/command.h"

extern const ps_command ps_command_submit;
extern const ps_command ps_command_jobs;
extern const ps_command ps_command_job;
extern const ps_command ps_command_watch;
extern const ps_command ps_command_cancel;
extern const ps_command ps_command_artifacts;
extern const ps_command ps_command_fetch;
extern const ps_command ps_command_delete_job;
extern const ps_command ps_command_delete_artifact;
extern const ps_command ps_command_prune;
extern const ps_command ps_command_workers;
extern const ps_command ps_command_models;
extern const ps_command ps_command_model;
extern const ps_command ps_command_export;
extern const ps_command ps_command_import;
extern const ps_command ps_command_delete;
extern const ps_command ps_command_evaluate;
extern const ps_command ps_command_predict;
extern const ps_command ps_command_generate;
extern const ps_command ps_command_tokenize;
extern const ps_command ps_command_status;
extern const ps_command ps_command_drain;
extern const ps_command ps_command_reload;
extern const ps_command ps_command_checkpoint;
extern const ps_command ps_command_cert_create_ca;
extern const ps_command ps_command_cert_create_server;
extern const ps_command ps_command_cert_create_client;
extern const ps_command ps_command_cert_inspect;
extern const ps_command ps_command_context_list;
extern const ps_command ps_command_context_use;
extern const ps_command ps_command_context_set;
extern const ps_command ps_command_context_show;
extern const ps_command ps_command_context_delete;
extern const ps_command ps_command_whoami;
extern const ps_command ps_command_version;
extern const ps_command ps_command_help_row; /* ps_command_help is the function */
extern const ps_command ps_command_complete;

#endif
