/* task_message: tasks and what workers say of them, between the messages and psd's own structs. */
#ifndef PS_SERVICE_TASK_MESSAGE_H
#define PS_SERVICE_TASK_MESSAGE_H

#include "psd/v1/workers.pb-c.h"
#include "server/sched/sched.h"

/* *out borrows the task. */
void ps_task_message_borrow(const ps_task *task, Psd__V1__Task *out);
/* These borrow the message. */
void ps_task_report_read(const Psd__V1__TaskProgress *message, ps_task_report *out);
ps_tokens ps_tokens_read(const Psd__V1__Output *message); /* NULL: none */

#endif
