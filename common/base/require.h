/* require: what a contract demands, asserted at its entry.
 *
 *     void ps_thing_add(ps_thing *thing, size_t at)
 *     {
 *         PS_REQUIRE(at < thing->count);
 *
 * For our own bugs alone: what a peer, a file or a person may do wrong is a ps_status. Always
 * compiled in; the condition is cheap and has no effects. Where it does not hold the process ends
 * (abort): file, line and condition are logged, and what was logged before is written.
 */
#ifndef PS_BASE_REQUIRE_H
#define PS_BASE_REQUIRE_H

#define PS_REQUIRE(condition) \
    ((condition) ? (void)0 : ps_require_failed(__FILE__, __LINE__, #condition))

_Noreturn void ps_require_failed(const char *file, int line, const char *condition)
    __attribute__((cold));

#endif
