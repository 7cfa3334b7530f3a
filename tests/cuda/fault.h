/* fault: memory faults become findings. */
#ifndef PS_TEST_CUDA_FAULT_H
#define PS_TEST_CUDA_FAULT_H

/* From the first call on. */
void ps_fault_watch(void);
/* Around a grid: faults are handled on a stack of their own, for a thread's may be the one at
 * fault. */
void ps_fault_stack_begin(void);
void ps_fault_stack_end(void);

#endif
