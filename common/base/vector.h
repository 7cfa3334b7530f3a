/* vector: loops over numbers, compiled for several generations of a processor; the one that fits is
 * chosen when the program starts. */
#ifndef PS_BASE_VECTOR_H
#define PS_BASE_VECTOR_H

/* Before a function whose loops the compiler turns into vector code. The sanitizers' runtimes start
 * after the choice is made, so they get the plain form. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define PS_VECTOR_CLONES \
    __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define PS_VECTOR_CLONES
#endif

/* Before a loop whose turns do not depend on each other, whatever the pointers: arrays are the same
 * or do not overlap. Compilers without the word for it look at the pointers when they run. */
#if defined(__clang__)
#define PS_VECTOR_LOOP
#else
#define PS_VECTOR_LOOP _Pragma("GCC ivdep")
#endif

#endif
