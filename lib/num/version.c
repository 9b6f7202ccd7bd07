/* SPDX-License-Identifier: Apache-2.0 */
#include "num/version.h"

#include <pthread.h>
#include <stdio.h>

#include "num/cpu/dnnl_impl.h"

static char text[128];

static void make_text(void)
{
    if (t3di_product_usable())
        snprintf(text, sizeof text, "oneDNN %s, loops %s", t3di_product_library(),
                 t3di_kernel()->isa);
    else
        snprintf(text, sizeof text, "loops %s", t3di_kernel()->isa);
}

const char *t3d_num_libraries(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make_text);
    return text;
}
