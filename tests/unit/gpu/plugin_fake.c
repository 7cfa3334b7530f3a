/* plugin_fake: a plugin for test_plugin.c. It refuses to open, so that the test sees it was asked;
 * PLUGIN_FAKE_API is the version it claims. */
#include "gpu/backends/plugin.h"

__attribute__((visibility("default"))) const ps_backend_plugin_entry *ps_backend_plugin(void);

static ps_status refuse(const ps_plugin_host *host, const ps_backend_options *options,
                        ps_backend **out)
{
    (void)options;
    *out = NULL;
    return host->fail(PS_RESOURCE_EXHAUSTED, "the fake %s", "refuses");
}

const ps_backend_plugin_entry *ps_backend_plugin(void)
{
    static const ps_backend_plugin_entry entry = {.api = PLUGIN_FAKE_API, .open = refuse};
    return &entry;
}
