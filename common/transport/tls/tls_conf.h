/* tls_conf: what the `tls:` of a configuration file means. Any thread. */
#ifndef PS_TRANSPORT_TLS_TLS_CONF_H
#define PS_TRANSPORT_TLS_TLS_CONF_H

#include "common/base/landlock.h"
#include "common/conf/blocks.h"
#include "common/conf/trial.h"
#include "common/transport/tls/tls_context.h"

/* The texts are the configuration's. */
ps_tls_options ps_tls_conf_options(const ps_conf_tls *conf, ps_tls_side side);
/* What is read again, and, renewed: certificate and key, which are then made anew. */
void ps_tls_conf_allow(const ps_conf_tls *conf, bool renewed, ps_landlock *landlock);
/* For --check: could a context be made of it, and for how long? */
void ps_tls_conf_try(const ps_conf_tls *conf, ps_tls_side side, ps_trial *trial);

#endif
